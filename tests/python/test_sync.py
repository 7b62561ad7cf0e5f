"""Lock, RLock, Semaphore, Event, Condition and Barrier: what threading documents, run against threading and netqueue alike, then what the network adds."""
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import unittest

import harness
from harness import in_thread, wait_until

if __name__ == "__main__":
    sys.modules.setdefault("test_sync", sys.modules["__main__"])


def net():
    import netqueue
    return netqueue


class Rules:
    """Mixed into one class for threading and one for netqueue."""

    def test_lock(self):
        lock = self.module.Lock()
        self.assertFalse(lock.locked())
        self.assertTrue(lock.acquire())
        self.assertTrue(lock.locked())
        self.assertFalse(lock.acquire(False))
        self.assertFalse(lock.acquire(timeout=0.01))
        in_thread(lock.release)()  # any thread may
        self.assertFalse(lock.locked())
        with self.assertRaises(RuntimeError):
            lock.release()
        with lock:
            self.assertTrue(lock.locked())
        for arguments in ((False, 1), (True, -2)):
            with self.assertRaises(ValueError):
                lock.acquire(*arguments)

    def test_lock_excludes(self):
        lock, inside, seen = self.module.Lock(), [], []

        def enter():
            for _ in range(10):
                with lock:
                    inside.append(1)
                    in_thread(int)()  # the others have a turn
                    seen.append(len(inside))
                    inside.pop()

        for end in [in_thread(enter) for _ in range(4)]:
            end(60)
        self.assertEqual(seen, [1] * 40)

    def test_rlock(self):
        lock = self.module.RLock()
        with lock:
            with lock:
                self.assertTrue(lock.acquire(False))
                lock.release()
            self.assertFalse(in_thread(lock.acquire, False)())
            with self.assertRaises(RuntimeError):
                in_thread(lock.release)()
        with self.assertRaises(RuntimeError):
            lock.release()
        taken = in_thread(lock.acquire, False)
        self.assertTrue(taken())

    def test_semaphore(self):
        semaphore = self.module.Semaphore(2)
        self.assertTrue(semaphore.acquire())
        with semaphore:
            self.assertFalse(semaphore.acquire(False))
            self.assertFalse(semaphore.acquire(timeout=0.01))
        semaphore.release(2)  # one more than was acquired
        self.assertEqual([semaphore.acquire(False) for _ in range(4)], [True, True, True, False])
        with self.assertRaises(ValueError):
            self.module.Semaphore(-1)
        with self.assertRaises(ValueError):
            semaphore.acquire(False, timeout=1)
        with self.assertRaises(ValueError):
            semaphore.release(0)

    def test_bounded_semaphore(self):
        semaphore = self.module.BoundedSemaphore(1)
        with semaphore:
            pass
        with self.assertRaises(ValueError):
            semaphore.release()

    def test_semaphore_as_a_signal(self):
        semaphore = self.module.Semaphore(0)
        waiting = in_thread(semaphore.acquire)
        semaphore.release()
        self.assertTrue(waiting())
        self.assertFalse(semaphore.acquire(False))

    def test_event(self):
        event = self.module.Event()
        self.assertFalse(event.is_set())
        self.assertFalse(event.wait(0.01))
        waiting = [in_thread(event.wait) for _ in range(3)]
        event.set()
        event.set()
        self.assertEqual([end() for end in waiting], [True] * 3)
        self.assertTrue(event.is_set())
        self.assertTrue(event.wait())
        event.clear()
        event.clear()
        self.assertFalse(event.is_set())

    def test_condition(self):
        condition, items, got = self.module.Condition(), [], []

        def consume():
            with condition:
                condition.wait_for(lambda: items)
                got.append(items.pop(0))

        consumers = [in_thread(consume) for _ in range(3)]
        for number in range(3):
            with condition:
                items.append(number)
                condition.notify()
        for end in consumers:
            end(80)
        self.assertEqual(sorted(got), [0, 1, 2])
        with condition:
            self.assertFalse(condition.wait(0.01))
            self.assertFalse(condition.wait_for(lambda: False, 0.01))
        for use in (condition.wait, condition.notify, condition.notify_all):
            with self.assertRaises(RuntimeError):
                use()

    def test_condition_wakes_as_many_as_asked(self):
        condition, woken, ready = self.module.Condition(), [], []

        def wait(number):
            with condition:
                ready.append(number)
                if condition.wait(80):
                    woken.append(number)

        waiting = [in_thread(wait, number) for number in range(3)]
        wait_until(lambda: len(ready) == 3, "all wait")
        with condition:
            condition.notify(2)
        wait_until(lambda: len(woken) == 2, "two are woken")
        with condition:
            self.assertEqual(len(woken), 2)
            condition.notify_all()
        for end in waiting:
            end(80)
        self.assertEqual(sorted(woken), [0, 1, 2])

    def test_barrier(self):
        done = []
        barrier = self.module.Barrier(3, action=lambda: done.append("action"))
        for turn in (1, 2):
            indexes = [in_thread(barrier.wait) for _ in range(3)]
            self.assertEqual(sorted(end(80) for end in indexes), [0, 1, 2])
            self.assertEqual(done, ["action"] * turn)
        self.assertFalse(barrier.broken)
        with self.assertRaises(threading.BrokenBarrierError):
            barrier.wait(0.05)
        self.assertTrue(barrier.broken)
        barrier.reset()
        self.assertFalse(barrier.broken)
        waiting = in_thread(barrier.wait)
        wait_until(lambda: barrier.n_waiting == 1, "one waits")
        barrier.abort()
        with self.assertRaises(threading.BrokenBarrierError):
            waiting()


