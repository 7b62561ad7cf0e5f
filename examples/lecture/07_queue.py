import threading

import lecture
from netqueue import Queue

queue = Queue(name="lecture.queue")


def producer():
    for number in range(6):
        queue.put(number)
        lecture.say("Producer notify: item %d appended to queue by %s" % (number, lecture.my_name()))
    for _ in range(3):
        queue.put(None)
    queue.join()


def consumer():
    while True:
        item = queue.get()
        if item is not None:
            lecture.say("Consumer notify: %d popped from queue by %s" % (item, lecture.my_name()))
        queue.task_done()
        if item is None:
            return


lecture.run(threading.Thread, producer, consumer, consumer, consumer)
