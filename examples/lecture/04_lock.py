import threading
import time

import lecture
from netqueue import Lock

SECONDS = [0.06, 0.05, 0.04, 0.06, 0.05, 0.04, 0.05, 0.03, 0.06, 0.03]  # 0.47 in all, 0.06 at most
lock = Lock()


def hold_while_sleeping(number):
    with lock:
        lecture.say("---> thread %d running" % number)
        time.sleep(SECONDS[number])
        lecture.say("---> thread %d over" % number)


def release_before_sleeping(number):
    with lock:
        lecture.say("---> thread %d running" % number)
    time.sleep(SECONDS[number])
    lecture.say("---> thread %d over" % number)


for way in (hold_while_sleeping, release_before_sleeping):
    began = time.monotonic()
    threads = [threading.Thread(target=way, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lecture.say("%s: --- %.2f seconds ---" % (way.__name__, time.monotonic() - began))
