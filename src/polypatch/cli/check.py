"""``polypatch check``: a gate before edits go out, for pipelines: exit code 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text as Shown

from polypatch.cli.console import Bars, as_json, say, stdout
from polypatch.cli.options import Data, Device, Json, Model, Quiet, Threads
from polypatch.cli.prepare import prepare
from polypatch.cli.shown import shown
from polypatch.errors import ArtefactError
from polypatch.rendering.grid import labels
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.cli.saved import Saved
    from polypatch.model.gate import Limits, Verdict

FAILED = 1
MOST = 10

EXAMPLES = """[bold]Examples[/]

polypatch check my-edits --probe texts.txt

polypatch check my-edits --probe probe.jsonl --max-locality-drop 0.5 --min-clg 80 --strict --json

polypatch check my-edits --probe texts.txt --min-confidence 50
"""


def check(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    probe: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help='Texts that should not change: one a line, or {"lang", "text"} and perhaps "label" a line in .jsonl.',
        ),
    ],
    max_locality_drop: Annotated[
        float,
        typer.Option(min=0, metavar="POINTS", help="Answers that may differ from before, in %, in every language."),
    ] = 1.0,
    min_reliability: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="Source prompts that must be answered as wanted.")
    ] = 100.0,
    min_clg: Annotated[
        float | None,
        typer.Option(
            min=0, max=100, metavar="PERCENT", help="The same of their parallel prompts, a mean of languages."
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="PERCENT",
            help="The probability that every prompt of every edit must give its wanted answer.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Count edits that did not take, and fail on contradictions.")
    ] = False,
    model: Model = None,
    data: Data = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Check that edits are whole, do what was asked, and leave the rest alone.

    Exit code 0 if every check passes, 1 if one fails, 2 for a mistake in the
    command. The requests are those recorded with the edits; with --data those
    of the data with the same ids. Edits that were reverted are not asked about,
    those that did not take are listed.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.saved import Saved
    from polypatch.model.gate import Limits

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, device=device)
        limits = Limits(max_locality_drop, min_reliability, min_clg, min_confidence, strict)
        verdict = _checked(saved, probe, limits)
    if json:
        say(as_json(verdict.plain()))
    else:
        _show(verdict, stdout())
    if not verdict.ok:
        raise typer.Exit(FAILED)


def _checked(saved: Saved, probe: Path, limits: Limits) -> Verdict:
    """What is wrong with the edits themselves is a failed check."""
    from polypatch.data.memory import read_probe
    from polypatch.model.gate import Verdict, check, requests

    try:
        records = [record for record in saved.records if not record.reverted]
        given = () if saved.data is None else saved.read((), {}).edits
        asked = requests(records, given)
        probes = read_probe(probe, next((edit.source for edit in asked.values()), "en"))  # a mistake is told at once
        edited = saved.attach()
    except ArtefactError as error:
        return Verdict.broken(str(error))
    return check(edited, probes, limits, given)


def _show(verdict: Verdict, console: Console) -> None:
    rows = []
    for one in verdict.checks:
        mark = Shown("ok", "green") if one.ok else Shown("FAILED", "bold red")
        rows.append((Shown(one.check), Shown(_value(one.value)), Shown(one.required), mark, Shown(one.note)))
    console.print(labels(("Check", "Value", "Required", "", "Note"), rows).to_console())
    lines = [f"{one['edit']} ({one['lang']}): {one['answer']} instead of {one['target']}" for one in verdict.wrong]
    _listed(console, "Not answered as wanted", lines)
    lines = [f"{one['edit']} ({one['lang']}): {one['target']} with {one['confidence']:.1f} %" for one in verdict.unsure]
    _listed(console, "Less sure than required", lines)
    _listed(console, "Edits that did not take", [f"{name}: {why}" for name, why in verdict.not_taken.items()])
    _listed(console, "Contradictions", verdict.contradictions)
    if verdict.cost:
        from polypatch.model.cost import cost_from_plain

        console.print(f"Elsewhere: {cost_from_plain(verdict.cost)}.")
    failed = sum(not one.ok for one in verdict.checks)
    console.print(f"{len(verdict.checks)} checks: " + (f"{failed} failed" if failed else "all passed"))


def _value(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


def _listed(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"{title}: {len(lines)}")
        for line in lines[:MOST]:
            console.print(f"  {shown(line)}", soft_wrap=True)
        if len(lines) > MOST:
            console.print(f"  … and {len(lines) - MOST} more: --json has all")
