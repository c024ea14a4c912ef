"""Traps of real data sets, marked so that no score counts them unseen."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from polypatch.edits import Edit, Lang, RelatedQuestion, Text

SAME = "rephrases left out that equal their prompt"
LEAKED = "portability questions that hold the new answer"
SUFFIX = " (holds the answer)"
"""Behind the name of a portability set: its questions that hold the new answer themselves."""


def without_traps(edits: Iterable[Edit]) -> tuple[tuple[Edit, ...], dict[str, int]]:
    """The edits with what is no test of them marked, and how often each was found, in all languages together.

    A rephrase that equals its prompt is left out: it would score reliability once more. A portability question that
    holds the new answer, whatever the case of its letters, goes to a set of its own, ``{name} (holds the answer)``:
    whoever repeats the question is right.
    """
    found: Counter[str] = Counter()
    marked = tuple(_marked(edit, found) for edit in edits)
    return marked, {name: found[name] for name in (SAME, LEAKED) if found[name]}


def without_contradictions(edits: Iterable[Edit]) -> tuple[tuple[Edit, ...], int]:
    """The edits but those that want another answer than an earlier one to one prompt, and how many those are.

    Prompts are one where they differ in case, blanks or Unicode form at most, in whatever language: many tokenizers
    read the same then.
    """
    seen: dict[Text, str] = {}
    kept = []
    count = 0
    for edit in edits:
        wanted = {_folded(example.text): example.target for example in edit.examples}
        if all(seen.get(text, target) == target for text, target in wanted.items()):
            kept.append(edit)
            seen.update(wanted)
        else:
            count += 1
    return tuple(kept), count


def _folded(text: Text) -> Text:
    def fold(part: str) -> str:
        return "".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold()).split())

    return fold(text) if isinstance(text, str) else (fold(text[0]), fold(text[1]))


def _marked(edit: Edit, found: Counter[str]) -> Edit:
    rephrases = {lang: _others(edit.prompt.get(lang), texts, found) for lang, texts in edit.rephrases.items()}
    portability: dict[str, tuple[RelatedQuestion, ...]] = {}
    for name, questions in edit.portability.items():
        leaked = [{lang for lang in question.prompt if _leaks(edit, question, lang)} for question in questions]
        found[LEAKED] += sum(map(len, leaked))
        parts = list(zip(questions, leaked, strict=True))
        clean = tuple(_only(question, question.prompt.keys() - those) for question, those in parts)
        holds = tuple(_only(question, those) for question, those in parts)
        for key, part in ((name, clean), (f"{name}{SUFFIX}", holds)):
            if kept := tuple(question for question in part if question.prompt):
                portability[key] = kept
    kept_rephrases = {lang: texts for lang, texts in rephrases.items() if texts}
    return replace(edit, rephrases=kept_rephrases, portability=portability)


def _others(prompt: Text | None, texts: tuple[Text, ...], found: Counter[str]) -> tuple[Text, ...]:
    kept = tuple(text for text in texts if text != prompt)
    found[SAME] += len(texts) - len(kept)
    return kept


def _leaks(edit: Edit, question: RelatedQuestion, lang: Lang) -> bool:
    text = question.prompt[lang]
    whole = text if isinstance(text, str) else " ".join(text)
    return edit.target_in(lang).casefold() in whole.casefold()


def _only(question: RelatedQuestion, languages: Iterable[Lang]) -> RelatedQuestion:
    keep = set(languages)

    def part(by_language: Mapping[Lang, str]) -> dict[Lang, str]:
        return {lang: value for lang, value in by_language.items() if lang in keep}

    prompt = {lang: text for lang, text in question.prompt.items() if lang in keep}
    return RelatedQuestion(prompt, part(question.target))
