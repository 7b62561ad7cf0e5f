import multiprocessing

import lecture
from netqueue import Queue, ShutDown

numbers = Queue(name="lecture.pipe.1", done="get", temporary=True)
squares = Queue(name="lecture.pipe.2", done="get", temporary=True)


def create_items():
    for item in range(10):
        numbers.put(item)
    numbers.shutdown()  # the end of the pipe


def multiply_items():
    try:
        while True:
            item = numbers.get()
            squares.put(item * item)
    except ShutDown:
        squares.shutdown()


def print_items():
    try:
        while True:
            print(squares.get())
    except ShutDown:
        print("End")


if __name__ == "__main__":
    lecture.run(multiprocessing.Process, create_items, multiply_items, print_items)
