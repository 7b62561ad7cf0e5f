import threading

import lecture
from netqueue import RLock


class Box:
    def __init__(self):
        self.lock = RLock(name="lecture.box")
        self.total_items = 0

    def execute(self, value):
        with self.lock:
            self.total_items += value

    def add(self):
        with self.lock:  # and once more inside execute
            self.execute(1)

    def remove(self):
        with self.lock:
            self.execute(-1)


def adder(box, items):
    lecture.say("%d items to ADD" % items)
    while items:
        box.add()
        items -= 1
        lecture.say("ADDED one item --> %d items to ADD" % items)


def remover(box, items):
    lecture.say("%d items to REMOVE" % items)
    while items:
        box.remove()
        items -= 1
        lecture.say("REMOVED one item --> %d items to REMOVE" % items)


box = Box()
threads = [threading.Thread(target=adder, args=(box, 8)), threading.Thread(target=remover, args=(box, 5))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
lecture.say("%d items are in the box" % box.total_items)
