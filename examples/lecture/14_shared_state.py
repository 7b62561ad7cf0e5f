import multiprocessing

from netqueue import Lock, Queue


class SharedDictionary:
    """A dictionary that lies in a queue as its one item; the lock makes read, change and write one step."""

    def __init__(self):
        self.lock, self.state = Lock(), Queue(1, done="get")
        self.state.put({})

    def change(self, key, value):
        with self.lock:
            dictionary = self.state.get()
            dictionary[key] = value
            self.state.put(dictionary)

    def copy(self):
        with self.lock:
            dictionary = self.state.get()
            self.state.put(dictionary)
            return dictionary


def worker(dictionary, key, item):
    dictionary.change(key, item)


if __name__ == "__main__":
    dictionary = SharedDictionary()
    jobs = [multiprocessing.Process(target=worker, args=(dictionary, i, i * 2)) for i in range(10)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    for key, value in sorted(dictionary.copy().items()):
        print("key = %d value = %d" % (key, value))
