"""EditingData: everything one experiment needs, whatever file it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from polypatch.data.given import edits_in, labelled_in
from polypatch.edits import Edit, Labelled, Lang, Text, is_lang
from polypatch.errors import DataError
from polypatch.languages import languages_in


@dataclass(frozen=True)
class EditingData:
    """A stream of edits and the texts around it.

    Attributes:
        name: short name of the source (``world``, ``massive``, ``facts``, ``jsonl``).
        edits: the stream, in file order; each edit holds every language that was asked for.
        memory: unlabelled texts by language that an edit must leave alone, to *train* with (the learning memory).
        validation: the same, held out: the stopping rule watches these (the stopping memory).
        parallel: unlabelled texts by language, the source first; the i-th texts of all languages say the same.
        locality: named sets of labelled texts for the locality metrics: ``train``, ``test`` (source language) and,
            where text exists, ``train.de``, ``test.de``, …; of facts ``known``, ``known.de``, … . Disjoint from
            `memory`, `validation` and `edits`.
        held_out: unlabelled texts by language that are in no memory either, where there are no locality sets.
        notes: what a reader of results must know, and how often: ``{"rows left out": 3}``.
    """

    name: str
    edits: tuple[Edit, ...]
    memory: Mapping[Lang, Sequence[Text]] = field(default_factory=dict)
    validation: Mapping[Lang, Sequence[Text]] = field(default_factory=dict)
    locality: Mapping[str, Sequence[Labelled]] = field(default_factory=dict)
    parallel: Mapping[Lang, Sequence[Text]] = field(default_factory=dict)
    held_out: Mapping[Lang, Sequence[Text]] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "edits", edits_in(self.edits))
        object.__setattr__(self, "locality", labelled_in(self.locality))

    def memory_texts(self, languages: Iterable[Lang]) -> list[Text]:
        """The learning memory of `languages`, one after another; DataError where a language has no memory text."""
        return _pooled(self.memory, languages, "memory")

    def asked(self, edits: Iterable[Edit]) -> list[Text]:
        """Every text that is answered: the prompts, renderings and rephrases of these edits, and the locality sets."""
        edits = list(edits)
        texts = [text for edit in edits for text in edit.texts]
        texts += [text for edit in edits for row in edit.rephrases.values() for text in row]
        return texts + [row.text for rows in self.locality.values() for row in rows]

    def validation_texts(self, languages: Iterable[Lang]) -> list[Text]:
        """The stopping memory of `languages`, one after another; DataError where a language has no memory text."""
        return _pooled(self.validation, languages, "validation memory")

    def others(self) -> dict[Lang, list[Text]]:
        """Texts by language that should not change and that no memory holds: the locality sets, and `held_out`."""
        source = self.edits[0].source if self.edits else "en"
        found: dict[Lang, dict[Text, None]] = {}
        for name, rows in self.locality.items():
            suffix = name.rpartition(".")[2]
            lang = suffix if "." in name and is_lang(suffix) else source
            found.setdefault(lang, {}).update(dict.fromkeys(row.text for row in rows))
        for lang, texts in self.held_out.items():
            found.setdefault(lang, {}).update(dict.fromkeys(texts))
        return {lang: list(texts) for lang, texts in found.items()}


def _pooled(texts: Mapping[Lang, Sequence[Text]], languages: Iterable[Lang], what: str) -> list[Text]:
    pooled: list[Text] = []
    for lang in languages_in(languages):
        if lang not in texts:
            raise DataError(f"no {what} text in {lang!r} (has: {', '.join(sorted(texts)) or 'none'})")
        pooled.extend(texts[lang])
    return pooled
