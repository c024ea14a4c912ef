"""Cells: right or wrong, before and after, for every (edit, language). What CLG and its honest splits are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polypatch.edits import Edit, Lang, language_of
from polypatch.errors import DataError
from polypatch.evaluation.metrics import MISSING, Correct, Mask
from polypatch.evaluation.strict_json import to_json
from polypatch.files import write_atomic
from polypatch.outcomes import EditOutcome

_MARKS = {"1": 1, "0": 0, ".": MISSING}


@dataclass(frozen=True, eq=False)
class Cells:
    """The raw results on the parallel prompts; E edits, L languages.

    Attributes:
        edits: edit ids, the rows.
        languages: the columns, source languages included.
        sampled: the languages a sampler may draw.
        before: (E, L) 1 right, 0 wrong, -1 no such prompt, under the unedited model.
        after: the same under the edited model.
        source: (E, L) True in the source-language cell of each edit.
        trained: (E, L) True where the editor was trained on this edit's prompt in this language.
        triggered: (E,) True where the edit was made.
    """

    edits: tuple[str, ...]
    languages: tuple[Lang, ...]
    sampled: frozenset[Lang]
    before: Correct
    after: Correct
    source: Mask
    trained: Mask
    triggered: Mask

    @property
    def parallel(self) -> Mask:
        """(E, L): the cells of CLG: a prompt is there, and it is not the source."""
        return np.not_equal(self.before, MISSING) & ~self.source

    @property
    def seen(self) -> Mask:
        """(E, L): parallel cells of triggered edits, in a sampled language that this edit was trained on."""
        return self._drawable & self.triggered[:, None] & self.trained

    @property
    def unseen(self) -> Mask:
        """(E, L): parallel cells of triggered edits, in a sampled language that this edit was not trained on."""
        return self._drawable & self.triggered[:, None] & ~self.trained

    @property
    def untriggered(self) -> Mask:
        """(E, L): parallel cells in a sampled language, of edits that needed no change."""
        return self._drawable & ~self.triggered[:, None]

    @property
    def never(self) -> Mask:
        """(E, L): parallel cells in a language that no sampler may draw. With the three above, a partition of CLG."""
        return self.parallel & ~self._sampled_columns

    @property
    def _drawable(self) -> Mask:
        return self.parallel & self._sampled_columns

    @property
    def _sampled_columns(self) -> Mask:
        return np.asarray([lang in self.sampled for lang in self.languages], dtype=np.bool_)


def drawn_languages(sampled: Iterable[Lang], outcomes: Mapping[str, EditOutcome]) -> frozenset[Lang]:
    """The languages a sampler may draw, and any that was drawn: what was trained on must not count as never sampled."""
    return frozenset(sampled).union(*(map(language_of, outcome.languages) for outcome in outcomes.values()))


def masks(
    edits: Sequence[Edit], languages: Sequence[Lang], outcomes: Mapping[str, EditOutcome]
) -> tuple[Mask, Mask, Mask]:
    """`source` (E, L), `trained` (E, L) and `triggered` (E,) of `edits`; one without an outcome was not triggered."""
    column = {lang: i for i, lang in enumerate(languages)}
    source = np.zeros((len(edits), len(languages)), dtype=np.bool_)
    trained, triggered = np.zeros_like(source), np.zeros(len(edits), dtype=np.bool_)
    for row, edit in enumerate(edits):
        source[row, column[edit.source]] = True
        outcome = outcomes.get(edit.id)
        if outcome is not None and outcome.triggered:
            triggered[row] = True
            trained[row, [column[lang] for lang in map(language_of, outcome.languages) if lang in column]] = True
    return source, trained, triggered


def save_cells(cells: Cells, path: str | Path) -> Path:
    """Write `cells` as compact JSON, atomically: one character per cell (``1`` right, ``0`` wrong, ``.`` missing)."""
    record = {
        "languages": cells.languages,
        "sampled": sorted(cells.sampled),
        "edits": cells.edits,
        "before": _pack(cells.before),
        "after": _pack(cells.after),
        "source": _pack(cells.source),
        "trained": _pack(cells.trained),
        "triggered": _pack(cells.triggered[None, :])[0],
    }
    return write_atomic(path, to_json(record, indent=None).encode())


def load_cells(path: str | Path) -> Cells:
    """Read what `save_cells` wrote.

    Raises:
        DataError: the file is not such a record, or its parts differ in shape.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        shape = (len(record["edits"]), len(record["languages"]))
        grids = {name: _unpack(record[name], shape) for name in ("before", "after", "source", "trained")}
        triggered = _unpack([record["triggered"]], (1, shape[0]))[0]
        return Cells(
            edits=tuple(record["edits"]),
            languages=tuple(record["languages"]),
            sampled=frozenset(record["sampled"]),
            before=grids["before"],
            after=grids["after"],
            source=grids["source"] == 1,
            trained=grids["trained"] == 1,
            triggered=triggered == 1,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a file of cells written by polypatch ({error!r}); evaluate again") from error


def _pack(grid: Correct | Mask) -> list[str]:
    marks = {value: mark for mark, value in _MARKS.items()}
    return ["".join(marks[int(value)] for value in row) for row in grid]


def _unpack(rows: Sequence[str], shape: tuple[int, int]) -> Correct:
    values = [[_MARKS[mark] for mark in row] for row in rows]
    if len(values) != shape[0] or any(len(row) != shape[1] for row in values):
        raise ValueError(f"expected {shape[0]} rows of {shape[1]} cells")
    return np.asarray(values, dtype=np.int8).reshape(shape)
