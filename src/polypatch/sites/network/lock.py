"""A lock for many who read and one who changes, and a mutex; both can be copied with the model they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType


class SiteLock:
    """Any number of threads may read at once; one that changes something is alone.

    Who waits to change something goes before those who come to read, so that a busy service can be edited. A thread
    that holds the lock may take it again: to read while it reads or changes, to change while it changes. To change
    while it only reads would wait for itself, and is refused.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers: dict[int, int] = {}  # thread -> how often it took the lock
        self._writer, self._depth, self._waiting = 0, 0, 0

    def __reduce__(self) -> tuple[Callable[[], SiteLock], tuple[()]]:
        return SiteLock, ()  # a copy is of another model: nobody holds it

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Inside the block nobody else changes anything."""
        me = threading.get_ident()
        if self._writer == me:
            with self.exclusive():
                yield
            return
        with self._condition:
            if me not in self._readers:
                self._condition.wait_for(lambda: not self._writer and not self._waiting)
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            yield
        finally:
            with self._condition:
                self._readers[me] -= 1
                if not self._readers[me]:
                    del self._readers[me]
                    self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Inside the block nobody else reads or changes anything.

        Raises:
            RuntimeError: this thread is reading.
        """
        me = threading.get_ident()
        with self._condition:
            if me in self._readers:
                raise RuntimeError("a thread that reads an edited model cannot change it before it has done reading")
            if self._writer != me:
                self._waiting += 1
                try:
                    self._condition.wait_for(lambda: not self._writer and not self._readers)
                    self._writer = me
                finally:
                    self._waiting -= 1
                    self._condition.notify_all()
            self._depth += 1
        try:
            yield
        finally:
            with self._condition:
                self._depth -= 1
                if not self._depth:
                    self._writer = 0
                    self._condition.notify_all()


class Mutex:
    """A `threading.RLock` that a copy of its owner has anew."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Callable[[], Mutex], tuple[()]]:
        return Mutex, ()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
