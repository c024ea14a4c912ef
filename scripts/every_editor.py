"""The tables of docs/tables/every-editor.md and every-editor-tables.md, from docs/results/every-editor.json.

``python scripts/every_editor.py`` writes every table of both pages anew, and leaves their prose as it is.
``python scripts/every_editor.py "MASSIVE/A thousand edits" RESULTS ...`` takes a set's figures from results.json of one
or more reports of ``polypatch reproduce editors``, in place of what the set had, and then does the same. A set has the
name of its two headings in every-editor-tables.md. A recipe that two reports have is the later one's.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polypatch.evaluation import Stat
from polypatch.evaluation.aggregate import Aggregate
from polypatch.evaluation.pareto_figure import worst_set
from polypatch.evaluation.tables import BLANK
from polypatch.experiments.editors import GROUPS, rivals
from polypatch.experiments.summary import COLUMNS, brief, in_the_source, points, shown
from polypatch.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs/results/every-editor.json"
TABLES, SUMMARY = ROOT / "docs/tables/every-editor-tables.md", ROOT / "docs/tables/every-editor.md"

MEANS = {title: COLUMNS[title] for title in ("Reliability", "MLG", "CLG", "seen", "unseen", "never")}
KEPT = {"as before, en": "in the source", "worst": "worst"}
BEFORE = ("reliability", "mlg", "clg_avg")
"""Of the unedited model there is no more: nothing was drawn for it, and nothing changed."""

COSTS = {"s/edit": "seconds_per_edit", "kB/edit": "kilobytes_per_edit"}
SPLITS = ("all", "unseen")

ORDER = ("original", *(row for names in GROUPS.values() for name in names for row in (name, *rivals(name))))
PAIRS = tuple((better, name) for names in GROUPS.values() for name in names for better in rivals(name))

DATA = {"The world": "world", "MASSIVE": "MASSIVE", "A language model's facts": "mini-lm", "MzsRE": "MzsRE"}
STREAMS = {"One edit": "1", "A hundred edits": "100", "A thousand edits": "1,000"}
"""The headings of every-editor-tables.md, and what the summary calls them."""

Set = dict[str, Any]


def collected(reports: Iterable[Path]) -> Set:
    """A set's rows (means and standard deviations) and gains (points, with their interval) out of results.json."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in reports]
    grids = {(len(one["seeds"]), len(one["orders"])) for one in found}
    if len(grids) != 1:
        raise SystemExit(f"reports of one set have the same seeds and orders; these have {sorted(grids)}")
    rows: dict[str, Any] = {}
    gains: dict[str, Any] = {}
    for table in (table for one in found for table in one["tables"]):
        rows |= {row["recipe"]: _row(row) for row in table["rows"]}
        gains |= {f"{won['better']} over {won['baseline']}": _gain(won["splits"]) for won in table["gains"]}
    ((seeds, orders),) = grids
    rows = {name: rows[name] for name in ORDER if name in rows}
    return {"seeds": seeds, "orders": orders, "rows": rows, "gains": gains}


def _row(row: dict[str, Any]) -> dict[str, list[float | None]]:
    """The figures of a recipe's table row: [mean, standard deviation or null]."""
    found = {name: Stat(**stat) for name, stat in row.items() if isinstance(stat, dict)}
    whole = Aggregate(row["recipe"], row["runs"], found)
    kept = {"in the source": in_the_source(whole), "worst": worst_set(whole)}
    found |= {name: stat for name, stat in kept.items() if stat is not None}
    wanted = BEFORE if row["recipe"] == "original" else (MEANS | KEPT | COSTS).values()
    return {name: [found[name].mean, found[name].sd] for name in wanted if name in found}


def _gain(splits: dict[str, Any]) -> dict[str, list[float]]:
    """Points gained, and the two ends of the 95 % interval, by what the better recipe was trained on."""
    kept = {name: splits[name] for name in SPLITS if splits[name].get("interval")}
    return {name: [one["gain"], *one["interval"]] for name, one in kept.items()}


