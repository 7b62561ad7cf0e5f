import multiprocessing

from netqueue import Queue


class MyProcess(multiprocessing.Process):
    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def run(self):
        self.lines.put("called run method by %s" % self.name)


if __name__ == "__main__":
    lines = Queue(done="get")
    for _ in range(5):
        process = MyProcess(lines)
        process.start()
        process.join()
    for _ in range(5):
        print(lines.get())
