"""netqueue.aio.Queue: the interface of asyncio.Queue."""
import asyncio
import sys
import unittest
from unittest import mock

import harness


class Asyncio(unittest.TestCase):
    def run_async(self, test):
        async def bounded():
            await asyncio.wait_for(test(), 80)
        asyncio.run(bounded())

    def queue(self, *arguments, **options):
        from netqueue import aio
        return aio.Queue(*arguments, **options)

    def test_workers(self):
        async def test():
            q, done = self.queue(3), []

            async def work():
                while True:
                    done.append(await q.get())
                    q.task_done()

            tasks = [asyncio.create_task(work()) for _ in range(3)]
            for number in range(50):
                await q.put(number)
            await q.join()
            self.assertEqual(sorted(done), list(range(50)))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with self.assertRaises(ValueError):
                q.task_done()
        self.run_async(test)

    def test_full_empty_and_shut_down_are_asyncios(self):
        async def test():
            from netqueue import aio
            q = self.queue(1)
            self.assertTrue(q.empty())
            q.put_nowait("item")
            self.assertTrue(q.full())
            with self.assertRaises(asyncio.QueueFull):
                q.put_nowait("more")
            self.assertEqual(q.get_nowait(), "item")
            with self.assertRaises(asyncio.QueueEmpty):
                q.get_nowait()
            q.maxsize = 2
            q.shutdown()
            with self.assertRaises(aio.QueueShutDown):
                await q.put("late")
            with self.assertRaises(aio.QueueShutDown):
                await q.get()
        self.run_async(test)

    def test_nobody_waits_for_a_connection_that_is_closed_just_then(self):
        async def test():
            import netqueue
            q = self.queue()
            hub, submit = q._hub, q._hub.submit

            def close_and_submit(entry):
                netqueue.close(harness.broker.endpoint)
                submit(entry)

            with mock.patch.object(hub, "submit", close_and_submit):
                with self.assertRaises(netqueue.Closed):
                    await q.get()
        self.run_async(test)

    def test_a_cancelled_get_takes_nothing(self):
        async def test():
            q = self.queue()
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(q.get(), 0.05)
            self.assertEqual(q.stats().waiting_gets, 0)  # the broker knows that nobody waits
            await q.put("item")
            self.assertEqual(await q.get(), "item")
            q.task_done()
            await q.join()
        self.run_async(test)

    def test_items_on_lease(self):
        async def test():
            q = self.queue()
            await q.put("work")
            with self.assertRaises(ZeroDivisionError):
                async with q.get_item() as item:
                    raise ZeroDivisionError
            async with q.get_item() as item:
                self.assertEqual((item.value, item.deliveries, item.failures), ("work", 2, 1))
                await item.extend(5)
            self.assertEqual(q.stats().unfinished, 0)
        self.run_async(test)


if __name__ == "__main__":
    sys.exit(harness.run())
