"""What netqueue.Queue has beyond queue.Queue: codecs, leases, batches, puts that are flushed, other processes."""
import gc
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import unittest

import harness
from harness import in_thread, run_python, spawn_python, wait_until

if __name__ == "__main__":
    sys.modules.setdefault("test_queue", sys.modules["__main__"])


def net():
    import netqueue
    return netqueue


def make(*arguments, **options):
    return net().Queue(*arguments, **options)


class Codecs(unittest.TestCase):
    def test_each_codec_gives_back_what_went_in(self):
        for codec, value in (("pickle", {"a": (1, None)}), ("json", {"a": [1, None, "ü"]}), ("bytes", b"\0\xff"), ("str", "grün")):
            q = make(codec=codec)
            q.put(value)
            self.assertEqual(q.get(), value)

    def test_other_programs_read_json_and_text(self):
        q = make(codec="json")
        q.put([1, "two"])
        out = harness.broker.consume("-n", "1", q.name).expect(0).out
        self.assertEqual(json.loads(out), [1, "two"])
        text = make(codec="str")
        harness.broker.produce(text.name, "from the shell").expect(0)
        self.assertEqual(text.get(), "from the shell")

    def test_what_cannot_be_encoded_is_refused_at_put(self):
        for codec, value in (("bytes", "text"), ("str", b"bytes"), ("json", object()), ("pickle", threading.Lock())):
            q = make(codec=codec)
            with self.assertRaises(TypeError):
                q.put(value)
            self.assertEqual(q.unfinished_tasks, 0)
        with self.assertRaises(ValueError):
            make(codec="yaml")

    def test_what_cannot_be_part_of_a_request_is_told_to_who_wanted_it_alone(self):
        """Another thread waits, so the I/O thread is the one to make the request."""
        q = make()
        waiting = in_thread(q.get)
        wait_until(lambda: q.stats().waiting_gets == 1, "a get waits")
        with self.assertRaises(TypeError):
            in_thread(lambda: q.put("item", headers={"number": 5}))(20)
        q.put("good")
        self.assertEqual(waiting(), "good")

    def test_a_codec_that_makes_no_bytes_is_told_at_put(self):
        for confirm in ("put", "flush"):
            q = make(codec=net().Codec("text", str, bytes.decode), confirm=confirm)
            for put in (lambda: q.put("item"), lambda: q.put_many(["item"])):
                with self.assertRaisesRegex(TypeError, "'text' makes str of an object, not bytes"):
                    put()
            self.assertTrue(q.flush(20))

    def test_what_cannot_be_decoded_is_held(self):
        q = make(codec="json")
        harness.broker.produce(q.name, "{nonsense").expect(0)
        with self.assertRaises(net().DecodeError) as caught:
            q.get()
        self.assertEqual(caught.exception.body, b"{nonsense")
        self.assertEqual(q.unfinished_tasks, 1)
        q.task_done()
        self.assertEqual(q.unfinished_tasks, 0)

    def test_what_cannot_be_decoded_is_held_by_get_item_too(self):
        q = make(codec="json")
        harness.broker.produce(q.name, "{nonsense", "2").expect(0)
        with self.assertRaises(net().DecodeError):
            with q.get_item():
                pass
        q.task_done()
        self.assertEqual(q.get_item().value, 2)

    def test_what_stands_in_front_of_what_cannot_be_decoded_is_not_lost(self):
        for options in ({}, {"done": "get"}, {"prefetch": 10}):
            q = make(codec="json", **options)
            harness.broker.produce(q.name, "1", "2", "{nonsense", "4").expect(0)
            self.assertEqual(q.get_many(10), [1, 2])
            with self.assertRaises(net().DecodeError) as caught:
                q.get_many(10)
            self.assertEqual(caught.exception.body, b"{nonsense")
            for _ in range(1 if "done" in options else 3):
                q.task_done()
            self.assertEqual(q.get_many(10), [4])
            self.assertEqual(q.unfinished_tasks, 0 if "done" in options else 1)

    def test_a_codec_of_ones_own(self):
        q = make(codec=net().Codec("upper", lambda text: text.upper().encode(), lambda body: body.decode().lower()))
        q.put("abc")
        with q.get_item() as item:
            self.assertEqual((item.body, item.value), (b"ABC", "abc"))


