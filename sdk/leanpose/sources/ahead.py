"""Running an iterator ahead in a thread, behind a bounded queue."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from inspect import GEN_RUNNING, getgeneratorstate
from time import perf_counter
from typing import Generic, TypeVar

logger = logging.getLogger("leanpose")

T = TypeVar("T")

_PATIENCE = 10.0  # seconds that closing waits for an item under way, as a camera that hangs may never deliver it


class _Shared(Generic[T]):
    """What both threads see, guarded by `changed`. Its lock is re-entrant: a finaliser may run in either thread."""

    def __init__(self, items: Iterator[T], release: Callable[[], None], room: int) -> None:
        self.items, self.release, self.room = items, release, room
        self.changed = threading.Condition()
        self.ready: deque[T] = deque()
        self.closed = self.done = False
        self.error: BaseException | None = None
        self.seconds = 0.0

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.ready.clear()
            self.changed.notify_all()

    def timed(self) -> Generator[T, None, None]:
        """The items; `seconds` grows by what each takes."""
        try:
            while not self.closed:
                start = perf_counter()
                try:
                    item = next(self.items)
                except StopIteration:
                    return
                finally:
                    self.seconds += perf_counter() - start
                yield item
        finally:
            self.release()


class Ahead(Iterator[T]):
    """The items of an iterator, made in a thread up to `room` items ahead of who takes them.

    None is lost or repeated; what the iterator raises is raised after the items before it. The thread starts with the
    first item that is asked for and ends with the items, with `close`, or when the object is no longer in use; with it
    goes what the iterator holds, by `release`. A room of 0 makes each item when it is asked for, without a thread.
    """

    def __init__(self, items: Iterator[T], release: Callable[[], None], room: int) -> None:
        self._shared = _Shared(items, release, room)
        self._here = self._shared.timed() if room == 0 else None
        self._thread: threading.Thread | None = None
        # The thread knows only what is shared, so that this object can go out of use while it runs.
        weakref.finalize(self, self._shared.close)

    @property
    def seconds(self) -> float:
        """That making the items took so far, waiting for room not counted."""
        return self._shared.seconds

    def __next__(self) -> T:
        shared = self._shared
        if self._here is not None:
            item = next(self._here)
            if shared.closed:  # meanwhile, when it could not end
                self._here.close()
                raise StopIteration
            return item
        if shared.closed:
            raise StopIteration
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(shared,), name="leanpose-source", daemon=True)
            self._thread.start()
        with shared.changed:
            while not (shared.ready or shared.done or shared.closed):
                shared.changed.wait()
            if shared.ready:
                item = shared.ready.popleft()
                shared.changed.notify_all()
                return item
            error, shared.error = shared.error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Ends the thread, once the item under way is made, and releases what the iterator holds."""
        self._shared.close()
        if self._here is not None and getgeneratorstate(self._here) == GEN_RUNNING:
            return  # in another thread, or for an iterable that closes its source: `__next__` ends it
        if self._thread is None:
            if self._here is not None:
                self._here.close()
            self._shared.release()
        elif self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                logger.warning("a source still waits for its next frame; its thread ends when that comes")


def _work(shared: _Shared[T]) -> None:
    try:
        for item in shared.timed():
            with shared.changed:
                while len(shared.ready) >= shared.room and not shared.closed:
                    shared.changed.wait()
                if shared.closed:
                    break
                shared.ready.append(item)
                shared.changed.notify_all()
    except BaseException as error:  # the thread that takes the items raises it
        shared.error = error
    finally:
        with shared.changed:
            shared.done = True
            shared.changed.notify_all()
