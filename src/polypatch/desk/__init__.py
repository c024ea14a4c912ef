"""The desk: an edited model as a web page and as an HTTP service, for several people at once (extra `desk`)."""

from __future__ import annotations

from polypatch.desk.batches import Batches
from polypatch.desk.desk import Desk, Task
from polypatch.desk.reader import Reader, Shown
from polypatch.desk.space import Space, write_space

__all__ = ["Batches", "Desk", "Reader", "Shown", "Space", "Task", "write_space"]
