"""``polypatch world``: build the embedded default, and look at it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from polypatch.cli.console import Bars, as_json, say, stdout
from polypatch.cli.options import Json, Quiet
from polypatch.cli.prepare import prepare
from polypatch.cli.speaking_world import SpeakingShow
from polypatch.errors import InputError, StoppedError
from polypatch.files import writing
from polypatch.rendering.grid import Grid, labels

if TYPE_CHECKING:
    from polypatch.edits import Edit, Lang
    from polypatch.world import OnTrainingStep, World, WorldSummary

app = typer.Typer(help="The embedded six-language world: build it, look at it.", no_args_is_help=False)

WorldSeed = Annotated[int, typer.Option(metavar="N", help="Which world: its facts, its sentences, its model.")]
Speaking = Annotated[
    bool,
    typer.Option("--speaking", help="The world as questions with answers, and the small decoder that knows them."),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where worlds are kept. Default: POLYPATCH_CACHE, or the user's cache."),
]


@app.command(
    epilog="[bold]Examples[/]\n\npolypatch world build --seed 1\n\n"
    "polypatch world build --seed 1 --force --cache-dir worlds"
)
def build(
    seed: WorldSeed = 0,
    force: Annotated[bool, typer.Option("--force", help="Build it again, even if it is there.")] = False,
    speaking: Speaking = False,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Generate the facts and train the small BERT that knows them: offline, about a minute and a half on one core.

    With --speaking, a small decoder that answers in words: about two minutes.

    The world of seed 0 comes with polypatch, so that it is the same on every
    machine; what is trained anew differs a little from processor to processor.
    """
    prepare(quiet=quiet)
    try:
        with Bars(quiet) as bars:
            result = _built(seed, force, speaking, cache_dir, bars)
    except KeyboardInterrupt:
        raise StoppedError("a world is kept only when it is whole; nothing was written") from None
    if json:
        say(as_json({**asdict(result), "path": str(result.path)}))
    else:
        say(str(result))


@app.command(epilog="[bold]Examples[/]\n\npolypatch world show\n\npolypatch world show --edits 2 --json")
def show(
    seed: WorldSeed = 0,
    edits: Annotated[int, typer.Option(min=0, metavar="N", help="So many example edits.")] = 3,
    speaking: Speaking = False,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Counts, balance, how well the unedited model does in each language, and a few edits in all six."""
    prepare(quiet=quiet)
    if speaking:
        with Bars(quiet) as bars:
            shown = SpeakingShow(seed, edits, cache_dir, bars)
        if json:
            say(as_json(shown.plain()))
        else:
            shown.show(stdout())
        return
    from polypatch.world import describe, load_world

    with Bars(quiet) as bars:
        world = load_world(seed, cache_dir, lambda done, total, what: bars.opening(what, done, total))
        summary = describe(world, edits)
        said = [_said(world, edit) for edit in summary.examples]
    if json:
        say(as_json(_plain(summary, said)))
    else:
        _show(summary, said, stdout())


@app.callback(invoke_without_command=True)
def _world(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@dataclass(frozen=True)
class _Built:
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


class _Kind(NamedTuple):
    """How a kind of world is built, where it comes to lie, and the folder that comes with polypatch, if it does."""

    build: Callable[[int, Path | None, OnTrainingStep], Path]
    path: Path
    ours: Path | None


def _kind(speaking: bool, seed: int, cache_dir: Path | None) -> _Kind:
    if speaking:
        from polypatch.world.speaking import (
            SpeakingConfig,
            build_speaking_world,
            shipped_speaking_folder,
            speaking_world_path,
        )

        speaks = SpeakingConfig()
        ours = shipped_speaking_folder(seed, speaks) if cache_dir is None else None
        return _Kind(build_speaking_world, speaking_world_path(seed, speaks, cache_dir), ours)
    from polypatch.world import WorldConfig, build_world, shipped_folder, world_path

    config = WorldConfig()
    ours = shipped_folder(seed, config) if cache_dir is None else None
    return _Kind(build_world, world_path(seed, config, cache_dir), ours)


def _built(seed: int, force: bool, speaking: bool, cache_dir: Path | None, bars: Bars) -> _Built:
    """Build the world of `seed` unless it is there.

    Raises:
        InputError: the one that comes with polypatch was to be built again.
    """
    kind = _kind(speaking, seed, cache_dir)
    if kind.ours:
        if force:
            raise InputError(
                f"--force: the world of seed {seed} comes with polypatch; add --cache-dir DIR to build one"
            )
        return _Built(kind.ours, seed, 0.0, new=False, ours=True)
    steps: list[int] = []

    def progress(done: int, total: int, stage: str) -> None:
        steps.append(done)
        bars.opening(stage, done, total)

    started = time.perf_counter()
    with writing(kind.path.parent):
        if force and kind.path.exists():
            shutil.rmtree(kind.path)
        path = kind.build(seed, cache_dir, progress)
    return _Built(path, seed, time.perf_counter() - started, new=bool(steps))


def _plain(summary: WorldSummary, answers: Sequence[dict[Lang, str]]) -> dict[str, object]:
    from polypatch.data.record import record_from_edit

    plain = {name: getattr(summary, name) for name in summary.__slots__ if name != "examples"}
    examples = [{**record_from_edit(edit), "says": said} for edit, said in zip(summary.examples, answers, strict=True)]
    return {**plain, "path": str(summary.path), "examples": examples}


def _show(one: WorldSummary, answers: Sequence[dict[Lang, str]], console: Console) -> None:
    console.print(f"World of seed {one.seed}: {one.path}", soft_wrap=True)
    console.print(f"A BERT of {one.parameters:,} parameters, {one.vocabulary:,} word pieces.")
    console.print(_sets(one).to_console())
    console.print(_languages(one).to_console())
    console.print(
        f"Edits wrong before: {100 * one.wrong_source:.1f} % in English, {100 * one.wrong_any:.1f} % in some "
        f"language, {100 * one.wrong_all:.1f} % in all six. {100 * one.supports:.1f} % are labelled SUPPORTS.\n"
    )
    for edit, said in zip(one.examples, answers, strict=True):
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
