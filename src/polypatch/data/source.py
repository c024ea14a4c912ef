"""Where a run's data came from, so that they are found again without being named: a specification and its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polypatch.edits import Lang
from polypatch.errors import ArtefactError

WORLD, SPEAKING_WORLD = "world", "speaking-world"

WORLDS = (WORLD, SPEAKING_WORLD)
"""Names that are model and data in one."""


@dataclass(frozen=True)
class DataSource:
    """What `load_data` was given.

    Attributes:
        spec: ``format:place``, with an absolute place; or the name of a world.
        languages: those that were read, the source first; empty for all there are.
        sizes: of the sampled sets, where they differ from the data's own.
        seed: of the sampling; of the world.
        parallel: the file of parallel text in place of the data's own; empty for none.
    """

    spec: str
    languages: tuple[Lang, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    parallel: str = ""

    def to_plain(self) -> dict[str, Any]:
        """For JSON; `source_from_plain` reads it back."""
        return {**asdict(self), "languages": list(self.languages)}


def absolute(spec: str) -> str:
    """A specification that means the same in any working directory."""
    if not spec or spec in WORLDS:
        return spec
    name, colon, place = spec.partition(":")
    if colon and Path(place).exists():
        return f"{name}:{Path(place).absolute()}"
    return str(Path(spec).absolute()) if Path(spec).exists() else spec


def source_from_plain(plain: Mapping[str, Any], where: str) -> DataSource:
    """What `DataSource.to_plain` made.

    Raises:
        ArtefactError: it is not that.
    """
    kinds: dict[str, type] = {"spec": str, "languages": list, "sizes": dict, "seed": int, "parallel": str}
    fits = plain.keys() == kinds.keys() and all(type(plain[name]) is kind for name, kind in kinds.items())
    if not fits or not all(isinstance(lang, str) for lang in plain["languages"]):
        raise ArtefactError(f"{where}: data should hold {', '.join(kinds)}")
    if not all(type(size) is int for size in plain["sizes"].values()):
        raise ArtefactError(f"{where}: the sizes of data are whole numbers")
    return DataSource(**{**plain, "languages": tuple(plain["languages"])})
