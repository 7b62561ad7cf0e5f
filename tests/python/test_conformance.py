"""What Python documents and tests of queue.Queue, as one suite that runs against queue.Queue and netqueue.Queue alike.

The rows are the methods of CPython's Lib/test/test_queue.py (3.13) and two of asyncio's suite. Where CPython's tests sleep, these wait until the
other side is seen waiting. Shutdown is tested on queue.Queue only where that has it (3.13).
"""
import queue
import sys
import threading
import unittest

import harness
from harness import in_thread, wait_until

SIZE = 5


class Rules:
    """Mixed into one class for each module."""

    module = None

    def make(self, maxsize=0):
        return self.module.Queue(maxsize)

    def waiters(self, q, kind):
        raise NotImplementedError

    def blocked(self, q, kind, function, *arguments, count=1):
        """Start it in a thread, and return its result function once it is seen waiting."""
        result = in_thread(function, *arguments)
        wait_until(lambda: self.waiters(q, kind) == count or not result.running(), "%s waits" % kind)
        self.assertTrue(result.running(), "%r did not wait" % function)
        return result


class PutAndGet(Rules):
    def test_items_come_out_in_the_order_they_went_in(self):
        q = self.make()
        for item in (111, 333, 222):
            q.put(item)
        self.assertEqual([q.get(), q.get(), q.get()], [111, 333, 222])

    def test_sizes(self):
        q = self.make(SIZE)
        self.assertTrue(q.empty())
        self.assertFalse(q.full())
        for number in range(SIZE):
            self.assertFalse(q.full())
            self.assertEqual(q.qsize(), number)
            q.put(number)
        self.assertTrue(q.full())
        self.assertFalse(q.empty())
        self.assertEqual(q.maxsize, SIZE)

    def test_full_at_once_and_after_a_while(self):
        q = self.make(1)
        q.put("first")
        for arguments in ((False,), (False, 10), (True, 0.01), (True, 0)):
            with self.assertRaises(self.module.Full):
                q.put("more", *arguments)
        with self.assertRaises(self.module.Full):
            q.put_nowait("more")
        self.assertEqual(q.qsize(), 1)

    def test_empty_at_once_and_after_a_while(self):
        q = self.make()
        for arguments in ((False,), (False, 10), (True, 0.01), (True, 0)):
            with self.assertRaises(self.module.Empty):
                q.get(*arguments)
        with self.assertRaises(self.module.Empty):
            q.get_nowait()

    def test_a_put_waits_for_room(self):
        for arguments in ((), (True, 10)):
            q = self.make(1)
            q.put("first")
            waiting = self.blocked(q, "put", q.put, "second", *arguments)
            self.assertEqual(q.get(), "first")
            waiting()
            self.assertEqual(q.get(), "second")

    def test_a_get_waits_for_an_item(self):
        for arguments in ((), (True, 10)):
            q = self.make()
            waiting = self.blocked(q, "get", q.get, *arguments)
            q.put("item")
            self.assertEqual(waiting(), "item")

    def test_a_waiting_put_does_not_hold_up_one_that_does_not_wait(self):
        q = self.make(1)
        q.put("first")
        waiting = self.blocked(q, "put", q.put, "second")
        for _ in range(3):
            with self.assertRaises(self.module.Full):
                q.put_nowait("third")
        q.get()
        waiting()
        self.assertEqual(q.get(), "second")

    def test_no_bound(self):
        for maxsize in (0, -1):
            q = self.make(maxsize)
            for number in range(50):
                q.put_nowait(number)
            self.assertEqual(q.qsize(), 50)
            self.assertFalse(q.full())
            self.assertEqual(q.maxsize, maxsize)

    def test_a_get_frees_the_slot_before_task_done(self):
        q = self.make(1)
        q.put("first")
        q.get()
        self.assertFalse(q.full())
        q.put_nowait("second")
        self.assertEqual(q.qsize(), 1)

    def test_negative_timeouts(self):
        q = self.make(SIZE)
        with self.assertRaises(ValueError):
            q.put(1, timeout=-1)
        q.put(1)
        with self.assertRaises(ValueError):
            q.get(timeout=-1)
        q.put(2, block=False, timeout=-1)  # then nobody looks at it
        self.assertEqual(q.get(block=False, timeout=-1), 1)
        self.make().put(1, timeout=-1)  # nor where there is no bound

    def test_nowait(self):
        q = self.make(SIZE)
        for number in range(SIZE):
            q.put_nowait(number)
        with self.assertRaises(self.module.Full):
            q.put_nowait(SIZE)
        for number in range(SIZE):
            self.assertEqual(q.get_nowait(), number)
        with self.assertRaises(self.module.Empty):
            q.get_nowait()

    def test_maxsize_changes_on_the_way(self):
        q = self.make(3)
        for number in range(3):
            q.put(number)
        q.maxsize = 2
        with self.assertRaises(self.module.Full):
            q.put_nowait(3)
        self.assertEqual(q.qsize(), 3)
        q.get()
        with self.assertRaises(self.module.Full):
            q.put_nowait(3)
        q.maxsize = 4
        q.put_nowait(3)
        self.assertEqual([q.get() for _ in range(3)], [1, 2, 3])

    def test_many_threads(self):
        q, results = self.make(10), []

        def feed(first):
            for number in range(first, first + 50):
                q.put(number)

        def consume():
            for item in iter(q.get, None):
                results.append(item)

        feeders = [in_thread(feed, 50 * i) for i in range(6)]
        consumers = [in_thread(consume) for _ in range(6)]
        for end in feeders:
            end()
        for _ in consumers:
            q.put(None)
        for end in consumers:
            end()
        self.assertEqual(sorted(results), list(range(300)))
        self.assertTrue(q.empty())


