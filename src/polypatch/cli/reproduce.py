"""``polypatch reproduce``: the paper's experiments, on any scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, StoppedError, say, stdout
from polypatch.cli.options import Json, Parallel, Quiet, command_line
from polypatch.cli.prepare import prepare

EXAMPLES = """[bold]Examples[/]

polypatch reproduce table1 --scale small

polypatch reproduce massive --scale small --model mini-mbert-massive --data massive:data/massive --jobs 2

polypatch reproduce table2 --scale small --model my-encoder --data xnli:data/xnli

polypatch reproduce table1 --scale full --model fever-mbert --data xfever-edit:xfever --ray auto

polypatch reproduce figure3 --scale full --data xfever-edit:xfever
"""


def reproduce(
    ctx: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="table1, table2, table3, figure3, massive, compare, corpus, editors, ablations, "
            "mpn-ablations, growth or confidence.",
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
            help="Where finished runs are kept; experiments that share runs may share it. Default: FOLDER.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FOLDER", help="Where encoded texts are kept. Default: FOLDER/queries."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep them in half precision: half the room.")] = False,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Runs done side by side, one core each.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|ADDRESS", help="Do the runs on a Ray cluster (pip install 'polypatch\\[ray]')."),
    ] = None,
    parallel: Parallel = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run one of the paper's experiments and print our rows under the paper's.

    small needs no mBERT: tables 1 and 3 and figure 3 use the embedded world,
    massive and table2 the data and the model that are named; compare (MPN and
    polypatch's own recipes), editors (other editors with MPN's sampler),
    ablations and mpn-ablations (one choice at a time), growth (by the number of
    edits; massive-all:FOLDER is long), confidence (how sure the mended answers are) and
    corpus (how much parallel text mapped queries need) either. full takes the paper's settings, a classifier from
    polypatch train and the data from polypatch data xfever-edit. Every run is
    kept as soon as it is done: after Ctrl-C or a kill the same command goes on.
    """
    prepare(quiet=quiet)
    from polypatch.cli.reproducing import Wanted, reproduce_experiment

    wanted = Wanted(
        name=experiment,
        scale=scale,
        model=model,
        data=data,
        out=out or Path("runs/reproduce") / f"{experiment}-{scale}",
        seeds=seeds,
        orders=orders,
        limit=limit,
        folds=folds,
        rows=rows,
        cache=cache,
        half=half,
        jobs=jobs,
        parallel=parallel,
        ray=ray,
        command=command_line(ctx),
    )
    try:
        with Bars(quiet) as bars:
            printed = reproduce_experiment(wanted, bars)
    except KeyboardInterrupt:
        raise StoppedError(f"finished runs are kept in {wanted.out}; the same command goes on from there") from None
    if json:
        say(printed.to_json())
    else:
        printed.show(stdout())
