"""MASSIVE and XNLI as `datasets` hub rows; the rows are aligned and assembled by `massive` and `xnli`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from polypatch.data import massive, xnli
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang
from polypatch.errors import DataError

_SPLITS = {"train": "train", "validation": "dev", "dev": "dev", "test": "test"}
"""The hub's split names (and MASSIVE's own partition names) to ours."""
