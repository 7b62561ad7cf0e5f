import random
import threading

import lecture
from netqueue import Event, Queue

items = Queue(name="lecture.event.items", done="get")
event = Event(name="lecture.event")
taken = Event(name="lecture.event.taken")


def consumer():
    for _ in range(5):
        event.wait()
        event.clear()
        lecture.say("Consumer: item %d popped by %s" % (items.get(), lecture.my_name()))
        taken.set()


def producer():
    for _ in range(5):
        item = random.randint(0, 100)
        items.put(item)
        lecture.say("Producer: item %d appended by %s" % (item, lecture.my_name()))
        lecture.say("Producer: event set by %s" % lecture.my_name())
        taken.clear()
        event.set()
        taken.wait()


lecture.run(threading.Thread, consumer, producer)