class InHand(unittest.TestCase):
    def test_task_done_finishes_this_threads_oldest_then_anyones(self):
        q = make()
        for number in range(4):
            q.put(number)
        in_thread(q.get)()
        q.get()
        q.get()
        q.task_done()  # 1: ours, though 0 is older
        q.extend(30)   # 2
        q.requeue()    # 2
        self.assertEqual(q.get(), 2)
        q.task_done()
        q.requeue()    # 0, of the thread that has ended
        self.assertEqual([q.get(), q.get()], [0, 3])

    def test_an_item_is_done_when_the_block_ends(self):
        q = make()
        q.put("work", headers={"from": "test"})
        with q.get_item() as item:
            self.assertEqual((item.value, item.deliveries, item.failures, item.headers), ("work", 1, 0, {"from": b"test"}))
        self.assertEqual(q.unfinished_tasks, 0)
        with self.assertRaises(ValueError):
            item.done()
        with self.assertRaises(ValueError):
            q.task_done()

    def test_an_item_comes_back_as_failed_when_the_block_raises(self):
        q = make()
        q.put("work")
        with self.assertRaises(ZeroDivisionError):
            with q.get_item() as item:
                raise ZeroDivisionError
        fence = item.fence
        with q.get_item() as item:
            self.assertEqual((item.deliveries, item.failures), (2, 1))
            self.assertGreater(item.fence, fence)
            item.requeue()
        with self.assertRaises(KeyboardInterrupt):
            with q.get_item() as item:
                raise KeyboardInterrupt
        with q.get_item() as item:
            self.assertEqual((item.deliveries, item.failures), (4, 1))

    def test_an_item_comes_back_as_failed_whatever_the_block_raises(self):
        for what in ("\N{GRINNING FACE}" * 200, "\udcff", "x" * 1000):
            q = make()
            q.put("item")
            with self.assertRaises(RuntimeError):
                with q.get_item():
                    raise RuntimeError(what)
            self.assertEqual(q.get_item().failures, 1)

    def test_failures_lead_to_the_dead_letter_queue(self):
        dead = make()
        q = make(max_deliveries=2, dead_letter=dead.name)
        q.put("poison")
        for _ in range(2):
            q.get()
            q.requeue(failed=True)
        self.assertEqual(q.unfinished_tasks, 0)
        with dead.get_item() as item:
            self.assertEqual(item.value, "poison")
            self.assertEqual(item.headers["nq-origin-queue"], q.name.encode())

    def test_a_lost_lease_is_told(self):
        for seconds in (0.2, 0.8, 3.2, 12.8):  # the second one may be lost, too, when the machine stands still: then with more time
            q = make(lease=seconds, hold_max=seconds)
            q.put("slow")
            item = q.get_item()
            again = q.get_item(timeout=80)  # when the first may not be held any longer
            try:
                item.done()
            except net().LeaseLost:
                again.done()
                return
        self.fail("nothing is told")

    def test_items_not_finished_come_back_with_the_last_reference(self):
        q = make(name="left-behind")
        q.put("item")
        other = make(name="left-behind")
        other.get()
        del other
        gc.collect()
        self.assertEqual(q.get(timeout=80), "item")
        q.delete()

    def test_many_at_once(self):
        q = make(5)
        with self.assertRaises(net().Full) as caught:
            q.put_many(range(8), block=False)
        self.assertEqual(caught.exception.accepted, 5)
        self.assertEqual(q.get_many(3), [0, 1, 2])
        with self.assertRaises(net().Full):  # there is room for three
            q.put_many([5, 6, 7, 8], block=False, atomic=True)
        self.assertEqual(q.get_many(10), [3, 4])
        with self.assertRaises(net().Empty):
            q.get_many(10, timeout=0.01)
        for _ in range(5):
            q.task_done()
        self.assertTrue(q.join(timeout=80))
        big = make()
        big.put_many(range(2500))
        self.assertEqual(big.get_many(10000), list(range(2500)))

    def test_puts_that_wait_have_lanes_and_nothing_is_kept_of_them(self):
        q = make(1)
        lanes, name = q._hub.lanes, q.name.encode()
        q.put("full")
        self.assertNotIn(name, lanes)
        waiting = [in_thread(q.put, number) for number in range(3)]
        wait_until(lambda: q.stats().waiting_puts == 3, "puts wait")
        self.assertEqual(lanes[name], [4])
        for _ in range(4):
            q.get()
        for put in waiting:
            put()
        self.assertNotIn(name, lanes)

    def test_the_last_task_done_is_told_though_nothing_follows_it(self):
        q = make()
        hub = q._hub

        def use():
            q.put("item")
            q.get()
            q.task_done()
            return hub.hot

        wait_until(use, "threads use the connection themselves")
        q.put("item")
        q.get()
        waiting = in_thread(q.join)
        harness.broker.await_stat(q.name, waiting_joins=1)
        q.task_done()
        self.assertTrue(waiting())

    def test_join_with_a_timeout_and_delayed_items(self):
        q = make()
        q.put("later", delay=0.2)
        self.assertTrue(q.empty())
        self.assertFalse(q.join(timeout=0.01))
        self.assertEqual(q.get(timeout=80), "later")
        q.task_done()
        self.assertTrue(q.join(timeout=80))


