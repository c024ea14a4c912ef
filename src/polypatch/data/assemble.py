"""Material to EditingData: draw memory, validation and locality so that no two sets share a row or a text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from polypatch.data.base import EditingData
from polypatch.data.known import around_facts
from polypatch.data.rows import CorpusRow, Material, Sizes, edit_texts
from polypatch.edits import Labelled, Lang, Text
from polypatch.errors import DataError

Groups = list[list[CorpusRow]]
"""Rows in sampling order. The rows of one group (one premise) never go to two sets."""


def assemble(material: Material, *, sizes: Sizes | Mapping[str, int] | None = None, seed: int = 0) -> EditingData:
    """Sample the sets around the edits.

    `train` rows give the learning memory and the locality set ``train``; `held_out` rows give the stopping memory and
    the locality set ``test``. A corpus without `train` rows gives everything from `held_out`, and no set ``train``.
    No text of an edit is in a set and no text is in two sets, whatever its language: "taxi" is one text. A larger
    memory holds the smaller one and leaves the locality sets as they were. A corpus of facts: see `around_facts`.

    Args:
        material: the corpus.
        sizes: how many rows each set gets; a mapping changes some of the corpus's own, None none of them.
        seed: of the sampling.

    Raises:
        DataError: an unknown size, or a set of the source language is larger than what the corpus has left.
    """
    if not isinstance(sizes, Sizes):
        sizes = _changed(material.sizes, sizes or {})
    own = {name: rows[: sizes.locality_own] for name, rows in material.locality.items()}
    material = replace(material, locality=own)
    if material.facts:
        return around_facts(material, sizes, seed)
    source = material.languages[0]
    edited = {_key(edit.prompt[edit.source]) for edit in material.edits}
    trained = {_key(row.text[source]) for row in material.train}
    train = _shuffled(material.train, source, edited, seed)
    held_out = _shuffled(material.held_out, source, edited | trained, seed)

    draw = _Draw(material, seed)
    # Locality first: the sets that are scored must not change with the memory.
    near, train = draw.locality("train", train, sizes.locality_train)
    far, held_out = draw.locality("test", held_out, sizes.locality_test)
    if material.train:
        watched, learned = _flat(held_out), _flat(train)
    else:
        watched, held_out = draw.front(held_out, max(sizes.validation, sizes.validation_other))
        learned = _flat(held_out)
    validation = draw.memory("validation", watched, sizes.validation, sizes.validation_other)
    parallel = draw.parallel(learned, sizes.parallel)
    memory = draw.memory("memory", learned, sizes.memory, sizes.memory_other)
    locality = {**material.locality, **near, **far}
    return EditingData(
        material.name, material.edits, memory, validation, locality, parallel, notes=dict(material.notes)
    )


def _changed(own: Sizes, given: Mapping[str, int]) -> Sizes:
    if not isinstance(given, Mapping):
        raise DataError(f"sizes is {given!r}: give the sizes by name, such as {{'memory': 2000}}")
    known = [field.name for field in fields(Sizes)]
    for name in given:
        if name not in known:
            raise DataError(f"no size is called {name!r}; there are {', '.join(sorted(known))}")
    return replace(own, **given)


class _Draw:
    """Hands out rows set by set, and remembers every text that an edit or a finished set holds."""

    def __init__(self, material: Material, seed: int) -> None:
        self.name = material.name
        self.source = material.languages[0]
        self.others = material.languages[1:]
        self.seed = seed
        self.taken: set[Text] = {text for edit in material.edits for text in edit_texts(edit)}

    def locality(self, name: str, groups: Groups, size: int) -> tuple[dict[str, list[Labelled]], Groups]:
        """The set `name` in the source language and, the same rows, ``{name}.{lang}`` in every other; what is left."""
        rows, rest = self.front(groups, size)
        self._require(f"locality {name}", rows, size)
        columns = {name: self._column(rows, self.source, size)}
        columns |= {f"{name}.{lang}": self._column(rows, lang, size) for lang in self.others}
        self.taken.update(text for column in columns.values() for text in column)
        sets = {
            key: [Labelled(text, row.label) for text, row in column.items()]
            for key, column in columns.items()
            if column
        }
        return sets, rest

    def memory(self, name: str, rows: Sequence[CorpusRow], size: int, size_other: int) -> dict[Lang, list[Text]]:
        """The memory `name` by language. Each language has its own draw: real memories are not parallel."""
        columns = {self.source: self._column(rows, self.source, size)}
        self._require(name, columns[self.source], size)
        for lang in self.others:
            order = random.Random(f"{self.seed} {name} {lang}").sample(rows, len(rows))
            columns[lang] = self._column(order, lang, size_other)
        self.taken.update(text for column in columns.values() for text in column)
        return {lang: list(column) for lang, column in columns.items() if column}

    def parallel(self, rows: Sequence[CorpusRow], size: int) -> dict[Lang, list[Text]]:
        """Up to `size` rows that have every language, none of whose texts is in an edit or a set drawn before."""
        languages = (self.source, *self.others)
        order = random.Random(f"{self.seed} parallel").sample(rows, len(rows)) if size else []
        whole = (row for row in order if all(lang in row.text for lang in languages))
        free = (row for row in whole if not any(row.text[lang] in self.taken for lang in languages))
        chosen = [row for row, _ in zip(free, range(size), strict=False)]
        return {lang: [row.text[lang] for row in chosen] for lang in languages} if chosen else {}

    def front(self, groups: Groups, size: int) -> tuple[list[CorpusRow], Groups]:
        """The first `size` rows whose source text is free, and the groups after them; a group that was cut is used."""
        rows: list[CorpusRow] = []
        for used, group in enumerate(groups):
            if len(rows) >= size:
                return rows[:size], groups[used:]
            rows.extend(row for row in group if row.text[self.source] not in self.taken)
        return rows[:size], []

    def _column(self, rows: Iterable[CorpusRow], lang: Lang, at_most: int) -> dict[Text, CorpusRow]:
        """The first `at_most` texts of `rows` in `lang` that are free, with their rows, without repeats."""
        column: dict[Text, CorpusRow] = {}
        for row in rows:
            if len(column) == at_most:
                break
            text = row.text.get(lang)
            if text is not None and text not in self.taken:
                column.setdefault(text, row)
        return column

    def _require(self, what: str, have: Sequence[CorpusRow] | dict[Text, CorpusRow], size: int) -> None:
        if len(have) < size:
            raise DataError(
                f"{self.name}: {size} rows asked for {what}, but only {len(have)} are left for it; pass smaller Sizes"
            )


def _key(text: Text) -> str:
    """What two sets may not share: the text, or the premise of a pair (XNLI has three pairs to every premise)."""
    return text if isinstance(text, str) else text[0]


def _shuffled(rows: Iterable[CorpusRow], source: Lang, taken: set[str], seed: int) -> Groups:
    """Rows grouped by key, without repeats and without the keys in `taken`, the groups in random order."""
    groups: dict[str, dict[Text, CorpusRow]] = {}
    for row in rows:
        text = row.text[source]
        if _key(text) not in taken:
            groups.setdefault(_key(text), {}).setdefault(text, row)
    shuffled = [list(group.values()) for group in groups.values()]
    random.Random(seed).shuffle(shuffled)
    return shuffled


def _flat(groups: Groups) -> list[CorpusRow]:
    return [row for group in groups for row in group]
