import multiprocessing

from netqueue import Queue


def work(lines):
    name = multiprocessing.current_process().name
    lines.put("Starting process name = %s" % name)
    lines.put("Exiting process name = %s" % name)


if __name__ == "__main__":
    lines = Queue(done="get")
    named = multiprocessing.Process(name="work process", target=work, args=(lines,))
    unnamed = multiprocessing.Process(target=work, args=(lines,))
    for process in (named, unnamed):
        process.start()
        process.join()
    for _ in range(4):
        print(lines.get())