class Settings(unittest.TestCase):
    def test_bad_arguments_are_refused(self):
        for options in (dict(confirm="maybe"), dict(done="never"), dict(prefetch=-1), dict(name="no spaces"), dict(server="nonsense")):
            with self.assertRaises(ValueError, msg=options):
                make(**options)
        with self.assertRaises(TypeError):
            make("5")

    def test_a_named_queue_is_one_for_all(self):
        q = make(7, name="shared-one")
        self.assertEqual(make(name="shared-one").maxsize, 7)
        with self.assertRaises(net().DifferentOptions):
            make(8, name="shared-one")
        q.delete()

    def test_no_broker_is_said_in_one_line(self):
        ended = run_python("-c", "import netqueue; netqueue.Queue(server='tcp://127.0.0.1:1')", env={"NETQUEUE_TIMEOUT": "0.2"})
        self.assertEqual(ended.returncode, 1)
        self.assertIn("netqueue._errors.Unreachable: declare of 'tmp.python.", ended.stderr.splitlines()[-1])

    def test_a_library_that_is_not_there_is_said_in_one_line(self):
        ended = run_python("-c", "import netqueue", env={"NETQUEUE_LIBRARY": "/nowhere/libnetqueue.so"})
        self.assertIn("ImportError: netqueue: libnetqueue cannot be loaded: /nowhere/libnetqueue.so", ended.stderr)

    def test_an_unnamed_queue_ends_with_its_last_reference(self):
        q, other = make(), make()
        name = q.name
        q.put("item")
        del q
        gc.collect()
        other.qsize()  # behind the delete
        self.assertIsNone(harness.broker.stat(name))

    def test_a_pickled_queue_does_not_end_with_its_first_reference(self):
        q = make()
        q.put("item")
        data = pickle.dumps(q)
        del q
        gc.collect()
        self.assertEqual(pickle.loads(data).get(timeout=80), "item")

    def test_queues_go_through_queues(self):
        q, inner = make(), make()
        q.put(inner)
        q.get().put("through")
        self.assertEqual(inner.get(timeout=80), "through")

    def test_simple_queue_items_are_done_when_got(self):
        q = net().SimpleQueue()
        q.put("item", block=False, timeout=-1)
        self.assertEqual(q.get(), "item")
        wait_until(lambda: harness.broker.stat(q.name).unfinished == 0, "it is done")
        with self.assertRaises(ValueError):
            q.get(timeout=-1)

    def test_the_packages_version_is_the_librarys(self):
        with open(os.path.join(harness.ROOT, "python", "VERSION"), encoding="ascii") as file:
            self.assertEqual(file.read().strip(), net().__version__)

    def test_generic_alias(self):
        self.assertEqual(net().Queue[int].__origin__, net().Queue)


