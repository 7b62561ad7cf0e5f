import sys
import threading
import urllib.request

import lecture
from netqueue import Queue

urls, sizes = Queue(), Queue(done="get")


def download():
    while True:
        url = urls.get()
        page = urllib.request.urlopen(url).read()
        lecture.say("downloaded %s: %d bytes" % (url, len(page)))
        sizes.put(len(page))
        urls.task_done()


for _ in range(3):
    threading.Thread(target=download, daemon=True).start()
for url in sys.argv[1:]:
    urls.put(url)
urls.join()
lecture.say("all %d downloads are complete, %d bytes" % (len(sys.argv) - 1, sum(sizes.get() for _ in sys.argv[1:])))
