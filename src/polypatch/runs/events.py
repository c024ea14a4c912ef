"""What a grid tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from polypatch.sites.encoding.query_cache import CacheSummary


@dataclass(frozen=True)
class Event:
    """Something moved: job number `job` (or None: a workbench is being opened) has done so much.

    Attributes:
        job: position in the list of jobs; None while model and data are made ready.
        what: the run's name, or what is being made ready.
        done, total: edits, texts or steps.
    """

    job: int | None
    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Encoded:
    """All texts of one workbench have their queries.

    Attributes:
        texts: distinct texts it has.
        fresh: how many of them had to be encoded now.
        cache: what the cache holds, of this and of other workbenches, and the room it takes.
        seconds: from the first of them to the last, whoever encoded them.
    """

    texts: int
    fresh: int
    cache: CacheSummary
    seconds: float


@dataclass(frozen=True)
class Finished:
    """A job is done, or was done before (`stored`)."""

    job: int
    stored: bool = False


OnEvent: TypeAlias = Callable[[Event | Encoded | Finished], None]
