"""Tables 1 and 3 on the embedded world: all recipes, three seeds, mean ± standard deviation.

    python experiments/world.py --out runs/world [--jobs 2]

Each seed is a world of its own (facts, sentences, base model) and a seed of everything random in the edits. A row that
is finished is not done again: stop and start as you like.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from polypatch.cli.demo_runs import TABLE_1, TABLE_3
from polypatch.evaluation import (
    Report,
    gain,
    locality_table,
    markdown_table,
    save_reports,
    transfer,
    transfer_figure,
)
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.runs import BenchSpec, Event, Run, execute

MPN = tuple(run for run in TABLE_1 if run.recipe.startswith("mpn"))
PER_STEP = tuple(replace(run, redraw="per_step", title=f"{run.name}, drawn anew at every step") for run in MPN)
TABLES = {"table1": TABLE_1, "table3": TABLE_3, "redraw": (*MPN, *PER_STEP)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    args = parser.parse_args()
    # Two threads on a small machine are slower than one.
    torch.set_num_threads(1)
    console = Console(width=200)
    for name in args.tables:
        reports = [r for seed in range(args.seeds) for r in _seed(TABLES[name], seed, args.out, args.jobs)]
        save_reports(reports, args.out / f"{name}.json")
        console.print(f"{name}\n{markdown_table(reports)}", highlight=False)
        console.print(locality_table(reports))
        if name == "table1":
            save_figure(clg_figure(reports), args.out / "clg.png")
            save_figure(transfer_figure(transfer(_of("mpn-only", reports))), args.out / "transfer.png")
            for recipe in ("mpn-only", "mpn-all"):
                won = gain(_of(recipe, reports), _of("t-patcher", reports)).to_markdown()
                console.print(f"{recipe} over t-patcher, all seeds\n{won}", highlight=False)


def _of(recipe: str, reports: list[Report]) -> list[Report]:
    return sorted((report for report in reports if report.recipe == recipe), key=lambda report: report.seed)


def _seed(rows: tuple[Run, ...], seed: int, out: Path, jobs: int) -> list[Report]:
    runs = [replace(run, seed=seed, order=seed) for run in rows]
    with Progress() as progress:
        task = progress.add_task(f"seed {seed}", total=None)

        def show(event: Event) -> None:
            progress.update(task, description=f"seed {seed}: {event.what}", completed=event.done, total=event.total)

        return execute(runs, BenchSpec(seed=seed), jobs=jobs, out=out, on_event=show)


if __name__ == "__main__":
    main()