class Done(Rules):
    def test_task_done_of_nothing(self):
        with self.assertRaises(ValueError):
            self.make().task_done()

    def test_join_of_nothing_returns(self):
        self.make().join()

    def test_join_waits_for_the_last_task_done(self):
        q = self.make()
        q.put("item")
        waiting = self.blocked(q, "join", q.join)
        q.get()
        self.assertTrue(q.empty())
        self.assertTrue(waiting.running())
        q.task_done()
        waiting()

    def test_join_with_workers_twice(self):
        q, total = self.make(), []

        def work():
            while True:
                number = q.get()
                if number is not None:
                    total.append(number)
                q.task_done()
                if number is None:
                    return

        for turn in (1, 2):
            workers = [in_thread(work) for _ in range(2)]
            for number in range(100):
                q.put(number)
            q.join()
            self.assertEqual(sum(total), turn * sum(range(100)))
            for _ in workers:
                q.put(None)
            q.join()
            for end in workers:
                end()
        with self.assertRaises(ValueError):
            q.task_done()

    def test_unfinished_tasks(self):
        q = self.make()
        for number in range(3):
            q.put(number)
        q.get()
        self.assertEqual(q.unfinished_tasks, 3)
        q.task_done()
        self.assertEqual(q.unfinished_tasks, 2)

    def test_task_done_of_another_thread(self):
        q = self.make()
        q.put("item")
        in_thread(q.get)()
        q.task_done()
        self.assertEqual(q.unfinished_tasks, 0)
        with self.assertRaises(ValueError):
            q.task_done()


