"""What was got ahead and lies idle; waits that are interrupted, also while the broker is away."""
import collections
import os
import signal
import subprocess
import sys
import types
import unittest
from unittest import mock

import harness
from harness import spawn_python, wait_until


def net():
    import netqueue
    return netqueue


class Prefetch(unittest.TestCase):
    def test_what_was_got_ahead_and_lies_idle_goes_back(self):
        q = net().Queue(confirm="flush")
        q.put_many(range(100))
        q._prefetched.size = 16
        self.assertEqual(q.get(), 0)
        harness.broker.await_stat(q.name, ready=99, leased=1, failed=0)
        self.assertEqual([q.get() for _ in range(99)], list(range(1, 100)))

    def test_what_was_asked_for_ahead_stays(self):
        q = net().Queue(prefetch=10)
        q.put_many(range(20))
        q.get()
        stock = q._prefetched
        self.assertFalse(stock.grows or q._hub.stocks)
        self.assertEqual((len(stock.items), q.qsize()), (9, 19))

    def test_a_stock_that_is_filled_while_it_is_looked_at_is_looked_at_again(self):
        from netqueue._hub import Hub
        hub = types.SimpleNamespace(stocks=set(), stocks_due=0.0)

        class Stock:
            def give_back_idle(self):
                """None is left; and another thread has got some ahead before that is noted."""
                hub.stocks.add(self)
                return True

        stock = Stock()
        hub.stocks.add(stock)
        Hub._look_after_stocks(hub)
        self.assertIn(stock, hub.stocks)

    def test_nothing_is_said_to_be_empty_because_another_thread_is_asking(self):
        q = net().Queue(prefetch=10)
        q._prefetched.asking = object()  # its get is on its way
        for get in (q.get_nowait, lambda: q.get(timeout=0), lambda: q.get(timeout=0.01), lambda: q.get_many(5, block=False)[0]):
            q.put("item")
            self.assertEqual(get(), "item")
            with self.assertRaises(net().Empty):
                get()

    def test_what_was_got_ahead_over_a_closed_connection_has_gone_back(self):
        q, got = net().Queue(name="closed-stock", prefetch=10), []
        q.put_many(range(5))
        for _ in range(5):
            got.append(q.get(timeout=80))
            q.task_done()
            if got == [0]:
                net().close(harness.broker.endpoint)
        self.assertEqual(got, [0, 1, 2, 3, 4])
        self.assertEqual(q.qsize(), 0)
        harness.broker.await_stat(q.name, unfinished=0, dones=5)
        q.delete()


