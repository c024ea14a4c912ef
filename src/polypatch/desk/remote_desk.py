"""RemoteDesk: stands for a desk whose writer and replicas are elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from polypatch.desk.edition import Edition
from polypatch.desk.reader import Version
from polypatch.edits import Edit, Text
from polypatch.errors import PolypatchError, UnavailableError
from polypatch.model.explain import Explanation
from polypatch.model.fix import Fix
from polypatch.store.history import HistoryLine

RemoteCall: TypeAlias = Callable[..., Any]
"""Calls a method by name, with arguments, of what is elsewhere; UnavailableError where nobody answered."""

PATIENCE = 120.0
"""Seconds in which a question is asked again, of another replica where there is one."""

PAUSE = 0.1
"""Seconds between."""

CHANGES = 16
"""Changes that wait for the writer, at most: those who only ask need the threads, too."""


class RemoteDesk:
    """Asks replicas and has the writer make changes; for a service it is a `Desk`.

    What was answered here is never taken back by a later answer: every question names the newest edition that was heard
    of, and is answered by that one or a newer one. So a request that comes after the answer to a fix sees the fix.

    A question whose replica was lost is asked again. A change is not: nobody knows whether it was made.

    Args:
        name: of the model, for people.
        writer: calls the `polypatch.desk.replicas.Writer`, and has the patience that a change takes.
        news: calls it, too, with the little patience that those have whose answer is there already.
        replicas: calls any `polypatch.desk.replicas.Replica`.

    Raises:
        UnavailableError: the writer does not answer.
    """

    def __init__(self, name: str, writer: RemoteCall, news: RemoteCall, replicas: RemoteCall) -> None:
        self.name, self._writer, self._news, self._replicas = name, writer, news, replicas
        self._lock, self._waiting = threading.Lock(), threading.BoundedSemaphore(CHANGES)
        self._edition: Edition
        self._edition, self.writes = writer("edition")

    @property
    def edition(self) -> Edition:
        """The newest one that was heard of."""
        return self._edition

    @property
    def inside(self) -> int:
        """As `Reader.inside`."""
        return self._edition.edits

    @property
    def patches(self) -> int:
        """As `Reader.patches`."""
        return self._edition.patches

    def answers(self, texts: Sequence[Text]) -> Version:
        """As `Reader.answers`."""
        found: Version = self._asked("answers", list(texts))
        return found

    def why(self, text: Text) -> Explanation:
        """As `Reader.why`."""
        found: Explanation = self._asked("why", text)
        return found

    def history(self) -> list[HistoryLine]:
        """As `Reader.history`."""
        found: list[HistoryLine] = self._asked("history")
        return found

    def trial(self, edit: Edit) -> Fix:
        """As `Desk.trial`."""
        found: Fix = self._changed("trial", edit)
        return found

    def keep(self, edit: Edit) -> Fix:
        """As `Desk.keep`."""
        found: Fix = self._changed("keep", edit)
        return found

    def revert(self, edit_ids: Sequence[str]) -> None:
        """As `Desk.revert`."""
        self._changed("revert", list(edit_ids))

    def _asked(self, question: str, *given: Any) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                edition, found = self._replicas("ask", self._edition, question, *given)
            except UnavailableError:
                if time.monotonic() > until:
                    raise
                time.sleep(PAUSE)
            else:
                with suppress(UnavailableError):  # what is known stays what is asked for
                    self._heard_of(edition)
                return found

    def _changed(self, change: str, given: Any) -> Any:
        if not self._waiting.acquire(blocking=False):
            raise UnavailableError(f"{CHANGES} changes wait for the writer already; ask again")
        try:
            edition, found = self._writer(change, given)
            self._heard_of(edition)
        except UnavailableError as error:
            raise UnavailableError(
                f"{error}; whether the change was made is in the history once there is a writer again: look there first"
            ) from error
        except PolypatchError:  # a disk may refuse what the model has already
            with suppress(UnavailableError):
                self._heard_of(self._news("edition")[0])
            raise
        finally:
            self._waiting.release()
        return found

    def _heard_of(self, edition: Edition) -> None:
        """Keep the newest. Of two writers the one that is there now is asked, which has all that the other answered."""
        if self._edition.holds(edition):
            return
        if edition.writer != self._edition.writer:
            edition, _ = self._news("edition")
        with self._lock:
            if not self._edition.holds(edition):
                self._edition = edition
