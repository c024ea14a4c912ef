"""The desk: an edited model as a web page and as an HTTP service, for several people at once (extra `desk`)."""

from __future__ import annotations

from polypatch.desk.batches import Batches
from polypatch.desk.desk import Desk, Shown, Task
from polypatch.desk.space import Space, write_space

__all__ = ["Batches", "Desk", "Shown", "Space", "Task", "write_space"]
