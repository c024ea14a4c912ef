"""Hub rows of the data sets whose answers are written: CounterFact, WikiBigEdit, KnowEdit's zsRE; all English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from polypatch.data.counterfact import counterfact_material
from polypatch.data.fields import Fields
from polypatch.data.jsonl import locality_of
from polypatch.data.record import edit_from_record
from polypatch.data.rows import Material
from polypatch.data.traps import without_traps
from polypatch.data.wikibigedit import wikibigedit_material
from polypatch.edits import Lang
from polypatch.errors import DataError


def counterfact_from_datasets(datasets: Mapping[Lang, Any], *, where: object = "CounterFact") -> Material:
    """CounterFact in ROME's fields (``requested_rewrite``, ``paraphrase_prompts``, …).

    Args:
        datasets: the one language to its `datasets.DatasetDict`, or to one `datasets.Dataset`.
        where: a name for messages.

    Raises:
        DataError: a row that lacks a field.
    """
    source = next(iter(datasets))
    rows = (row for _, _, row in _rows(datasets[source], where))
    return counterfact_material(rows, None, source, where=where)


def wikibigedit_from_datasets(datasets: Mapping[Lang, Any], *, where: object = "WikiBigEdit") -> Material:
    """WikiBigEdit rows (``update``, ``ans``, ``rephrase``, …); arguments and errors as above."""
    source = next(iter(datasets))
    rows = ((f"wikibigedit-{number}", row) for _, number, row in _rows(datasets[source], where))
    return wikibigedit_material(rows, None, source, where=where)


def knowedit_from_datasets(datasets: Mapping[Lang, Any], *, where: object = "KnowEdit") -> Material:
    """KnowEdit rows, in the fields of an edit file; arguments and errors as above."""
    source = next(iter(datasets))
    edits = []
    for _, number, row in _rows(datasets[source], where):
        try:
            edits.append(edit_from_record(row.row, default_id=f"zsre-{number}", source=source))
        except DataError as error:
            raise DataError(f"{row.where}: {error}") from error
    marked, notes = without_traps(edits)
    return Material("zsre", (source,), marked, locality=locality_of(marked), notes=notes)


def _rows(splits: Any, where: object) -> Iterator[tuple[str, int, Fields]]:
    """(split, number from 1 through all splits, row)."""
    number = 0
    for name, split in splits.items() if isinstance(splits, Mapping) else [("", splits)]:
        for row in split:
            number += 1
            yield name, number, Fields(dict(row), f"{where} {name} row {number}".replace("  ", " "))
