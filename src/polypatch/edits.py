"""Edit: one correction, its parallel prompts, rephrases and probes. The only type that every layer shares."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from polypatch.arguments import SURROGATE, no_class_name, not_a_text, shortened
from polypatch.errors import EditError
from polypatch.languages import Lang as Lang
from polypatch.languages import is_lang as is_lang
from polypatch.languages import languages_in, not_a_lang

Text: TypeAlias = str | tuple[str, str]
"""As tokenizers take it: a text, or (premise, hypothesis)."""

_LISTS = ("rephrases", "aliases", "renderings")
"""Fields with several texts in a language."""

_ID_WORDS = 40
"""Characters of the prompt in an id that is made."""

MAPPED = "~"
"""Before a language: not its prompt, but the source's mapped to it."""

FURTHER = "#"
"""Behind a language, before a number: ``de#2`` is the second text of an edit in German, the first of its renderings."""


class Example(NamedTuple):
    """What a sampler draws: one text in one language, and the answer it should get.

    Attributes:
        lang: the language; ``~de`` where nobody has translated the text and its query is mapped to ``de``, ``de#2``
            where it is not the prompt in German, but the edit's second text in it.
        text: the text; of a mapped one, the source's.
        target: the answer that is wanted.
        via: the language its query is mapped to; empty where it is not.
    """

    lang: Lang
    text: Text
    target: str
    via: Lang = ""


class Labelled(NamedTuple):
    """A text and its gold label: one row of a locality set."""

    text: Text
    label: str


