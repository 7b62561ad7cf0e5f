import threading

from netqueue import Queue

done = Queue(done="get")


def function(number):
    print("function called by thread", number)
    done.put(number)


for number in range(10):
    thread = threading.Thread(target=function, args=(number,))
    thread.start()
    thread.join()  # one by one: the next starts when this one has ended
print("in the order of:", [done.get() for _ in range(10)])
