"""Saved edits with the model they belong to, for the verbs that read them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.cli.console import Bars
from polypatch.cli.options import require_model
from polypatch.data import EditingData, load_data
from polypatch.data.memory import MemoryTexts
from polypatch.data.source import WORLDS, DataSource
from polypatch.edited_model import EditedModel
from polypatch.edits import Lang
from polypatch.errors import DataError, InputError
from polypatch.outcomes import EditRecord
from polypatch.sites import FrozenTail, load_checkpoint
from polypatch.sites.network.device import device_named
from polypatch.store.artefact import Artefact, read_artefact
from polypatch.world import World, name_of_world, world_named
from polypatch.world.speaking import SpeakingWorld


@dataclass
class Saved:
    """A folder of edits, and what was said about model and data.

    Attributes:
        folder: the saved edits.
        model: a checkpoint, or ``world``; None for the one that the edits name.
        data: what `load_data` takes, or ``world``; None for the world's where the model is the world's.
        seed: of the world and of sampled sets; None for the edits' own.
        device: where the model computes: ``cpu``, ``cuda``, ``auto``.
        bars: told about a world that must be built.
    """

    folder: Path
    bars: Bars
    model: str | None = None
    data: str | None = None
    seed: int | None = None
    device: str = "cpu"

    @cached_property
    def artefact(self) -> Artefact:
        """What the folder says, without the tensors."""
        return read_artefact(self.folder, tensors=False)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the edits."""
        return dict(self.artefact.config)

    @property
    def records(self) -> tuple[EditRecord, ...]:
        """Their history."""
        return self.artefact.records

    @property
    def base(self) -> str:
        """The model's name: given, or the edits' own."""
        name = self.model or str(self.config["base_model"])
        if not name:
            raise InputError(f"{self.folder}: these edits do not name their model; name it with --model")
        return name_of_world(name) or name

    @property
    def data_spec(self) -> str:
        """Where the data are."""
        if self.data is not None:
            return self.data
        if self._own is not None:
            return self._own.spec
        if self.base not in WORLDS:
            raise InputError("--data is missing: say on what, such as --data jsonl:edits.jsonl")
        return self.base

    @property
    def _own(self) -> DataSource | None:
        """The data of the run that made the edits, unless others are named."""
        return self.artefact.data if self.data is None else None

    @cached_property
    def world(self) -> World | SpeakingWorld:
        """The world, built if it is not there."""
        return world_named(
            self.base, self._seed, progress=lambda done, total, what: self.bars.opening(what, done, total)
        )

    @property
    def _seed(self) -> int:
        if self.seed is not None:
            return self.seed
        return int(self.config["seed"]) if self._own is None else self._own.seed

    def read(self, languages: tuple[Lang, ...], sizes: dict[str, int]) -> EditingData:
        """The data: those named, else those of the run, as it read them."""
        if self.data_spec in WORLDS:
            return self.world.data
        if self._own is not None:
            languages, sizes = languages or self._own.languages, {**self._own.sizes, **sizes}
        source = languages[0] if languages else "en"
        return load_data(self.data_spec, languages=languages or None, source=source, sizes=sizes, seed=self._seed)

    def attach(self, memory: MemoryTexts | None = None) -> EditedModel:
        """The edits on their model, with their memory where further edits or pruning need it.

        Raises:
            ArtefactError: they belong to another model.
        """
        model, tokenizer = self._checkpoint()
        model.to(device_named(self.device))
        edited = EditedModel.from_pretrained(self.folder, model=model, tokenizer=tokenizer, memory=memory)
        if isinstance(edited.tail, FrozenTail):
            edited.tail.progress = lambda done, total: self.bars.opening("encoding", done, total)
        return edited

    def _checkpoint(self) -> tuple[nn.Module, PreTrainedTokenizerBase]:
        if self.base in WORLDS:
            return self.world.model, self.world.tokenizer
        try:
            return load_checkpoint(require_model(self.base))
        except InputError as error:
            if self.model is None:
                raise DataError(f"{error}. The edits name this model: say where it is with --model") from error
            raise
