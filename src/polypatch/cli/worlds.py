"""The work behind ``polypatch world``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from polypatch.cli.console import Bars
from polypatch.data.record import record_from_edit
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError
from polypatch.evaluation.strict_json import to_json
from polypatch.files import writing
from polypatch.rendering.grid import Grid, labels
from polypatch.world import (
    World,
    WorldConfig,
    WorldSummary,
    build_world,
    describe,
    load_world,
    shipped_folder,
    world_path,
)


@dataclass(frozen=True)
class Built:
    """Where the world is, and whether it was there already, or comes with polypatch."""

    path: Path
    seed: int
    seconds: float
    new: bool
    ours: bool = False

    def __str__(self) -> str:
        if self.ours:
            how = "comes with polypatch, the same for everybody; --cache-dir DIR builds one of your own"
        else:
            how = f"built in {self.seconds:.0f} s" if self.new else "was there already; --force builds it again"
        return f"{self.path}: {how}"

    def to_json(self) -> str:
        """For ``--json``."""
        return to_json(asdict(self))


def built(seed: int, force: bool, cache_dir: Path | None, bars: Bars) -> Built:
    """Build the world of `seed` unless it is there.

    Raises:
        InputError: the one that comes with polypatch was to be built again.
    """
    if cache_dir is None and (here := shipped_folder(seed, WorldConfig())):
        if force:
            raise InputError(
                f"--force: the world of seed {seed} comes with polypatch; add --cache-dir DIR to build one"
            )
        return Built(here, seed, 0.0, new=False, ours=True)
    path = world_path(seed, WorldConfig(), cache_dir)
    steps: list[int] = []

    def progress(done: int, total: int, stage: str) -> None:
        steps.append(done)
        bars.opening(stage, done, total)

    started = time.perf_counter()
    with writing(path.parent):
        if force and path.exists():
            shutil.rmtree(path)
        path = build_world(seed, cache_dir, progress)
    return Built(path, seed, time.perf_counter() - started, new=bool(steps))


@dataclass(frozen=True)
class View:
    """A world's figures, and what its model says to a few edits."""

    summary: WorldSummary
    said: Sequence[dict[Lang, str]]

    @classmethod
    def of(cls, seed: int, examples: int, cache_dir: Path | None, bars: Bars) -> View:
        """Measure the world of `seed`; builds it if it is not there."""
        world = load_world(seed, cache_dir, lambda done, total, what: bars.opening(what, done, total))
        summary = describe(world, examples)
        return cls(summary, [_said(world, edit) for edit in summary.examples])

    def to_json(self) -> str:
        """For ``--json``."""
        plain = {name: getattr(self.summary, name) for name in self.summary.__slots__ if name != "examples"}
        examples = [
            {**record_from_edit(edit), "says": said}
            for edit, said in zip(self.summary.examples, self.said, strict=True)
        ]
        return to_json({**plain, "examples": examples})

    def show(self, console: Console) -> None:
        """For people."""
        one = self.summary
        console.print(f"World of seed {one.seed}: {one.path}", soft_wrap=True)
        console.print(f"A BERT of {one.parameters:,} parameters, {one.vocabulary:,} word pieces.")
        console.print(_sets(one).to_console())
        console.print(_languages(one).to_console())
        console.print(
            f"Edits wrong before: {100 * one.wrong_source:.1f} % in English, {100 * one.wrong_any:.1f} % in some "
            f"language, {100 * one.wrong_all:.1f} % in all six. {100 * one.supports:.1f} % are labelled SUPPORTS.\n"
        )
        for edit, said in zip(one.examples, self.said, strict=True):
            console.print(Text(f"{edit.id}: should be {edit.target_in(edit.source)}", style="italic"))
            console.print(_example(edit, said).to_console())


def _said(world: World, edit: Edit) -> dict[Lang, str]:
    return dict(zip(edit.languages, world.predict([edit.prompt[lang] for lang in edit.languages]), strict=True))


def _sets(one: WorldSummary) -> Grid:
    """Rows of the sets, the languages of a locality set beside each other."""
    rows = []
    for name, count in one.counts.items():
        if "." not in name:
            others = [str(one.counts.get(f"{name}.{lang}", "")) for lang in list(one.accuracy)[1:]]
            rows.append((f"locality {name}" if name in one.locality else name, str(count), *others))
    return labels(("Texts", *one.accuracy), rows, numbers=len(one.accuracy))


def _languages(one: WorldSummary) -> Grid:
    rows = {"edits": one.accuracy, "their rephrases": one.rephrase_accuracy}
    for name in ("train", "test"):
        found = {lang: one.locality.get(name if i == 0 else f"{name}.{lang}") for i, lang in enumerate(one.accuracy)}
        rows[f"locality {name}"] = {lang: value for lang, value in found.items() if value is not None}
    cells = (
        (name, *(f"{100 * values[lang]:.1f}" if lang in values else "–" for lang in one.accuracy))
        for name, values in rows.items()
    )
    return labels(("Right before any edit, %", *one.accuracy), cells, numbers=len(one.accuracy))


def _example(edit: Edit, said: dict[Lang, str]) -> Grid:
    rows = []
    for lang in edit.languages:
        wrong = said[lang] != edit.target_in(lang)
        rows.append((lang, Text(str(edit.prompt[lang])), Text(said[lang], style="red" if wrong else "")))
    return labels(("Language", "Claim", "The model says"), rows)