class Flush(unittest.TestCase):
    def test_order_and_flush(self):
        q = make(confirm="flush")
        for number in range(3000):
            q.put(number)
        self.assertTrue(q.flush(10))
        self.assertEqual(q.qsize(), 3000)
        self.assertEqual([q.get() for _ in range(3000)], list(range(3000)))
        for _ in range(3000):
            q.task_done()
        self.assertTrue(q.join(80))

    def test_the_first_failure_is_kept(self):
        q = make(confirm="flush")
        q.put("item")
        q.shutdown()
        q.put("late")
        with self.assertRaises(net().ShutDown):
            q.flush()
        with self.assertRaises(net().ShutDown):
            q.put("later")

    def test_a_bounded_queue_is_full_all_the_same(self):
        q = make(1, confirm="flush")
        q.put("item")
        with self.assertRaises(net().Full):
            q.put_nowait("more")

    def test_threads_share_what_was_fetched(self):
        q, got = make(confirm="flush"), []
        for number in range(2000):
            q.put(number)

        def work():
            while True:
                try:
                    got.append(q.get(timeout=1))
                    q.task_done()
                except net().Empty:
                    if len(got) >= 2000:
                        return

        for end in [in_thread(work) for _ in range(4)]:
            end(80)
        self.assertEqual(sorted(got), list(range(2000)))
        self.assertTrue(q.join(80))

    def test_many_at_once_of_what_was_fetched(self):
        q, got = make(prefetch=50), []
        q.put_many(range(100))
        while len(got) < 100:
            some = q.get_many(30)
            self.assertLessEqual(len(some), 30)
            got += some
        self.assertEqual(got, list(range(100)))
        for _ in got:
            q.task_done()
        self.assertTrue(q.join(80))

    def test_closed_as_in_multiprocessing(self):
        q = make(confirm="flush")
        q.put("item")
        with self.assertRaises(AssertionError):
            q.join_thread()
        q.close()
        q.join_thread()
        self.assertEqual(harness.broker.stat(q.name).ready, 1)
        for use in (lambda: q.put("more"), q.get):
            with self.assertRaises(ValueError):
                use()

    def test_what_was_put_is_stored_when_the_program_ends(self):
        q = make(name="at-exit")
        run_python("-c", "import netqueue\nq = netqueue.Queue(name='at-exit', confirm='flush')\nfor i in range(5000): q.put(i)").check_returncode()
        self.assertEqual(q.qsize(), 5000)
        q.delete()


def double(numbers, results):
    """A worker process."""
    while True:
        number = numbers.get()
        if number is None:
            numbers.task_done()
            return
        results.put(number * 2)
        numbers.task_done()


def hold(queue, taken):
    queue.get()
    taken.put(os.getpid())
    signal.pause()


def put_and_go(queue):
    queue.put("from the child")


class Processes(unittest.TestCase):

    def workers(self, method):
        context = multiprocessing.get_context(method)
        numbers, results = net().JoinableQueue(), make()
        processes = [context.Process(target=double, args=(numbers, results)) for _ in range(3)]
        for process in processes:
            process.start()
        for number in range(60):
            numbers.put(number)
        for _ in processes:
            numbers.put(None)
        numbers.join()
        for process in processes:
            process.join(80)
            self.assertEqual(process.exitcode, 0)
        self.assertEqual(sorted(results.get_many(100)), list(range(0, 120, 2)))

    def test_across_fork(self):
        self.workers("fork")

    def test_across_spawn(self):
        self.workers("spawn")

    def test_the_parents_queue_outlives_the_child_that_put(self):
        q = make()
        child = multiprocessing.get_context("fork").Process(target=put_and_go, args=(q,))
        child.start()
        child.join(80)
        self.assertEqual(q.get(timeout=80), "from the child")

    def test_a_child_holds_nothing_of_its_parent(self):
        q, answers = make(), make()
        q.put("item")
        q.get()

        def child():
            try:
                q.task_done()
            except ValueError as error:
                answers.put(str(error))

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(80)
        self.assertEqual(answers.get(timeout=80), "task_done() called too many times")
        q.task_done()

    def test_the_item_of_a_killed_process_comes_back(self):
        q, taken = make(), make()
        q.put("item")
        child = multiprocessing.get_context("spawn").Process(target=hold, args=(q, taken))
        child.start()
        self.assertEqual(taken.get(timeout=80), child.pid)
        self.assertTrue(q.empty())
        child.kill()
        child.join(80)
        with q.get_item(timeout=80) as item:
            self.assertEqual((item.value, item.deliveries, item.failures), ("item", 2, 1))

    def test_the_example_of_pythons_documentation(self):
        with open(os.path.join(harness.HERE, "worker_listing.py"), encoding="ascii") as file:
            ended = run_python("-c", file.read().replace("import queue", "import netqueue as queue"))
        self.assertEqual((ended.stderr, ended.returncode), ("", 0))
        self.assertEqual(len(ended.stdout.splitlines()), 61)

    def test_a_temporary_queue_outlives_the_first_child_that_puts(self):
        for more in ({}, {"name": "outlives", "temporary": True}):
            q = make(**more)
            child = multiprocessing.get_context("fork").Process(target=q.put, args=("item",))
            child.start()
            child.join(80)  # its session has ended with it
            self.assertEqual(q.get(timeout=80), "item")

    def test_daemon_threads_end_silently_with_the_process(self):
        ended = run_python("-c", """if True:
            import netqueue, threading
            from netqueue import _hub
            q = netqueue.Queue(name="ending")
            _hub._close_at_exit()  # as at the end, and only then the thread comes along
            thread = threading.Thread(target=q.get, daemon=True)
            thread.start()
            thread.join(0.2)
            print(thread.is_alive())""")
        self.assertEqual((ended.stdout, ended.stderr), ("True\n", ""))

    def test_close_wakes_who_waits(self):
        ended = run_python("-c", """if True:
            import netqueue, threading
            q = netqueue.Queue(name="closing")
            def wait():
                try:
                    q.get()
                except netqueue.Closed:
                    print("closed")
            thread = threading.Thread(target=wait)
            thread.start()
            while not q.stats().waiting_gets: pass
            netqueue.close()
            thread.join()
            q.put("and again")
            print(q.get())""")
        self.assertEqual((ended.stdout, ended.stderr), ("closed\nand again\n", ""))


