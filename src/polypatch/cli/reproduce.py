"""``polypatch reproduce``: the paper's experiments, on any scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polypatch.cli.console import Bars, as_json, say, stdout
from polypatch.cli.options import Json, Parallel, Quiet, command_line, require_model
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError, StoppedError
from polypatch.rendering.grid import Column, Grid

if TYPE_CHECKING:
    from polypatch.experiments.lengths import Lengths
    from polypatch.experiments.results import Reproduced
    from polypatch.experiments.run import ExperimentRequest
    from polypatch.runs import Backend, Encoded, Event, Finished, Job

FIGURE_3 = "figure3"

EXAMPLES = """[bold]Examples[/]

polypatch reproduce table1 --scale small

polypatch reproduce massive --scale small --model mini-mbert-massive --data massive:data/massive --jobs 2

polypatch reproduce table2 --scale small --model my-encoder --data xnli:data/xnli

polypatch reproduce table1 --scale full --model fever-mbert --data xfever-edit:xfever --ray auto

polypatch reproduce editors --only "Trained nets" --limit 100 --seeds 1 --orders 1

polypatch reproduce figure3 --scale full --data xfever-edit:xfever
"""


def reproduce(
    ctx: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="table1, table2, table3, figure3, massive, compare, corpus, editors, ablations, "
            "mpn-ablations, growth, confidence, reach or lm.",
        ),
    ],
    scale: Annotated[
        str, typer.Option(metavar="small|full", help="small: minutes to an hour on one machine; full: as in the paper.")
    ] = "small",
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="The classifier to edit; for table2 --scale small, the encoder it is trained from."
        ),
    ] = "",
    data: Annotated[
        str, typer.Option(metavar="FORMAT:PLACE", help="xfever-edit:FOLDER, xnli:FOLDER, massive:FOLDER.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where everything goes. Default: runs/reproduce/NAME-SCALE."),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="TITLE", help="One of its tables alone, such as 'Trained nets' of editors.")
    ] = "",
    seeds: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many seeds, from 0.")] = None,
    orders: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many orders of the stream.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many edits of each stream.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Split each stream into so many that start anew.")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where finished runs and trained nets are kept; experiments that share runs may share it. Default: "
            "FOLDER.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FOLDER", help="Where encoded texts are kept. Default: FOLDER/queries."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep them in half precision: half the room.")] = False,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that encode and run, one core each.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|ADDRESS", help="Encode and run on a Ray cluster (pip install 'polypatch\\[ray]')."),
    ] = None,
    parallel: Parallel = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run one of the paper's experiments and print our rows under the paper's.

    small needs no mBERT: tables 1 and 3 and figure 3 use the embedded world,
    massive and table2 the data and the model that are named; compare (MPN and
    polypatch's own recipes), editors (every editor with MPN's sampler, after
    training the nets of those that need one; a language model's too, with data as
    for lm), ablations and mpn-ablations (one choice at a time), growth (by the
    number of edits; massive-all:FOLDER is long), confidence (how sure the mended
    answers are), corpus (how much parallel text mapped queries need) and reach
    (edits in English, without a translation of any) either; lm (a language
    model's facts) a causal model and facts-once:FILE, mzsre:FOLDER or
    mlake:FOLDER. full takes the paper's settings, a classifier from polypatch
    train and the data from polypatch data xfever-edit. Every net and every run is
    kept as soon as it is done: after Ctrl-C or a kill the same command goes on.
    """
    prepare(quiet=quiet)
    from polypatch.experiments import EXPERIMENTS
    from polypatch.experiments.run import ExperimentRequest, experiment_of, require_known, run_experiment

    where = out or Path("runs/reproduce") / f"{experiment}-{scale}"
    require_known(experiment, scale, (*EXPERIMENTS, FIGURE_3))
    request = ExperimentRequest(
        name=experiment,
        scale=scale,
        model=model,
        data=data,
        out=where,
        only=only,
        seeds=seeds,
        orders=orders,
        limit=limit,
        folds=folds,
        rows=rows,
        cache=cache,
        half=half,
        parallel=parallel,
        command=command_line(ctx),
    )
    try:
        with Bars(quiet) as bars:
            if experiment == FIGURE_3:
                _figure_3(request, bars, json)
                return
            if model:
                require_model(model)
            chosen = experiment_of(request, bars.update)
            board = _Board(chosen.jobs(), bars)
            done = run_experiment(chosen, request, _backend(jobs, ray), board.show, board.training)
    except KeyboardInterrupt:
        raise StoppedError(f"what is finished is kept in {where}; the same command goes on from there") from None
    if json:
        from polypatch.evaluation.strict_json import to_json

        say(to_json(done.found.plain()))
    else:
        _show(done, stdout())


