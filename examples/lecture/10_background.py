import multiprocessing

from netqueue import Queue


def work(numbers, lines):
    lines.put("Starting %s" % multiprocessing.current_process().name)
    while True:
        lines.put("---> %d" % numbers.get())
        numbers.task_done()


if __name__ == "__main__":
    numbers, lines = Queue(), Queue(done="get")
    multiprocessing.Process(name="background process", target=work, args=(numbers, lines), daemon=True).start()
    for number in range(5):
        numbers.put(number)
    numbers.join()
    for _ in range(6):
        print(lines.get())
    print("the program ends, and the background process with it")
