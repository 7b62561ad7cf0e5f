import multiprocessing
import random

from netqueue import Queue

queue = Queue(name="lecture.process_queue", done="get")


def producer():
    for _ in range(10):
        item = random.randint(0, 256)
        queue.put(item)
        print("Process Producer: item %d appended to queue" % item)
        print("The size of queue is %d" % queue.qsize())


def consumer():
    while True:
        if queue.empty():
            print("the queue is empty")
            break
        print("Process Consumer: item %d popped from queue" % queue.get())


if __name__ == "__main__":
    for role in (producer, consumer):  # one after the other, as in the lecture
        process = multiprocessing.Process(target=role)
        process.start()
        process.join()
