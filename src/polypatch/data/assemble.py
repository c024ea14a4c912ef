"""Material to EditingData: draw memory, validation and locality so that no two sets share a row or a text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from polypatch.data.base import EditingData
from polypatch.data.rows import Material, Row, Sizes
from polypatch.edits import Labelled, Lang, Text
from polypatch.errors import DataError

Groups = list[list[Row]]
"""Rows in sampling order. The rows of one group (one premise) always go to the same set."""


def assemble(material: Material, *, sizes: Sizes | None = None, seed: int = 0) -> EditingData:
    """Sample the sets around the edits.

    `train` rows give the learning memory and the locality set ``train``; `held_out` rows the stopping memory and the
    locality set ``test``. A corpus without `train` rows gives everything from `held_out`, and no set ``train``.
    Rows whose text is also an edit's text, in that language, are in no set. Sampling is ``random.Random(seed)``: a
    larger memory holds the smaller one, and a set does not depend on which other languages were asked for.

    Raises:
        DataError: a set of the source language is larger than what the corpus has left.
    """
    sizes = material.sizes if sizes is None else sizes
    edited = {_key(edit.prompt[edit.source]) for edit in material.edits}
    trained = {_key(row.text[material.languages[0]]) for row in material.train}
    train = _shuffled(material.train, material.languages[0], edited, seed)
    held_out = _shuffled(material.held_out, material.languages[0], edited | trained, seed)

    near, train = _cut(train, sizes.locality_train)
    far, held_out = _cut(held_out, sizes.locality_test)
    if material.train:
        watched, learned = held_out, train
    else:
        rows, learned = _cut(held_out, max(sizes.validation, sizes.validation_other))
        watched = [[row] for row in rows]

    draw = _Draw(material, seed)
    # Locality first: a larger memory then never changes the sets that are scored.
    locality = draw.labelled("train", near, sizes.locality_train) | draw.labelled("test", far, sizes.locality_test)
    validation = draw.texts("validation", watched, sizes.validation, sizes.validation_other)
    memory = draw.texts("memory", learned, sizes.memory, sizes.memory_other)
    return EditingData(material.name, material.edits, memory, validation, {**material.locality, **locality})


class _Draw:
    """Hands out rows; a text that was handed out once, or is an edit's, is never handed out again in its language."""

    def __init__(self, material: Material, seed: int) -> None:
        self.name = material.name
        self.source = material.languages[0]
        self.others = material.languages[1:]
        self.seed = seed
        self.seen: dict[Lang, set[Text]] = {
            lang: {edit.prompt[lang] for edit in material.edits if lang in edit.prompt} for lang in material.languages
        }

    def labelled(self, name: str, rows: Sequence[Row], size: int) -> dict[str, list[Labelled]]:
        """The locality set `name` in the source language and, the same rows, ``{name}.{lang}`` in every other."""
        self._require(f"locality {name}", rows, size)
        keys = {self.source: name} | {lang: f"{name}.{lang}" for lang in self.others}
        drawn = {lang: self._fresh(rows, lang, size) for lang in keys}
        return {keys[lang]: [Labelled(row.text[lang], row.label) for row in some] for lang, some in drawn.items() if some}

    def texts(self, name: str, groups: Groups, size: int, size_other: int) -> dict[Lang, list[Text]]:
        """The memory `name` by language. Each language has its own draw: real memories are not parallel."""
        rows = [row for group in groups for row in group]
        drawn = {self.source: self._fresh(rows, self.source, size)}
        self._require(name, drawn[self.source], size)
        for lang in self.others:
            order = random.Random(f"{self.seed} {name} {lang}").sample(rows, len(rows))
            drawn[lang] = self._fresh(order, lang, size_other)
        return {lang: [row.text[lang] for row in some] for lang, some in drawn.items() if some}

    def _fresh(self, rows: Iterable[Row], lang: Lang, at_most: int) -> list[Row]:
        fresh: list[Row] = []
        seen = self.seen[lang]
        for row in rows:
            if len(fresh) == at_most:
                break
            if row.text[lang] not in seen:
                seen.add(row.text[lang])
                fresh.append(row)
        return fresh

    def _require(self, what: str, rows: Sequence[Row], size: int) -> None:
        if len(rows) < size:
            raise DataError(
                f"{self.name}: {size} rows asked for {what}, {len(rows)} are left after the sets before it; "
                "pass smaller Sizes"
            )


def _key(text: Text) -> str:
    """What two sets may not share: the text, or the premise of a pair (XNLI has three pairs to every premise)."""
    return text if isinstance(text, str) else text[0]


def _shuffled(rows: Iterable[Row], source: Lang, taken: set[str], seed: int) -> Groups:
    """Rows grouped by key, without repeats and without the keys in `taken`, the groups in random order."""
    groups: dict[str, dict[Text, Row]] = {}
    for row in rows:
        text = row.text[source]
        if _key(text) not in taken:
            groups.setdefault(_key(text), {}).setdefault(text, row)
    shuffled = [list(group.values()) for group in groups.values()]
    random.Random(seed).shuffle(shuffled)
    return shuffled


def _cut(groups: Groups, size: int) -> tuple[list[Row], Groups]:
    """The first `size` rows, and the groups after them; the rest of a group that was cut goes to no set."""
    front: list[Row] = []
    for used, group in enumerate(groups):
        if len(front) >= size:
            return front[:size], groups[used:]
        front.extend(group)
    return front[:size], []
