"""Aligned rows to edits: what every reader of a parallel, labelled corpus shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from polypatch.arguments import items_in
from polypatch.data.quoting import listed, quoted
from polypatch.edits import Edit, Labelled, Lang, Text, is_lang
from polypatch.errors import DataError
from polypatch.languages import not_a_lang


class CorpusRow(NamedTuple):
    """One labelled row of a corpus, in every language that was asked for; a training row may lack some."""

    id: str
    text: Mapping[Lang, Text]
    label: str


class KnownFact(NamedTuple):
    """A fact that edits must leave alone: how it is asked for and its answer, in the languages that have it.

    Attributes:
        id: decides which set it goes to, so that this does not depend on the order of a file.
        wordings: language -> prompts; the first ones of all languages say the same.
        answer: language -> the right answer; a language may lack it.
    """

    id: str
    wordings: Mapping[Lang, tuple[str, ...]]
    answer: Mapping[Lang, str]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each sampled set gets.

    The sizes of the source language are exact, and a DataError where the corpus cannot fill them. Those of every other
    language are upper bounds: a row whose text in that language is already in another set is left out. Of a corpus of
    facts, `memory`, `validation`, `locality_test` and `parallel` are numbers of facts, each in all its languages.

    Attributes:
        memory: learning memory in the source language.
        memory_other: learning memory in each other language.
        validation: stopping memory in the source language.
        validation_other: stopping memory in each other language.
        locality_train: locality set ``train``, and ``train.de``, … : the same rows in the other languages.
        locality_test: locality set ``test``, and ``test.de``, … .
        locality_own: at most so many of each locality set that the edits bring with them, such as ``neighborhood``.
        parallel: at most so many rows of unlabelled parallel text, to map queries by; they may be in the memory, too.
    """

    memory: int = 0
    memory_other: int = 0
    validation: int = 0
    validation_other: int = 0
    locality_train: int = 0
    locality_test: int = 0
    locality_own: int = 1_000_000
    parallel: int = 0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise DataError(f"size {name} is {getattr(self, name)}; sizes cannot be negative")


@dataclass(frozen=True)
class Material:
    """What a reader hands over, before anything is sampled.

    Attributes:
        name: short name of the source.
        languages: the source language first.
        edits: the stream, in file order.
        train: rows the model was (or may have been) trained on.
        held_out: rows that are neither trained on nor edited. Where `train` is empty, the memory comes from here too.
        locality: locality sets that the file itself names; the sampled ones are added to them.
        sizes: the sizes that suit this corpus, used where the caller names none.
        facts: in place of `train` and `held_out` where answers are written and differ by language.
        notes: what a reader of results must know, and how often: ``{"rows left out": 3}``.
    """

    name: str
    languages: tuple[Lang, ...]
    edits: tuple[Edit, ...]
    train: Sequence[CorpusRow] = ()
    held_out: Sequence[CorpusRow] = ()
    locality: Mapping[str, Sequence[Labelled]] = field(default_factory=dict)
    sizes: Sizes = Sizes()
    facts: Sequence[KnownFact] = ()
    notes: Mapping[str, int] = field(default_factory=dict)


def choose_languages(
    asked: Iterable[Lang] | None, available: Iterable[Lang], *, source: Lang, where: object
) -> tuple[Lang, ...]:
    """`source` and the languages asked for (all that are available for None), without repeats, the source first.

    ``de?`` is taken where it is available.

    Raises:
        DataError: one of them is not available, the message lists those that are; or is no language code.
    """
    has = tuple(available)
    asked = None if asked is None else items_in(asked, "languages", '["de", "fr"]')
    named = (str(lang).removesuffix("?") for lang in asked or () if not str(lang).endswith("?") or lang[:-1] in has)
    chosen = tuple(dict.fromkeys((source, *(has if asked is None else named))))
    missing = [lang for lang in chosen if lang not in has]
    if missing:
        raise DataError(f"{where}: no text in {listed([repr(lang) for lang in missing])} (has: {listed(sorted(has))})")
    strange = next((lang for lang in chosen if not is_lang(lang)), None)
    if strange is not None:
        raise DataError(f"{where}: {not_a_lang(strange)}")
    return chosen


def filled(row: CorpusRow, *, where: object) -> CorpusRow:
    """The row itself, where every text and the label say something.

    Raises:
        DataError: naming the row and the language of the first that is empty or no text.
    """
    for name, text in [*row.text.items(), ("the label", row.label)]:
        if not all(isinstance(part, str) and part.strip() for part in (text if isinstance(text, tuple) else (text,))):
            raise DataError(f"{where}: row {quoted(row.id)}: empty or not text in {name!r}: {quoted(text)}; fill it in")
    return row


def to_edits(name: str, rows: Iterable[CorpusRow], languages: Sequence[Lang]) -> tuple[Edit, ...]:
    """One edit per row, ``{name}-{row id}``, in row order; the label is the target in every language."""
    source = languages[0]
    return tuple(
        Edit(id=f"{name}-{row.id}", prompt=row.text, target={source: row.label}, source=source) for row in rows
    )


def edit_texts(edit: Edit) -> Iterator[Text]:
    """The prompts of an edit and their renderings, then its rephrases, in every language."""
    yield from edit.texts
    for rephrases in edit.rephrases.values():
        yield from rephrases
