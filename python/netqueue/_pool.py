"""Pool: map over worker processes on this host and any other.

A task is an item of the pool's queue: function, argument, and where the result is wanted. A worker that dies gives its task back, and another
one works on it, so a function may run more than once; the first result counts.
"""
import multiprocessing
import os
import pickle
import traceback
from types import TracebackType
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple, Type

from ._base import random_name
from ._errors import Empty, NoSuchQueue, ShutDown
from ._queue import Queue

IDLE_LOOK_SECONDS = 0.5  # how often an idle worker of a pool with a name looks whether it shall end


class RemoteTraceback(Exception):
    """Why a task failed, as the worker saw it; the cause of what map raises."""


def _run_task(function: Callable[..., Any], arguments: Tuple[Any, ...]) -> Tuple[bool, Any, str]:
    try:
        return True, function(*arguments), ""
    except Exception as error:  # told to who asked
        return False, error, "%s, process %d:\n%s" % (os.uname().nodename, os.getpid(), traceback.format_exc())


def _answer(results: Queue, index: int, outcome: Tuple[bool, Any, str]) -> None:
    try:
        results.put((index, *outcome))
    except (pickle.PicklingError, TypeError, AttributeError) as error:  # what came out cannot be sent
        results.put((index, False, TypeError("the result cannot be pickled: %s" % error), outcome[2]))
    _remove_made_anew(results)


def _remove_made_anew(results: Queue) -> None:
    """Who waited for the result may have got it from another worker, or has died, and then its queue is gone, and our put has made a new one.
    That one is not temporary, as the one that was waited at."""
    try:
        if not results.stats().temporary:
            results.delete()
    except NoSuchQueue:
        pass


def work(tasks: Queue, ending: Any = None, burst: bool = False) -> int:
    """Work on the tasks of a pool until its queue is shut down, `ending` is set, or (burst) none is left. Returns how many there were."""
    count = 0
    while True:
        try:
            with tasks.get_item(timeout=0 if burst else IDLE_LOOK_SECONDS) as item:
                function, arguments, index, results = item.value
                _answer(results, index, _run_task(function, arguments))
            count += 1
        except Empty:
            if burst or (ending is not None and ending.is_set()):
                return count
        except ShutDown:
            return count


class Pool:
    """The part of multiprocessing.Pool that is map, starmap, imap_unordered and apply.

    processes    workers to start on this host; None: one for each processor; 0: none
    name         the same for `python3 -m netqueue.worker NAME` on other hosts, which work along; None: only ours"""

    def __init__(self, processes: Optional[int] = None, name: Optional[str] = None, server: Optional[str] = None, context: Any = None) -> None:
        self.name = name or random_name("pool")
        context = context or multiprocessing.get_context()
        self._own = name is None
        self._tasks = Queue(0, self.name, server, temporary=name is None)
        self._ending = context.Event()
        count = processes if processes is not None else os.cpu_count() or 1
        self._workers = [context.Process(target=work, args=(self._tasks, self._ending), daemon=True, name="%s-%d" % (self.name, n + 1)) for n in range(count)]
        for worker in self._workers:
            worker.start()

    def _results(self, function: Callable[..., Any], all_arguments: Iterable[Tuple[Any, ...]]) -> Iterator[Tuple[int, Any]]:
        results = Queue(0, None, self._tasks.server, done="get")
        tasks = [(function, arguments, index, results) for index, arguments in enumerate(all_arguments)]
        self._tasks.put_many(tasks)
        missing = set(range(len(tasks)))
        try:
            while missing:
                index, ok, value, trace = results.get()
                if index not in missing:  # worked on twice
                    continue
                missing.discard(index)
                if not ok:
                    raise value from RemoteTraceback("\n" + trace)
                yield index, value
        finally:
            results.delete()

    def starmap(self, function: Callable[..., Any], iterable: Iterable[Iterable[Any]]) -> List[Any]:
        return [value for _, value in sorted(self._results(function, [tuple(arguments) for arguments in iterable]), key=lambda pair: pair[0])]

    def map(self, function: Callable[[Any], Any], iterable: Iterable[Any]) -> List[Any]:
        """[function(x) for x in iterable], by the workers; raises what the function raised."""
        return self.starmap(function, [(argument,) for argument in iterable])

    def imap_unordered(self, function: Callable[[Any], Any], iterable: Iterable[Any]) -> Iterator[Any]:
        """The results as they come."""
        return (value for _, value in self._results(function, [(argument,) for argument in iterable]))

    def apply(self, function: Callable[..., Any], args: Iterable[Any] = ()) -> Any:
        return self.starmap(function, [args])[0]

    def close(self) -> None:
        """The workers of this host end when nothing is left to do."""
        self._ending.set()
        if self._own:
            self._tasks.shutdown()

    def join(self) -> None:
        for worker in self._workers:
            worker.join()

    def terminate(self) -> None:
        for worker in self._workers:
            worker.terminate()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if kind is None:
            self.close()
        else:
            self.terminate()
        self.join()