@dataclass(frozen=True, slots=True)
class RelatedQuestion:
    """A question that an edit should (portability) or should not (locality) change, in one or more languages."""

    prompt: Mapping[Lang, Text]
    target: Mapping[Lang, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction: the model should answer `target` to `prompt`, in every language.

    `id` names it in reports and for `revert`; an edit without one gets the first words of its prompt and six figures.
    `prompt` holds at least `source`; the other entries are parallel to it. `target` needs only the source language
    where the answer is a class label, which is the same string everywhere. `renderings` are further texts in a language
    that has a prompt, such as other translations of it: they are learned like the prompt, and not measured. `rephrases`
    are other wordings (source language: MLG, eq. 11; any other: ``clg_rephrase``) and are never trained on.
    `ground_truth` is what the model said before, `subject` what the prompt is about; both are optional, and carried for
    EasyEdit's file format. `aliases` are other spellings of the target that count as right in evaluation, by language;
    they are never trained on.

    Raises:
        EditError: an empty id or text, a language code that does not exist, a value that is not by language, no prompt
            or no target in the source language; a rendering in a language without a prompt, or one that stands among
            the edit's other texts in its language already.
    """

    id: str = None  # type: ignore[assignment]  # never None once it is made
    prompt: Mapping[Lang, Text] = field(default_factory=dict)
    target: Mapping[Lang, str] = field(default_factory=dict)
    source: Lang = "en"
    rephrases: Mapping[Lang, tuple[Text, ...]] = field(default_factory=dict)
    locality: Mapping[str, tuple[RelatedQuestion, ...]] = field(default_factory=dict)
    portability: Mapping[str, tuple[RelatedQuestion, ...]] = field(default_factory=dict)
    ground_truth: Mapping[Lang, str] = field(default_factory=dict)
    subject: Mapping[Lang, str] = field(default_factory=dict)
    aliases: Mapping[Lang, tuple[str, ...]] = field(default_factory=dict)
    renderings: Mapping[Lang, tuple[Text, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.id is not None and (not isinstance(self.id, str) or not self.id or SURROGATE.search(self.id)):
            raise EditError(f"{shortened(self.id)} is no id: an edit needs a non-empty id, or None, and one is made")
        for name in ("prompt", "target", *_LISTS, "ground_truth", "subject"):
            _require_by_language(self, name, getattr(self, name))
        for name in ("locality", "portability"):
            object.__setattr__(self, name, _probe_sets(self, name, getattr(self, name)))
        for name in _LISTS:
            object.__setattr__(self, name, _lists(self, name, getattr(self, name)))
        _require_source(self, "prompt", self.prompt)
        _require_source(self, "target", self.target)
        for place, text in self._texts():
            said = place.startswith("target")
            if wrong := no_class_name(text) if said else not_a_text(text, pair=not place.startswith("aliases")):
                raise EditError(f"{_named(self)}: {place} is {wrong}")
        _require_new_renderings(self)
        if not self.id:
            object.__setattr__(self, "id", made_id(self.prompt[self.source], self.target[self.source], self.source))

    def _texts(self) -> Iterator[tuple[str, object]]:
        """Every text of the edit with the place it stands in, for validation."""
        yield from ((f"prompt[{lang}]", text) for lang, text in self.prompt.items())
        yield from ((f"target[{lang}]", label) for lang, label in self.target.items())
        for name in _LISTS:
            for lang, texts in getattr(self, name).items():
                yield from ((f"{name}[{lang}][{i}]", text) for i, text in enumerate(texts))

    @property
    def languages(self) -> tuple[Lang, ...]:
        """The languages of the prompt, the source first, in the order given."""
        return (self.source, *(lang for lang in self.prompt if lang != self.source))

    @property
    def languages_without_target(self) -> tuple[Lang, ...]:
        """The languages of the prompt, then of the rephrases, that have no target of their own.

        A class label needs none: it is one string. An answer that is written does: English is no answer in German.
        """
        asked = dict.fromkeys((*self.languages, *(lang for lang, texts in self.rephrases.items() if texts)))
        return tuple(lang for lang in asked if lang not in self.target)

    @property
    def examples(self) -> tuple[Example, ...]:
        """All that the edit says: each language's texts with its target, the source first."""
        return tuple(example for lang in self.languages for example in self.examples_in(lang))

    def examples_in(self, lang: Lang) -> tuple[Example, ...]:
        """The prompt in `lang`, then its renderings; EditError where there is no prompt in it."""
        further = range(2, 2 + len(self.renderings.get(lang, ())))
        return tuple(map(self.example, (lang, *(f"{lang}{FURTHER}{number}" for number in further))))

    @property
    def texts(self) -> tuple[Text, ...]:
        """The prompts and their renderings, in every language."""
        return tuple(example.text for example in self.examples)

    def target_in(self, lang: Lang) -> str:
        """The answer wanted in `lang`: its own where given, else the source's (a class label is one string)."""
        return self.target.get(language_of(lang), self.target[self.source])

    def example(self, lang: Lang) -> Example:
        """The parallel prompt in `lang` with its target; ``de#2``: that rendering; ``~de``: the source's, mapped.

        Raises:
            EditError: the edit has no prompt in `lang`, or not so many texts.
        """
        if lang.startswith(MAPPED):
            other = lang.removeprefix(MAPPED)
            return Example(lang, self.prompt[self.source], self.target_in(other), other)
        own, _, number = lang.partition(FURTHER)
        if own not in self.prompt:
            raise EditError(f"edit {self.id!r} has no prompt in {own!r} (has: {', '.join(self.languages)})")
        if not number:
            return Example(lang, self.prompt[own], self.target_in(own))
        texts = self.renderings.get(own, ())
        if not number.isdecimal() or not 2 <= int(number) <= len(texts) + 1:
            raise EditError(f"edit {self.id!r} has no text {lang!r}: in {own!r} it has {len(texts) + 1}")
        return Example(lang, texts[int(number) - 2], self.target_in(own))

    def only(self, languages: Iterable[Lang]) -> Edit:
        """The same edit, its parallel prompts and their renderings cut to the source and `languages`: what is drawn."""
        keep = {self.source, *languages_in(languages)}
        prompt = {lang: text for lang, text in self.prompt.items() if lang in keep}
        return replace(self, prompt=prompt, renderings={k: v for k, v in self.renderings.items() if k in keep})


def language_of(name: Lang) -> Lang:
    """The language of an example: ``de`` of ``de#2``; of a mapped one, ``~de``, all of it."""
    return name.partition(FURTHER)[0]


def wording_of(name: Lang) -> int:
    """Which of an edit's texts in its language an example is: 1 the prompt, 2 the first of its renderings."""
    return int(name.partition(FURTHER)[2] or 1)


def words_of(text: Text) -> Text:
    """The text with one blank wherever it has white space: what tells renderings apart."""
    return " ".join(text.split()) if isinstance(text, str) else (" ".join(text[0].split()), " ".join(text[1].split()))


def made_id(prompt: Text, target: str, source: Lang) -> str:
    """The id of an edit that was given none: its first words, for people, and a hash of what it says.

    It depends on nothing else, so that the same correction has the same id, and the same random numbers, in every run.
    """
    words = re.findall(r"\w+", prompt if isinstance(prompt, str) else " ".join(prompt))
    whole = "-".join(words)
    first = whole if len(whole) <= _ID_WORDS else whole[: _ID_WORDS + 1].rpartition("-")[0] or whole[:_ID_WORDS]
    said = hashlib.blake2b(json.dumps([prompt, target, source]).encode(), digest_size=3).hexdigest()
    return f"{first}-{said}" if first else said


def _named(edit: Edit) -> str:
    return "an edit" if edit.id is None else f"edit {shortened(edit.id)}"


def _require_new_renderings(edit: Edit) -> None:
    """Renderings go with a prompt, and are no text that is there already: neither a learned nor a held-out one."""
    for lang, renderings in edit.renderings.items():
        if lang not in edit.prompt:
            raise EditError(f"{_named(edit)}: renderings[{lang}] go with a prompt in {lang!r}, and there is none")
        taken = {words_of(text): f"rephrases[{lang}]" for text in edit.rephrases.get(lang, ())}
        taken[words_of(edit.prompt[lang])] = f"prompt[{lang}]"
        for i, text in enumerate(renderings):
            place, words = f"renderings[{lang}][{i}]", words_of(text)
            if words in taken:
                raise EditError(f"{_named(edit)}: {place} is {taken[words]} once more; leave one of them out")
            taken[words] = place


def _require_by_language(edit: Edit, name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise EditError(
            f"{_named(edit)}: {name} is {shortened(value)}; give it by language: {{{shortened(edit.source)}: …}}"
        )
    for lang in (*value, edit.source):
        if not is_lang(lang):
            raise EditError(f"{_named(edit)}: {name}: {not_a_lang(lang)}")


def _lists(edit: Edit, name: str, given: Mapping[Lang, object]) -> dict[Lang, tuple[Any, ...]]:
    for lang, texts in given.items():
        if not isinstance(texts, tuple | list):
            raise EditError(f"{_named(edit)}: {name}[{lang}] is {shortened(texts)}; give a list of texts")
    return {lang: tuple(texts) for lang, texts in given.items()}  # type: ignore[arg-type]  # just looked at


def _probe_sets(edit: Edit, name: str, given: object) -> dict[str, tuple[RelatedQuestion, ...]]:
    """The named probes of an edit, each set as a tuple."""
    if not isinstance(given, Mapping):
        raise EditError(f"{_named(edit)}: {name} is {shortened(given)}; give named sets: {{'near': [Probe(…)]}}")
    for key, probes in given.items():
        if not isinstance(probes, tuple | list) or not all(isinstance(probe, RelatedQuestion) for probe in probes):
            raise EditError(
                f"{_named(edit)}: {name}[{key!r}] is {shortened(probes)}; give a list of "
                f"polypatch.edits.Probe(prompt={{{shortened(edit.source)}: …}}, target={{…}})"
            )
    return {key: tuple(probes) for key, probes in given.items()}


def _require_source(edit: Edit, name: str, by_language: Mapping[Lang, object]) -> None:
    if edit.source not in by_language:
        have = ", ".join(sorted(by_language)) or "none"
        raise EditError(f"{_named(edit)} has no {name} in its source language {edit.source!r} (has: {have})")
