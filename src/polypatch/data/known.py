"""Facts to EditingData: memory, stopping memory and locality are other facts than the edits', in every language."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b

from polypatch.data.base import EditingData
from polypatch.data.rows import KnownFact, Material, Sizes, edit_texts
from polypatch.edits import Labelled, Lang, Text
from polypatch.errors import DataError

KNOWN = "known"
"""The locality set of facts: ``known`` in the source language, ``known.de``, … in the others."""

UNUSED = ("memory_other", "validation_other", "locality_train")


def fact_sizes(facts: Collection[KnownFact], source: Lang) -> Sizes:
    """The sizes for these facts: an upper bound of each, and shares where there are few."""
    answered = sum(source in fact.answer for fact in facts)
    return Sizes(
        memory=min(600, len(facts) // 2),
        validation=min(100, len(facts) // 8),
        locality_test=min(300, answered // 4),
        parallel=min(1000, len(facts)),
    )


def by_hash(facts: Iterable[KnownFact], salt: object) -> list[KnownFact]:
    """The facts in an order that depends on their ids and on `salt` alone."""
    return sorted(facts, key=lambda fact: blake2b(f"{salt} {fact.id}".encode()).digest())


def halves(facts: Iterable[KnownFact]) -> tuple[list[KnownFact], list[KnownFact]]:
    """The facts to edit and those to leave alone, half of them each, in the order given: of a corpus that is not split.

    Which half a fact is in depends on its id alone.
    """
    facts = list(facts)
    edited = {fact.id for fact in by_hash(facts, "edited")[: len(facts) // 2]}
    return [fact for fact in facts if fact.id in edited], [fact for fact in facts if fact.id not in edited]


def around_facts(material: Material, sizes: Sizes, seed: int) -> EditingData:
    """Draw the sets by fact: what is asked of a fact is in one set alone, whatever the language and the wording.

    Locality: the first wording with its answer. Memory and stopping memory: all wordings. Parallel text: the first
    wordings of facts outside locality and stopping memory that have every language; these may be in the memory, too. No
    text of an edit is in a set. A larger memory holds the smaller one and leaves the other sets as they were.

    Raises:
        DataError: a size that is not used here, or fewer facts than asked for.
    """
    given = [name for name in UNUSED if getattr(sizes, name)]
    if given:
        raise DataError(
            f"{material.name}: size {given[0]} is not used: facts are drawn in all their languages; give memory, "
            "validation, locality_test, locality_own, parallel"
        )
    draw = _Draw(material, seed)
    locality = draw.locality(sizes.locality_test)
    validation = draw.memory("validation", sizes.validation)
    parallel = draw.parallel(sizes.parallel)
    memory = draw.memory("memory", sizes.memory)
    sets = {**material.locality, **locality}
    return EditingData(material.name, material.edits, memory, validation, sets, parallel, notes=dict(material.notes))


class _Draw:
    """Hands out facts set by set, and remembers every text that an edit or a finished set holds."""

    def __init__(self, material: Material, seed: int) -> None:
        self.name = material.name
        self.languages = material.languages
        self.taken: set[Text] = {text for edit in material.edits for text in edit_texts(edit)}
        self.taken.update(row.text for rows in material.locality.values() for row in rows)
        self.rest = by_hash(material.facts, seed)

    def locality(self, size: int) -> dict[str, list[Labelled]]:
        source = self.languages[0]
        sets: dict[str, list[Labelled]] = {}
        for fact in self._first(f"locality {KNOWN}", size, answered=True):
            for lang in self.languages:
                first = next(iter(fact.wordings.get(lang, ())), None)
                if first is not None and lang in fact.answer and first not in self.taken:
                    self.taken.add(first)
                    name = KNOWN if lang == source else f"{KNOWN}.{lang}"
                    sets.setdefault(name, []).append(Labelled(first, fact.answer[lang]))
            self.taken.update(_texts(fact, self.languages))
        return sets

    def memory(self, name: str, size: int) -> dict[Lang, list[Text]]:
        columns: dict[Lang, dict[Text, None]] = {lang: {} for lang in self.languages}
        for fact in self._first(name, size):
            for lang, column in columns.items():
                column.update(dict.fromkeys(text for text in fact.wordings.get(lang, ()) if text not in self.taken))
        self.taken.update(text for column in columns.values() for text in column)
        return {lang: list(column) for lang, column in columns.items() if column}

    def parallel(self, size: int) -> dict[Lang, list[Text]]:
        rows: list[list[Text]] = []
        for fact in self.rest:
            row: list[Text] = [text for lang in self.languages for text in fact.wordings.get(lang, ())[:1]]
            if len(rows) < size and len(row) == len(self.languages) and not self.taken.intersection(row):
                rows.append(row)
        return {lang: [row[i] for row in rows] for i, lang in enumerate(self.languages)} if rows else {}

    def _first(self, what: str, size: int, *, answered: bool = False) -> list[KnownFact]:
        """The next `size` facts that can still be asked for in the source language, if need be with an answer."""
        source = self.languages[0]
        chosen: dict[str, KnownFact] = {}
        later: list[KnownFact] = []
        for fact in self.rest:
            first = next(iter(fact.wordings.get(source, ())), None)
            if first is None or first in self.taken or first in chosen:
                continue
            if len(chosen) == size or (answered and source not in fact.answer):
                later.append(fact)
            else:
                chosen[first] = fact
        if len(chosen) < size:
            raise DataError(
                f"{self.name}: {size} facts asked for {what}, but only {len(chosen)} are left; pass smaller Sizes"
            )
        self.rest = later
        return list(chosen.values())


def _texts(fact: KnownFact, languages: Iterable[Lang]) -> Iterator[str]:
    for lang in languages:
        yield from fact.wordings.get(lang, ())