class OfThreading(Rules, unittest.TestCase):
    module = threading


class OfNetqueue(Rules, unittest.TestCase):
    @property
    def module(self):
        return net()


def take_and_stay(lock, taken):
    lock.acquire()
    taken.put((os.getpid(), getattr(lock, "fence", None)))
    signal.pause()


def meet(barrier, answers):
    answers.put(barrier.wait(80))


class BetweenProcesses(unittest.TestCase):
    def spawn(self, function, *arguments):
        process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
        process.start()
        self.addCleanup(process.join, 20)
        self.addCleanup(process.kill)
        return process

    def test_a_holder_that_dies_gives_the_lock_back(self):
        lock, taken = net().Lock(name="dying"), net().Queue()
        self.addCleanup(lock.delete)
        first = self.spawn(take_and_stay, lock, taken)
        _, fence = taken.get(timeout=80)
        self.assertFalse(lock.acquire(False))
        first.kill()
        self.assertTrue(lock.acquire(timeout=80))
        self.assertGreater(lock.fence, fence)
        lock.release()

    def test_a_holder_that_dies_gives_its_permit_back(self):
        semaphore, taken = net().Semaphore(1), net().Queue()
        holder = self.spawn(take_and_stay, semaphore, taken)
        taken.get(timeout=80)
        self.assertFalse(semaphore.acquire(False))
        holder.kill()
        self.assertTrue(semaphore.acquire(timeout=80))

    def test_a_signal_is_used_up(self):
        semaphore = net().Semaphore(0)
        semaphore.release(2)
        semaphore.acquire()
        self.assertEqual(semaphore._stats().unfinished, 1)  # the other one; of this one nothing is left to come back

    def test_a_barrier_of_processes(self):
        barrier, answers = net().Barrier(3), net().Queue()
        for _ in range(2):
            self.spawn(meet, barrier, answers)
        mine = barrier.wait(80)
        self.assertEqual(sorted([mine] + [answers.get(timeout=80) for _ in range(2)]), [0, 1, 2])

    def test_the_fence_rises_with_each_holder(self):
        one = net().Lock(name="fenced")
        two = pickle.loads(pickle.dumps(one))
        self.addCleanup(one.delete)
        fences = []
        for lock in (one, two, one, two):
            with lock:
                fences.append(lock.fence)
            self.assertIsNone(lock.fence)
        self.assertEqual(fences, sorted(set(fences)))

    def test_a_waiter_that_died_is_not_notified(self):
        condition, ready = net().Condition(), net().Queue()
        gone = self.spawn(wait_for_ever, condition, ready)
        ready.get(timeout=80)
        woken = in_thread(self.wait_once, condition)
        wait_until(lambda: condition._waiting._stats().ready == 2, "both wait")
        gone.kill()
        queue_of_gone = gone_queue(condition)
        wait_until(lambda: harness.broker.stat(queue_of_gone) is None, "the broker has noticed")
        with condition:
            condition.notify()
        self.assertTrue(woken(30))

    @staticmethod
    def wait_once(condition):
        with condition:
            return condition.wait(80)


def wait_for_ever(condition, ready):
    with condition:
        ready.put("soon")
        condition.wait()


def gone_queue(condition):
    """Whose queue stands first in the condition's list."""
    import netqueue
    names = netqueue.Queue(name=condition._waiting.name, codec="str")
    with names.get_item() as item:
        item.requeue()
        return item.value


if __name__ == "__main__":
    sys.exit(harness.run())
