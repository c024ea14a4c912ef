"""``polypatch eval``: saved edits, measured again or on other data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch._version import __version__
from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import (
    Data,
    Device,
    Json,
    Overwrite,
    Quiet,
    SizeOptions,
    Threads,
    as_list,
    command_line,
    sizes,
)
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError
from polypatch.store.places import find_edits
from polypatch.store.run_folder import claim

if TYPE_CHECKING:
    from polypatch.cli.saved import Saved
    from polypatch.edits import Lang
    from polypatch.runs.results import RunResults

EXAMPLES = """[bold]Examples[/]

polypatch eval runs/first/edits --data jsonl:edits.jsonl

polypatch eval runs/massive/edits --model my-model --data massive:data/massive --languages en,th --every-edit --json
"""


def evaluate(
    ctx: typer.Context,
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model they were made on. Default: the one they name.")
    ] = None,
    data: Data = None,
    languages: Annotated[
        str | None,
        typer.Option(metavar="L,L,…", help="Languages to measure, the source first. Default: all there are."),
    ] = None,
    every_edit: Annotated[
        bool, typer.Option("--every-edit", help="Measure all edits of the data, not only those that were handled.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the data's sampled sets. Default: the edits' own.")
    ] = None,
    size: SizeOptions = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write report.html and the files beside it.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure saved edits on data: reliability, generalisation in every language, locality.

    On the data of the run that made them, unless --data names others; then the
    numbers are that run's.
    Edits of the data that the run never handled are left out unless asked for.
    """
    folder = find_edits(edits)
    if out is not None:
        claim(out, overwrite)
    prepare(threads, quiet=quiet)
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, seed=seed, device=device)
        results = _measured(saved, as_list(languages), sizes(size), every_edit, command_line(ctx))
    if out is not None:
        results.write(out)
    if json:
        say(results.to_json())
    else:
        from polypatch.cli.results import show_results

        show_results(results, stdout())


def _measured(
    saved: Saved, languages: tuple[Lang, ...], sizes: dict[str, int], every_edit: bool, command: str
) -> RunResults:
    """Measure the saved edits on their data.

    Raises:
        PolypatchError: the folder, the model or the data cannot be used.
    """
    from polypatch.data import check_labels
    from polypatch.evaluation import evaluate
    from polypatch.model.cost import cost_from_plain
    from polypatch.runs.results import RunResults

    data = saved.read(languages, sizes)
    has = dict.fromkeys(lang for edit in data.edits for lang in edit.languages)
    if missing := [lang for lang in languages if lang not in has]:
        raise InputError(f"{data.name}: no edit has text in {', '.join(map(repr, missing))} (has: {', '.join(has)})")
    edited = saved.attach()
    check_labels(data.edits, edited.readout.answers)
    handled = tuple(edit for edit in data.edits if edit.id in edited.outcomes)
    edits = handled if handled and not every_edit else data.edits
    if len(edits) < len(data.edits):
        saved.bars.say(
            f"note: {len(edits)} of {len(data.edits)} edits of the data were handled; --every-edit measures all"
        )
    config = {"data": saved.data_spec, "model": saved.base, "command": command, **edited.config}
    report = evaluate(edited, edits, locality=data.locality, languages=languages or None, config=config)
    saved_rows = [row for row in edited.report or () if row.get("cost")]
    if report.cost is not None and not report.cost.known and saved_rows:
        # The same edits on the same weights: what the run measured on texts that are not at hand here still holds.
        report = replace(report, cost=cost_from_plain(saved_rows[-1]["cost"]))
    facts = {
        "polypatch": __version__,
        "edits from": str(saved.folder),
        "model": saved.base,
        "data": f"{saved.data_spec}: {len(data.edits)} edits, {len(edits)} measured",
        "edit languages": ", ".join(edited.sampled_languages),
    }
    return RunResults([report], command, facts, tuple(edited.outcomes.values()))
