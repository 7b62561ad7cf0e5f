import logging
import sys
import threading

from netqueue import Condition

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(threadName)s %(levelname)s %(message)s")
items = []
condition = Condition()


def consume():
    with condition:
        while not items:
            logging.info("no items to consume")
            condition.wait()
        items.pop()
        logging.info("consumed 1 item")
        condition.notify()


def produce():
    with condition:
        while len(items) == 3:
            logging.info("items produced %d. Stopped", len(items))
            condition.wait()
        items.append(1)
        logging.info("total items %d", len(items))
        condition.notify()


def repeat(step):
    for _ in range(10):
        step()


threads = [threading.Thread(target=repeat, args=(consume,), name="Consumer"), threading.Thread(target=repeat, args=(produce,), name="Producer")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
