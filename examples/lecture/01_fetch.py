import asyncio
import sys
import urllib.request

from netqueue.aio import Queue


async def fetch(urls, results):
    while True:
        url = await urls.get()
        print("fetching", url)
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        await results.put((url, len(page)))
        urls.task_done()


async def main(addresses):
    urls, results = Queue(), Queue(done="get")
    fetchers = [asyncio.create_task(fetch(urls, results)) for _ in range(3)]
    for url in addresses:
        await urls.put(url)
    await urls.join()
    for fetcher in fetchers:
        fetcher.cancel()
    gathered = dict([await results.get() for _ in addresses])
    for url in addresses:
        print(url, "has", gathered[url], "bytes")


asyncio.run(main(sys.argv[1:]))