def table_of(figures: Set) -> Iterator[str]:
    """A set's table: one line a recipe."""
    rows = figures["rows"]
    titles = {title: key for title, key in (MEANS | KEPT | COSTS).items() if any(key in row for row in rows.values())}
    won = {better: figures["gains"].get(f"{better} over {name}", {}) for better, name in PAIRS}
    yield "| Recipe | " + " | ".join(titles) + " | CLG gained | unseen gained |"
    yield "| --- |" + " ---: |" * (len(titles) + len(SPLITS))
    for name, row in rows.items():
        cells = [_cell(title, row.get(key)) for title, key in titles.items()]
        own = won.get(name, {})
        gained = [points(*own[split]) if split in own else BLANK for split in SPLITS]
        yield "| " + " | ".join([name, *cells, *gained]) + " |"


def _cell(title: str, figures: Sequence[Any] | None) -> str:
    stat = None if figures is None else Stat(*figures)
    return brief(stat) if title in COSTS else shown(stat, 1)


def columns_of(sets: dict[str, Set]) -> dict[str, str]:
    """The title of each set's column in the summary: the shortest streams first, their length said once."""
    titles = {}
    for stream, edits in STREAMS.items():
        told = f"{edits}: "
        for data, name in DATA.items():
            if f"{data}/{stream}" in sets:
                titles[f"{data}/{stream}"] = told + name
                told = ""
    return titles


def summary_of(sets: dict[str, Set]) -> Iterator[str]:
    """What the sampler adds in languages that were not drawn, a column a set. Bold: above 0; italics: below."""
    columns = columns_of(sets)
    yield "| with the sampler | " + " | ".join(columns.values()) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for better, name in PAIRS:
        title = better if better == f"{name}-mpn" else f"{better} over {name}"
        gained = [sets[key]["gains"].get(f"{better} over {name}", {}).get("unseen") for key in columns]
        yield "| " + " | ".join([title, *map(_marked, gained)]) + " |"


def _marked(gain: list[float] | None) -> str:
    if gain is None:
        return BLANK
    value, low, high = gain
    mark = "**" if low > 0 else "*" if high < 0 else ""
    return f"{mark}{value:+.1f}{mark}"


def tables_page(page: str, sets: dict[str, Set]) -> str:
    """every-editor-tables.md with each set's table behind its headings."""
    made: list[str] = []
    data = stream = ""
    for line in page.splitlines():
        if line.startswith("## "):
            data = line.removeprefix("## ")
        if line.startswith("### "):
            stream = line.removeprefix("### ")
        if line.startswith("| Recipe |"):
            made += table_of(sets[f"{data}/{stream}"])
        elif not line.startswith("|"):
            made.append(line)
    return "\n".join(made) + "\n"


def summary_page(page: str, sets: dict[str, Set]) -> str:
    """every-editor.md with its table."""
    lines = page.splitlines()
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    table = list(summary_of(sets))
    return "\n".join([*lines[: rows[0]], *table, *lines[rows[-1] + 1 :]]) + "\n"


def main() -> None:
    """Take what is given, and write both pages."""
    parser = argparse.ArgumentParser(description="See the head of this file.")
    places = [f"{data}/{stream}" for data in DATA for stream in STREAMS]
    parser.add_argument("set", nargs="?", choices=places, metavar="SET", help=f"one of: {'; '.join(places)}")
    parser.add_argument("results", nargs="*", type=Path, metavar="RESULTS", help="results.json of its reports")
    given = parser.parse_args()
    sets = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if given.set:
        sets[given.set] = collected(given.results)
        write_atomic(FIGURES, dumped(sets).encode())
    for page, made in ((TABLES, tables_page), (SUMMARY, summary_page)):
        write_atomic(page, made(page.read_text(encoding="utf-8"), sets).encode())


def dumped(sets: dict[str, Set]) -> str:
    """JSON with a line for each row and each gain."""
    text = json.dumps(sets, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]", text) + "\n"


if __name__ == "__main__":
    main()