def slow_square(number):
    if number == 3 and not os.path.exists(os.environ["POOL_MARK"]):
        open(os.environ["POOL_MARK"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)  # the first that works on it dies
    return number * number


class Pool(unittest.TestCase):
    def test_a_late_duplicate_result_makes_no_queue_again(self):
        from netqueue import _pool
        results = make(done="get")
        of_worker = pickle.loads(pickle.dumps(results))
        _pool._answer(of_worker, 0, (True, 1, ""))
        self.assertEqual(results.get(), (0, True, 1, ""))
        results.delete()
        _pool._answer(of_worker, 0, (True, 1, ""))
        with self.assertRaises(net().NoSuchQueue):
            results.stats()

    def test_map_and_its_relatives(self):
        with net().Pool(2) as pool:
            self.assertEqual(pool.map(abs, range(-5, 5)), [5, 4, 3, 2, 1, 0, 1, 2, 3, 4])
            self.assertEqual(pool.starmap(pow, [(2, 3), (3, 2)]), [8, 9])
            self.assertEqual(sorted(pool.imap_unordered(abs, [-1, 2])), [1, 2])
            self.assertEqual(pool.apply(divmod, (7, 2)), (3, 1))
            self.assertEqual(pool.map(abs, []), [])
            with self.assertRaises(ZeroDivisionError) as caught:
                pool.starmap(divmod, [(1, 0)])
            self.assertIn("process", str(caught.exception.__cause__))
        self.assertEqual([worker.exitcode for worker in pool._workers], [0, 0])

    def test_a_task_whose_worker_dies_is_done_by_another(self):
        os.environ["POOL_MARK"] = harness.lab.path("pool-mark")
        with net().Pool(2) as pool:
            self.assertEqual(pool.map(slow_square, range(6)), [0, 1, 4, 9, 16, 25])
        self.assertEqual(sorted(worker.exitcode for worker in pool._workers), [-signal.SIGKILL, 0])

    def test_workers_started_elsewhere(self):
        worker = spawn_python("-m", "netqueue.worker", "elsewhere", stderr=subprocess.PIPE)
        try:
            with net().Pool(0, name="elsewhere") as pool:
                self.assertEqual(pool.map(abs, [-1, -2]), [1, 2])
            make(name="elsewhere").shutdown()
            self.assertEqual(worker.wait(80), 0)
        finally:
            worker.kill()
            worker.communicate()
            make(name="elsewhere").delete()


if __name__ == "__main__":
    sys.exit(harness.run())
