"""The interpreter's own tests of the module queue (Debian: libpython3.11-testsuite), with its classes replaced by ours.

What is left out, and why:
  LifoQueue, PriorityQueue           not offered: a broker's queues are FIFO (docs/python.md)
  FailingQueueTest                   overrides _put and _get, which are not public
  BaseSimpleQueueTest.test_references   puts objects of a class inside a function, which cannot be pickled, and asks for their identity
  CSimpleQueueTest.test_reentrancy, test_is_default   ask for the C implementation of the module queue
"""
import sys
import unittest

import harness

try:
    from test import test_queue as cpython
except ImportError:
    cpython = None


def set_up():
    import netqueue

    class QueueTest(cpython.QueueTest, unittest.TestCase):
        queue = netqueue

    class SimpleQueueTest(cpython.BaseSimpleQueueTest, unittest.TestCase):
        queue = netqueue

        def setUp(self):
            self.type2test = netqueue.SimpleQueue
            super().setUp()

        test_references = None

    globals().update(PublicQueueTest=QueueTest, PublicSimpleQueueTest=SimpleQueueTest)


if __name__ == "__main__":
    if cpython is None:
        print("skipped: this interpreter has no test.test_queue (Debian: libpython3.11-testsuite)")
        sys.exit(harness.SKIPPED)
    sys.exit(harness.run(prepare=set_up))
