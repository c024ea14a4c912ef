"""BenchSpec: which model and which data, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polypatch.data import load_data
from polypatch.data.aligned import read_aligned
from polypatch.data.source import WORLD, WORLDS
from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.runs.workbench import Workbench
from polypatch.sites import load_checkpoint
from polypatch.sites.network.device import device_named
from polypatch.sites.readouts.prompts import MOST
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.world import world_named

OnStage = Callable[[str, int, int], None]
"""Called as (what is being done, done, in all)."""


@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """Which model and which data, as plain data; `open` loads them.

    Attributes:
        model: a checkpoint folder, a hub name, ``world`` or ``speaking-world``.
        data: what `load_data` takes (``massive:FOLDER``), or that world again.
        languages: the languages to read, the source first, ``de?`` where there is one; empty for all there are.
        sizes: sizes of memory and locality sets that differ from the data's defaults.
        parallel: a file of parallel text (`read_aligned`) to map queries by, in place of the data's own.
        seed: of the world, or of the sampling of memory and locality sets.
        cache_dir: where queries are kept on disk; None keeps them in memory.
        world_dir: the cache that holds the world; None for the user's.
        nets_dir: where trained nets of editors are kept, for runs that have one.
        half: keep queries in half precision.
        double: compute in double precision.
        device: where to compute: ``cpu``, ``cuda``, ``auto``.
        most, chat: how a language model writes, as `polypatch.Encoding` has them.
    """

    model: str = WORLD
    data: str = WORLD
    languages: tuple[Lang, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    parallel: str = ""
    seed: int = 0
    cache_dir: str | None = None
    world_dir: str | None = None
    nets_dir: str | None = None
    half: bool = False
    double: bool = False
    device: str = "cpu"
    most: int = MOST
    chat: bool = False

    def open(self, progress: OnStage | None = None) -> Workbench:
        """Load model and data; builds the world where it is not there yet."""

        def stage(name: str) -> Callable[[int, int], None] | None:
            return None if progress is None else lambda done, total: progress(name, done, total)

        cache = Path(self.cache_dir) if self.cache_dir else None
        if self.model in WORLDS or self.data in WORLDS:
            if self.model != self.data:
                raise InputError("a world's model goes with that world's data: give its name for both or for neither")
            building = None if progress is None else lambda done, total, what: progress(what, done, total)
            world: Any = world_named(self.model, self.seed, self.world_dir, building)
            model, tokenizer, data = world.model, world.tokenizer, world.data
        else:
            source, some = (*self.languages, "en")[0], self.languages or None
            data = load_data(self.data, languages=some, source=source, sizes=self.sizes, seed=self.seed)
            model, tokenizer = load_checkpoint(self.model)
        if self.parallel:
            texts = read_aligned(Path(self.parallel), data.edits[0].source if data.edits else "en")
            data = dataclasses.replace(data, parallel=texts)
        model = (model.double() if self.double else model).to(device_named(self.device))
        readout = ReadoutSettings(None, self.most, self.chat)
        encoding = stage("encoding")
        bench = Workbench(model, tokenizer, data, cache_dir=cache, half=self.half, encoding=encoding, readout=readout)
        bench.nets.folder = Path(self.nets_dir) if self.nets_dir else None
        return bench