class Shutdown(Rules):
    def test_empty(self):
        q = self.make()
        q.shutdown()
        with self.assertRaises(self.module.ShutDown):
            q.put("item")
        with self.assertRaises(self.module.ShutDown):
            q.get()

    def test_gets_drain(self):
        q = self.make()
        q.put("item")
        q.shutdown()
        self.assertEqual(q.get(), "item")
        with self.assertRaises(self.module.ShutDown):
            q.get()

    def test_immediate(self):
        q = self.make()
        q.put("item")
        q.shutdown(immediate=True)
        for get in (q.get, q.get_nowait):
            with self.assertRaises(self.module.ShutDown):
                get()
        self.assertTrue(q.empty())

    def test_transitions(self):
        q = self.make()
        self.assertFalse(q.is_shutdown)
        for immediate in (False, False, True, True, False):
            q.shutdown(immediate)
            self.assertTrue(q.is_shutdown)

    def test_all_methods(self):
        q = self.make()
        q.put(1)
        q.put(2)
        q.shutdown()
        for put in (q.put, q.put_nowait):
            with self.assertRaises(self.module.ShutDown):
                put(3)
        with self.assertRaises(self.module.ShutDown):
            q.put(3, timeout=-1)
        for _ in range(2):
            q.get()
            q.task_done()
        q.join()
        for arguments in ((), (False,), (True, 1.0), (True, -1)):
            with self.assertRaises(self.module.ShutDown):
                q.get(*arguments)

    def test_all_methods_immediate(self):
        q = self.make()
        q.put(1)
        q.put(2)
        q.shutdown(immediate=True)
        with self.assertRaises(self.module.ShutDown):
            q.put(3)
        with self.assertRaises(self.module.ShutDown):
            q.get()
        with self.assertRaises(ValueError):
            q.task_done()
        q.join()

    def test_ends_waiting_puts(self):
        for immediate in (False, True):
            q = self.make(1)
            q.put("item")
            waiting = [self.blocked(q, "put", q.put, "more", count=n + 1) for n in range(2)]
            q.shutdown(immediate)
            for end in waiting:
                with self.assertRaises(self.module.ShutDown):
                    end()

    def test_ends_waiting_gets(self):
        for immediate in (False, True):
            q = self.make()
            waiting = [self.blocked(q, "get", q.get, count=n + 1) for n in range(2)]
            q.shutdown(immediate)
            for end in waiting:
                with self.assertRaises(self.module.ShutDown):
                    end()

    def test_join_goes_on_after_it(self):
        q = self.make()
        q.put("item")
        waiting = [self.blocked(q, "join", q.join, count=n + 1) for n in range(2)]
        q.shutdown()
        q.get()
        self.assertTrue(all(end.running() for end in waiting))
        q.task_done()
        for end in waiting:
            end()

    def test_immediate_ends_join(self):
        q = self.make()
        q.put("item")
        waiting = [self.blocked(q, "join", q.join, count=n + 1) for n in range(2)]
        q.shutdown(immediate=True)
        for end in waiting:
            end()

    def test_immediate_leaves_what_is_in_work(self):
        q = self.make()
        q.put(1)
        q.put(2)
        q.get()
        q.shutdown(immediate=True)
        self.assertEqual(q.qsize(), 0)
        waiting = self.blocked(q, "join", q.join)
        q.task_done()
        waiting()
        with self.assertRaises(ValueError):
            q.task_done()

    def test_many_threads(self):
        q, got = self.make(4), []

        def write():
            for number in range(10000):
                q.put(number)

        def read():
            while True:
                got.append(q.get())
                q.task_done()

        threads = [in_thread(write) for _ in range(4)] + [in_thread(read) for _ in range(6)]
        wait_until(lambda: len(got) > 50, "half way")
        q.shutdown()
        for end in threads:
            with self.assertRaises(self.module.ShutDown):
                end()
        q.join()
        self.assertTrue(q.empty())


class OfPython:
    module = queue
    conditions = {"get": "not_empty", "put": "not_full", "join": "all_tasks_done"}

    def waiters(self, q, kind):
        return len(getattr(q, self.conditions[kind])._waiters)


class OfNetqueue:
    @property
    def module(self):
        import netqueue
        return netqueue

    def waiters(self, q, kind):
        return getattr(q.stats(), "waiting_%ss" % kind)


class PythonPutAndGet(OfPython, PutAndGet, unittest.TestCase):
    pass


class NetqueuePutAndGet(OfNetqueue, PutAndGet, unittest.TestCase):
    pass


class PythonDone(OfPython, Done, unittest.TestCase):
    pass


class NetqueueDone(OfNetqueue, Done, unittest.TestCase):
    pass


@unittest.skipUnless(hasattr(queue, "ShutDown"), "queue.Queue has no shutdown before Python 3.13")
class PythonShutdown(OfPython, Shutdown, unittest.TestCase):
    pass


class NetqueueShutdown(OfNetqueue, Shutdown, unittest.TestCase):
    pass


if __name__ == "__main__":
    threading.stack_size(512 * 1024)
    sys.exit(harness.run())