def _backend(jobs: int, ray: str | None) -> Backend:
    from polypatch.runs import Processes

    if ray is None:
        return Processes(jobs)
    if jobs > 1:
        raise InputError("--jobs is for this machine alone; on Ray every free core gets a run")
    from polypatch.runs.cluster import Cluster

    return Cluster(ray)


def _figure_3(request: ExperimentRequest, bars: Bars, json: bool) -> None:
    from polypatch.experiments.lengths import measured_lengths

    if request.scale == "full" and not request.data:
        raise InputError("figure3 --scale full needs --data xfever-edit:FOLDER (polypatch data xfever-edit)")
    if request.model or request.only:
        raise InputError("figure3 is of the data alone, and has no tables: leave out --model and --only")
    found = measured_lengths(request.data, request.out, request.limit, bars.opening)
    if json:
        say(as_json(found.plain()))
    else:
        _show_lengths(found, stdout())


class _Board:
    """Shows the events of a grid.

    Args:
        jobs: the grid.
        bars: where it is shown.
    """

    def __init__(self, jobs: Sequence[Job], bars: Bars) -> None:
        self.jobs, self.bars = jobs, bars
        self.done = 0

    def training(self, what: str, done: int, total: int, note: str) -> None:
        """One step of a net's training; all nets share a bar."""
        self.bars.update(what, done, total, note, key="nets")

    def show(self, event: Event | Encoded | Finished) -> None:
        """Something moved."""
        from polypatch.runs import Encoded, Finished

        if isinstance(event, Encoded):
            return
        if isinstance(event, Finished):
            self.done += 1
            self.bars.drop(event.job)
            self.bars.update("runs", self.done, len(self.jobs), key="runs")
        elif event.job is None:
            self.bars.opening(event.what, event.done, event.total)
        else:
            run = self.jobs[event.job].run
            title = f"  {run.name}, seed {run.seed}, order {run.order}"
            title += "" if run.fold is None else f", fold {run.fold}"
            self.bars.update(title, event.done, event.total, key=event.job)


def _show(done: Reproduced, console: Console) -> None:
    from polypatch.evaluation.in_words import LEGEND
    from polypatch.experiments.results import MARKDOWN, PATTERN, RESULTS, about, best, matrix_grids
    from polypatch.experiments.summary import differences, summary
    from polypatch.store.run_folder import PAGE

    for table in done.found.experiment.tables:
        console.print(f"[bold]{table.title}[/]  {done.found.experiment.title}; {done.runs}", markup=True)
        console.print(done.found.compared(table).to_console())
        if table is done.found.experiment.tables[0]:
            console.print(f"{LEGEND}\n")
        for line in about(table):
            console.print(line)
        pattern = done.found.pattern(table)
        if pattern.rows:
            console.print(f"\n[bold]{PATTERN}[/]", markup=True)
            console.print(pattern.to_console())
        console.print(summary(done.found.rows(table)).to_console())
        console.print(differences(done.found.gains(table)).to_console())
        for name, grid in matrix_grids(done.found.matrices(table)):
            console.print(name)
            console.print(grid.to_console())
        console.print(done.found.agreement(table).to_console())
        console.print(best(done.found.rows(table)))
    for line in (*done.found.experiment.notes, *done.spent):
        console.print(line)
    console.print(f"Written to {done.folder}: {MARKDOWN}, {RESULTS}, pictures", soft_wrap=True)
    console.print(f"To read in a browser: {done.folder / PAGE}", soft_wrap=True)


def _show_lengths(found: Lengths, console: Console) -> None:
    from polypatch.data.lengths import unit
    from polypatch.experiments.lengths import PICTURE

    rows = [
        (lang, f"{ours:.1f}", "–" if paper is None else f"{paper:.1f}", unit(lang), f"{count:,}")
        for lang, (ours, count, paper) in found.means.items()
    ]
    titles = ("Language", "Mean length", "The paper's", "Unit", "Sentences")
    console.print(Grid(tuple(Column("", title) for title in titles), tuple(rows)).to_console())
    console.print(f"Written to {found.folder / PICTURE}", soft_wrap=True)
