import multiprocessing

from netqueue import Queue


def count(number, lines):
    lines.put("calling count from process %d" % number)
    for j in range(number):
        lines.put("output from process %d is: %d" % (number, j))
    lines.put(None)


if __name__ == "__main__":
    lines = Queue(done="get")
    for number in range(6):
        process = multiprocessing.Process(target=count, args=(number, lines))
        process.start()
        for line in iter(lines.get, None):
            print(line)
        process.join()
