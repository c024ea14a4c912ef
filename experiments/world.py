"""Tables 1 and 3 on the embedded world: all recipes, three seeds, mean ± standard deviation.

    python experiments/world.py --out runs/world [--jobs 2]

Each seed is a world of its own (facts, sentences, base model) and a seed of everything random in the edits. A row that
is finished is not done again: stop and start as you like.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from polypatch.cli.demo_runs import TABLE_1, TABLE_3
from polypatch.evaluation import gain, locality_table, markdown_table, save_reports
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.runs import BenchSpec, Event, Run, execute

PER_STEP = tuple(
    replace(run, redraw="per_step", title=f"{run.name}, drawn anew at every step")
    for run in TABLE_1
    if run.recipe.startswith("mpn")
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    tables = {"table1": (*TABLE_1, *PER_STEP), "table3": TABLE_3}
    console = Console(width=180)
    for name, rows in tables.items():
        reports = []
        for seed in range(args.seeds):
            reports += _seed(rows, seed, args.out, args.jobs)
        save_reports(reports, args.out / f"{name}.json")
        (args.out / f"{name}.md").write_text(markdown_table(reports), encoding="utf-8")
        console.print(markdown_table(reports), highlight=False)
        console.print(locality_table(reports))
        if name == "table1":
            save_figure(clg_figure(reports), args.out / "clg.png")
            by_name = {(report.recipe, report.seed): report for report in reports}
            for (recipe, seed), report in by_name.items():
                if recipe.startswith("mpn"):
                    console.print(f"{recipe}, seed {seed}\n{gain(report, by_name['t-patcher', seed]).to_markdown()}")


def _seed(rows: tuple[Run, ...], seed: int, out: Path, jobs: int) -> list:
    runs = [replace(run, seed=seed, order=seed) for run in rows]
    with Progress() as progress:
        task = progress.add_task(f"seed {seed}", total=None)

        def show(event: Event) -> None:
            progress.update(task, description=f"seed {seed}: {event.what}", completed=event.done, total=event.total)

        return execute(runs, BenchSpec(seed=seed), jobs=jobs, out=out, on_event=show)


if __name__ == "__main__":
    main()
