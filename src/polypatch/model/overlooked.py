"""What is easily overlooked in edits: texts that are cut, or in the memory as well; a language that is not mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polypatch.edits import Edit, Example
from polypatch.errors import InputError
from polypatch.model.state import State
from polypatch.recipes import Recipe
from polypatch.samplers import SourcePlusMapped
from polypatch.sites import FrozenTail, Readout, Row


def overlooked(edited: State, edits: Sequence[Edit]) -> list[str]:
    """What to say of them before they are made; nothing where all is well."""
    examples = _examples(edits)
    rows = edited.readout.rows([example.text for _, example in examples])
    kept = _among_memory(edited, rows)
    both = [one for one, row in zip(examples, rows, strict=True) if row in kept]
    said = f"{_counted(both)} in the memory as well, where its answer is to stay what it was: leave it out there"
    return [*cut_texts(edited.readout, edits), *([said] if both else [])]


def cut_texts(readout: Readout, edits: Sequence[Edit]) -> list[str]:
    """What to say of texts that are longer than the model reads."""
    examples = _examples(edits)
    cut = [one for one in examples if readout.is_cut(one[1].text)]
    said = f"{_counted(cut)} longer than the {readout.longest} tokens that are read: the edit is of these alone"
    return [said] if cut else []


def _examples(edits: Sequence[Edit]) -> list[tuple[str, Example]]:
    return [(edit.id, example) for edit in edits for example in edit.examples]


def require_source_of_maps(edited: State, recipe: Recipe, edits: Sequence[Edit]) -> None:
    """Refuse edits in another language than queries are mapped from.

    Raises:
        InputError: the parallel text has another language first.
    """
    maps = edited.tail.maps if isinstance(edited.tail, FrozenTail) else None
    if maps is None or not isinstance(recipe.sampler, SourcePlusMapped) or not isinstance(maps.corpus, Mapping):
        return
    source = next(iter(maps.corpus))
    for edit in edits:
        if edit.source != source:
            order = f"{source!r}, the first language of the parallel text: put the edits' own first there"
            raise InputError(f"edit {edit.id!r} is in {edit.source!r}, and queries are mapped from {order}")


def _among_memory(edited: State, rows: Sequence[Row]) -> set[Row]:
    """Those of the rows that the memory was made with, edits that joined it later left aside."""
    if edited.memory is None:
        return set()
    wanted = set(rows)
    parts = (edited.memory.train, edited.memory.validation)
    return {row for part in parts for row in part.asked[: part.base] if row in wanted}


def _counted(examples: Sequence[tuple[str, Example]]) -> str:
    if not examples:
        return ""
    name, example = examples[0]
    if len(examples) == 1:
        return f"the text of edit {name!r} in {example.lang!r} is"
    return f"{len(examples)} texts of the edits, such as that of {name!r} in {example.lang!r}, are"