class Interrupted(unittest.TestCase):
    """Ctrl-C comes wherever it likes."""

    def test_an_interrupted_get_takes_nothing(self):
        """Nor does it wait any longer, though its process goes on."""
        q = net().Queue(name="interrupted")
        child = spawn_python("-c", """if True:
            import netqueue, sys
            q = netqueue.Queue(name="interrupted")
            try:
                q.get()
            except KeyboardInterrupt:
                print(q.qsize(), flush=True)
                sys.stdin.readline()""", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            wait_until(lambda: q.stats().waiting_gets == 1, "the child waits")
            child.send_signal(signal.SIGINT)
            self.assertEqual(child.stdout.readline(), "0\n")
            wait_until(lambda: q.stats().waiting_gets == 0, "it waits no longer")
            q.put("item")
            self.assertEqual(q.get(timeout=80), "item")
            child.communicate("go\n", timeout=80)
            self.assertEqual(child.returncode, 0)
        finally:
            child.kill()
            q.delete()

    @staticmethod
    def is_quiet(hub):
        """Then a thread starts its operations itself."""
        if hub.running or hub.inbox or not hub.driving.acquire(False):
            return False
        hub.driving.release()
        return True

    def interrupt(self, q, line, work):
        """Two items are put, and that is done, interrupted before that line of the package. Whether it was."""
        package, count = os.path.dirname(net().__file__), 0

        def trace(frame, event, _):
            nonlocal count
            if not frame.f_code.co_filename.startswith(package) or "give_back" in (frame.f_code.co_name, frame.f_back.f_code.co_name):
                return None  # of a destructor, whose exceptions Python swallows
            if event == "line":
                count += 1
                if count == line:
                    raise KeyboardInterrupt
            return trace

        q.put_many(range(2))
        wait_until(lambda: self.is_quiet(q._hub), "nothing is under way")
        q._hub.crowded_until = 0.0
        try:
            sys.settrace(trace)
            work()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        return count >= line

    def test_no_connection_is_stuck_and_no_done_is_forgotten(self):
        q, done, interrupts = net().Queue(), 0, 0

        def cycle():
            nonlocal done
            for _ in range(2):
                q.get(timeout=20)
                q.task_done()
                done += 1
            q.put("item")

        for line in range(1, 401):
            interrupts += self.interrupt(q, line, cycle)
            self.assertGreaterEqual(q.qsize(), 0)
        self.assertGreater(interrupts, 100)
        wait_until(lambda: q.stats().dones >= done, "all that is done is done", 20)

    def test_an_item_is_finished_or_comes_back(self):
        q, line = net().Queue(), 1
        while self.interrupt(q, line, lambda: q.get_item(timeout=20).done()):
            line += 1
        self.assertGreater(line, 50)
        wait_until(lambda: q.stats().leased == 0, "nothing is kept", 20)

    def test_a_stock_is_filled_again(self):
        q, line = net().Queue(prefetch=1), 1
        while self.interrupt(q, line, lambda: q.get(timeout=20)):
            self.assertFalse(q._prefetched.asking, "before line %d" % line)
            line += 1
        self.assertGreater(line, 50)

    def test_buffered_puts_are_sent_all_the_same(self):
        q = net().Queue(confirm="flush")
        with mock.patch.object(q._hub, "submit", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                q.put(1)
        self.assertTrue(q.flush(20))
        self.assertEqual(q.get(timeout=20), 1)

    def test_what_is_buffered_after_the_close_has_failed(self):
        q = net().Queue(confirm="flush", name="closed")
        q.put(1)
        outbox = q._outbox
        net().close(harness.broker.endpoint)
        with self.assertRaises(net().Closed):
            outbox.put(b"2")
            outbox.flush(20)
        q.delete()

    def test_what_a_closed_connection_has_lost_is_told(self):
        q = net().Queue(confirm="flush", name="closed", codec="bytes")
        q.put(b"1")
        self.assertTrue(q.flush(80))
        outbox, hub = q._outbox, q._hub
        with mock.patch.object(hub, "_may_close", lambda: outbox.put(b"2") or True):  # as it has looked for the last time
            net().close(harness.broker.endpoint)
        with self.assertRaises(net().Closed):
            q.flush(5)
        with self.assertRaises(net().Closed):
            q.put(b"3")
        q.put(b"4")
        self.assertTrue(q.flush(80))
        self.assertEqual([q.get(timeout=80), q.get(timeout=80)], [b"1", b"4"])
        q.delete()


class Flush(unittest.TestCase):
    """It looks from another thread, at any moment of the I/O thread."""

    def test_it_waits_for_a_run_that_is_being_made(self):
        q, seen = net().Queue(confirm="flush"), []
        outbox = q._buffer()

        class Bodies(collections.deque):
            def popleft(self):
                body = super().popleft()
                seen.append(outbox.flush(0))
                return body

        outbox.bodies = Bodies()
        q.put("item")
        self.assertTrue(q.flush(80))
        self.assertEqual(seen, [False])

    def test_it_waits_for_the_failure_of_a_run_that_has_ended(self):
        q, seen = net().Queue(confirm="flush"), []
        outbox = q._buffer()
        fail = outbox.fail

        def fail_later(status, text):
            seen.append(outbox.flush(0))
            fail(status, text)

        q.shutdown()
        with mock.patch.object(outbox, "fail", fail_later):
            q.put("late")
            with self.assertRaises(net().ShutDown):
                q.flush(80)
        self.assertEqual(seen, [False])


class Time(unittest.TestCase):
    def test_join_waits_as_long_as_asked_for_all_that_it_does(self):
        q, now, asked = net().Queue(confirm="flush"), [100.0], []

        def flush(_):
            now[0] += 9
            return True

        with mock.patch("netqueue._queue.time", types.SimpleNamespace(monotonic=lambda: now[0])), mock.patch.object(q, "flush", flush):
            with mock.patch.object(q, "_run", lambda operation: asked.append(operation.timeout) or operation):
                self.assertTrue(q.join(timeout=10))
        self.assertEqual(asked, [1.0])


class Away(unittest.TestCase):
    """The broker is not there any more."""

    def test_ctrl_c_ends_every_wait_at_once(self):
        for before, call in (("", "q.put(2)"), ("", "q.get()"), ("", "q.join()"), ("", "q.qsize()"), ("f.put(2)", "f.flush()")):
            broker = harness.lab.broker(memory=True)
            child = spawn_python("-c", """if True:
                import netqueue, os, signal, sys, threading, time
                q, f = netqueue.Queue(), netqueue.Queue(confirm="flush")
                q.put(1)
                def interrupt():
                    while not (q._hub.running and threading.main_thread().is_alive()): time.sleep(0.001)
                    os.kill(os.getpid(), signal.SIGINT)
                print("ready", flush=True)
                sys.stdin.readline()
                threading.Thread(target=interrupt, daemon=True).start()
                try:
                    %s
                    %s
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                    os._exit(0)""" % (before, call), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=dict(NETQUEUE_SERVER=broker.endpoint, NETQUEUE_TIMEOUT="3600"))
            try:
                self.assertEqual(child.stdout.readline(), "ready\n")
                broker.kill()
                out, _ = child.communicate("go\n", timeout=30)
                self.assertEqual(out, "interrupted\n", call)
            finally:
                child.kill()

    def test_an_interrupted_put_does_not_hold_up_the_end_of_the_process(self):
        broker = harness.lab.broker(memory=True)
        q = net().Queue(name="away", server=broker.endpoint)
        broker.kill()
        operation = net()._ops.Put(b"away", (b"body",), None)
        hub = q._hub
        hub.submit(operation)
        wait_until(lambda: hub.running, "the put is under way")
        hub.wake_waiters, hub.closing = True, float("inf")  # as close() does, but without an end of its patience
        self.assertFalse(hub._may_close())
        hub.abandon(operation)
        hub.thread.join(20)
        self.assertTrue(hub.closed)


if __name__ == "__main__":
    sys.exit(harness.run())
