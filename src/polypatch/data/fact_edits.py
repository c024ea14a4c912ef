"""What a data set says of one fact in one language, and the edit that its languages make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from polypatch.data.known import fact_sizes
from polypatch.data.rows import KnownFact, Material, edit_texts
from polypatch.data.traps import without_contradictions, without_traps
from polypatch.edits import Edit, Labelled, Lang, RelatedQuestion, Text
from polypatch.errors import DataError

NEAR = "neighborhood"
ONE_HOP = "one_hop"

CONTRADICT = "edits left out that contradict an earlier one"


class QuestionAndAnswer(NamedTuple):
    """A question, and its answer where it is known."""

    prompt: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class FactInLanguage:
    """One fact in one language.

    Attributes:
        prompt: what is asked, or the beginning of a sentence that the answer ends.
        target: the new answer.
        rephrases: other wordings of the prompt.
        aliases: other spellings of the target.
        former: the answer before; empty where it is not known.
        subject: what the prompt is about; empty where it is not known.
        locality: name of a set -> questions whose answers must stay.
        portability: name of a set -> questions whose answers follow from the new one.
    """

    prompt: str
    target: str
    rephrases: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    former: str = ""
    subject: str = ""
    locality: Mapping[str, tuple[QuestionAndAnswer, ...]] = field(default_factory=dict)
    portability: Mapping[str, tuple[QuestionAndAnswer, ...]] = field(default_factory=dict)


FactByLanguage: TypeAlias = "Mapping[Lang, FactInLanguage]"


def fact_edit(name: str, rows: FactByLanguage, source: Lang) -> Edit:
    """The edit that a fact makes in all its languages, each with its own target."""

    def filled(attribute: str) -> dict[Lang, str]:
        return {lang: value for lang, row in rows.items() if (value := getattr(row, attribute))}

    prompt: dict[Lang, Text] = {lang: row.prompt for lang, row in rows.items()}
    return Edit(
        id=name,
        source=source,
        prompt=prompt,
        target=filled("target"),
        rephrases={lang: row.rephrases for lang, row in rows.items() if row.rephrases},
        aliases={lang: row.aliases for lang, row in rows.items() if row.aliases},
        ground_truth=filled("former"),
        subject=filled("subject"),
        locality=_sets({lang: row.locality for lang, row in rows.items()}),
        portability=_sets({lang: row.portability for lang, row in rows.items()}),
    )


def fact_material(
    name: str,
    languages: tuple[Lang, ...],
    facts: Mapping[str, FactByLanguage],
    *,
    others: Sequence[KnownFact] = (),
    notes: Mapping[str, int] | None = None,
    where: object,
) -> Material:
    """Facts as edits, with their traps marked, their own locality questions as sets, and other facts around them.

    Args:
        name: of the data set.
        languages: those to keep, the source first; a fact without the source language is left out, and counted.
        facts: id of the edit -> the fact by language.
        others: facts that are not edited.
        notes: what the reader counted itself.
        where: file or folder, for messages.

    Raises:
        DataError: no fact has the source language.
    """
    source = languages[0]
    edits = []
    for key, rows in facts.items():
        kept = {lang: rows[lang] for lang in languages if lang in rows}
        if source in kept:
            edits.append(fact_edit(key, kept, source))
    if not edits:
        raise DataError(f"{where}: no fact in the source language {source!r}")
    marked, traps = without_traps(edits)
    missing = {f"facts left out that have nothing in {source!r}": len(facts) - len(edits)}
    counted = {**(notes or {}), **missing, **traps}
    locality = _locality_sets(marked)
    taken = {text for edit in marked for text in edit_texts(edit)}
    taken.update(row.text for rows in locality.values() for row in rows)
    free = {text: fact for fact in others for text in fact.wordings.get(source, ())[:1] if text not in taken}
    return Material(
        name,
        languages,
        marked,
        locality=locality,
        sizes=fact_sizes(free.values(), source),
        facts=others,
        notes={what: count for what, count in counted.items() if count},
    )


def first_answers(found: Material) -> Material:
    """The same with the first edit alone where several want different answers to one prompt; the others are counted."""
    edits, left_out = without_contradictions(found.edits)
    notes = {**found.notes, CONTRADICT: left_out} if left_out else found.notes
    return replace(found, edits=edits, notes=notes)


def _locality_sets(edits: Sequence[Edit]) -> dict[str, list[Labelled]]:
    """The edits' own questions whose answers must stay: each once, and none that an edit asks itself.

    In the source language by name, in another as ``{name}.{lang}`` where it has its own answer.
    """
    edited = {text for edit in edits for text in edit_texts(edit)}
    sets: dict[str, dict[Text, Labelled]] = {}
    for edit in edits:
        for name, questions in edit.locality.items():
            for question in questions:
                for lang in question.target:
                    key, text = name if lang == edit.source else f"{name}.{lang}", question.prompt[lang]
                    if text not in edited:
                        sets.setdefault(key, {}).setdefault(text, Labelled(text, question.target[lang]))
    return {key: list(rows.values()) for key, rows in sets.items()}


def _sets(
    by_language: Mapping[Lang, Mapping[str, tuple[QuestionAndAnswer, ...]]],
) -> dict[str, tuple[RelatedQuestion, ...]]:
    """Named questions by language -> named sets whose questions have languages; the i-th of all are one."""
    names = dict.fromkeys(name for sets in by_language.values() for name in sets)
    return {
        name: tuple(
            RelatedQuestion(
                {lang: asked[i].prompt for lang, asked in columns.items() if i < len(asked)},
                {lang: asked[i].answer for lang, asked in columns.items() if i < len(asked) and asked[i].answer},
            )
            for i in range(max(map(len, columns.values())))
        )
        for name in names
        if (columns := {lang: sets[name] for lang, sets in by_language.items() if name in sets})
    }
