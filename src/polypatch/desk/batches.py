"""Batches: the texts of requests that come at once, answered in one pass."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from polypatch.edits import Text

A = TypeVar("A")

MOST = 64
"""Texts of a batch, where one request alone has no more."""

WAIT = 0.002
"""Seconds that a batch waits for further requests."""


@dataclass(frozen=True)
class _Request(Generic[A]):
    texts: Sequence[Text]
    answers: Future[list[A]] = field(default_factory=Future)


class Batches(Generic[A]):
    """Answers requests from many threads in batches, in a thread of its own. A request is never in two batches.

    Args:
        answer: gives an answer for each text, in order.
        most: texts of a batch; a request with more is a batch of its own.
        wait: seconds that a batch waits for further requests, once there is one.
    """

    def __init__(self, answer: Callable[[list[Text]], list[A]], *, most: int = MOST, wait: float = WAIT) -> None:
        self.answer, self.most, self.wait = answer, most, wait
        self._waiting: queue.SimpleQueue[_Request[A] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="polypatch-batches", daemon=True)
        self._thread.start()

    def __call__(self, texts: Sequence[Text]) -> list[A]:
        """The answers; whatever `answer` raises for these texts."""
        request: _Request[A] = _Request(list(texts))
        self._waiting.put(request)
        return request.answers.result()

    def close(self) -> None:
        """Answer what waits, and stop."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        held: _Request[A] | None = None
        while True:
            first = held or self._waiting.get()
            if first is None:
                return
            batch, held, last = self._gather(first)
            self._do(batch)
            if last:
                return

    def _gather(self, first: _Request[A]) -> tuple[list[_Request[A]], _Request[A] | None, bool]:
        """A batch; the request that did not fit any more; whether it is the last batch."""
        batch, size, until = [first], len(first.texts), time.monotonic() + self.wait
        while size < self.most:
            try:
                more = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if more is None:
                return batch, None, True
            if size + len(more.texts) > self.most:
                return batch, more, False
            batch.append(more)
            size += len(more.texts)
        return batch, None, False

    def _do(self, batch: Sequence[_Request[A]]) -> None:
        try:
            answers = self.answer([text for request in batch for text in request.texts])
        except BaseException as error:
            if len(batch) == 1:
                batch[0].answers.set_exception(error)
                return
            for request in batch:  # one that cannot be answered must not keep the others from it
                self._do([request])
            return
        start = 0
        for request in batch:
            request.answers.set_result(answers[start : start + len(request.texts)])
            start += len(request.texts)
