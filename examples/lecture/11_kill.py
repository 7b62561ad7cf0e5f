import multiprocessing
import signal

from netqueue import Queue


def work(queue, taken):
    queue.get()
    taken.put(True)
    signal.pause()  # for ever


if __name__ == "__main__":
    queue, taken = Queue(), Queue()
    queue.put("the item")
    process = multiprocessing.Process(target=work, args=(queue, taken))
    print("Process before execution:", process.is_alive())
    process.start()
    taken.get()
    print("Process running:", process.is_alive(), "- items to get:", queue.qsize())
    process.kill()
    process.join()
    print("Process joined:", process.is_alive())
    print("Process exit code:", process.exitcode)
    with queue.get_item() as item:  # its connection is gone; the broker gives the item to the next
        print("it came back: %s, delivery %d, failures %d" % (item.value, item.deliveries, item.failures))
