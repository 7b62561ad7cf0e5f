import logging
import random
import threading

import lecture
from netqueue import Queue, Semaphore

semaphore = Semaphore(0, name="lecture.semaphore")
items = Queue(name="lecture.semaphore.item", done="get")


def consumer():
    for _ in range(10):
        logging.info("Consumer is waiting")
        semaphore.acquire()
        logging.info("Consumer notify: item number %d", items.get())


def producer():
    for _ in range(10):
        item = random.randint(0, 1000)
        logging.info("Producer notify: item number %d", item)
        items.put(item)
        semaphore.release()


lecture.run(threading.Thread, consumer, producer)
