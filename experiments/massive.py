"""Real data: the mini-mbert-massive checkpoint edited on MASSIVE test errors, measured in all 14 languages.

    python experiments/massive.py --out runs/massive --shared ../shared [--limit 600] [--jobs 2]

Six languages may be drawn; the other eight are only measured. Each recipe runs with English memory, as in the paper,
and with memory in all 14 languages. The table is printed whatever it says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from polypatch.evaluation import gain, markdown_table, save_reports
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.runs import BenchSpec, Event, Run, execute

DRAWN = ("en", "de", "fr", "es", "zh", "ar")
MEASURED = ("ru", "tr", "sw", "ur", "el", "hi", "th", "vi")
SETTINGS = {
    "views": 0,
    "example_repeat": 1,
    "learning_rate": 3e-2,
    "first_validation": 30,
    "validate_every": 10,
    "max_steps": 200,
}
"""Chosen on the first 80 edits, English only, where the published defaults left 5 of 20 errors unrepaired. See
`docs/deviations.md`, "Small models"."""


def table(limit: int | None) -> list[Run]:
    return [
        Run(
            recipe=recipe,
            settings=SETTINGS,
            languages=DRAWN,
            memory_languages=memory,
            order=0,
            limit=limit,
            trajectory_every=100,
            keep_failed=True,
            allow_contradictions=True,
            title=f"{recipe}, {title}",
        )
        for memory, title in ((("en",), "English memory"), ((*DRAWN, *MEASURED), "memory in 14"))
        for recipe in ("t-patcher", "mpn-only", "mpn-all")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/massive"))
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    # Two threads on a small machine are slower than one.
    torch.set_num_threads(1)
    spec = BenchSpec(
        model=str(args.shared / "models" / "mini-mbert-massive"),
        data=f"massive:{args.shared / 'data' / 'massive'}",
        languages=(*DRAWN, *MEASURED),
        cache_dir=str(args.out / "queries"),
    )
    with Progress() as progress:
        tasks: dict[int | None, int] = {}

        def show(event: Event) -> None:
            if event.run not in tasks:
                tasks[event.run] = progress.add_task(event.what, total=event.total)
            progress.update(tasks[event.run], description=event.what, completed=event.done, total=event.total)

        reports = execute(table(args.limit), spec, jobs=args.jobs, out=args.out, on_event=show)
    save_reports(reports, args.out / "report.json")
    save_figure(clg_figure(reports), args.out / "clg.png")
    console = Console(width=220)
    console.print(markdown_table(reports), highlight=False)
    by_name = {report.recipe: report for report in reports}
    for title in ("English memory", "memory in 14"):
        for recipe in ("mpn-only", "mpn-all"):
            won = gain(by_name[f"{recipe}, {title}"], by_name[f"t-patcher, {title}"])
            console.print(won.to_markdown(), highlight=False)
    for report in reports:
        console.print(report.recipe, {name: round(set_.agreement or 0, 1) for name, set_ in report.locality.items()})


if __name__ == "__main__":
    main()
