"""Edit: one correction, its parallel prompts, rephrases and probes. The only type that every layer shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from polypatch.arguments import languages_in
from polypatch.errors import EditError, InputError

Lang: TypeAlias = str
"""ISO 639-1 code, lower case (``en``, ``zh``)."""

Text: TypeAlias = str | tuple[str, str]
"""As tokenizers take it: a text, or (premise, hypothesis)."""

MAPPED = "~"
"""Before a language: not its prompt, but the source's mapped to it."""


def is_lang(code: object) -> bool:
    """Whether it is a lower-case ISO 639 language code such as ``"en"``."""
    return isinstance(code, str) and re.fullmatch(r"[a-z]{2,3}", code) is not None


class Example(NamedTuple):
    """What a sampler draws: one text in one language, and the label it should get."""

    lang: Lang
    text: Text
    target: str


class Mapped(str):
    """What a text would be in another language, where nobody has translated it: only its query is known, by a map.

    Attributes:
        origin: the text as it is.
        lang: the language it is mapped to.
    """

    __slots__ = ("lang", "origin")
    origin: Text
    lang: Lang

    def __new__(cls, origin: Text, lang: Lang) -> Mapped:
        """As a string it is no text, but a name that tells two of them apart."""
        made = super().__new__(cls, f"{MAPPED}{lang}: {origin}")
        made.origin, made.lang = origin, lang
        return made

    def __getnewargs__(self) -> tuple[Text, Lang]:  # type: ignore[override]
        return self.origin, self.lang


class Labelled(NamedTuple):
    """A text and its gold label: one row of a locality set."""

    text: Text
    label: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that an edit should (portability) or should not (locality) change, in one or more languages."""

    prompt: Mapping[Lang, Text]
    target: Mapping[Lang, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction: the model should answer `target` to `prompt`, in every language.

    `prompt` holds at least `source`; the other entries are parallel to it. `target` needs only the source language
    where the answer is a class label, which is the same string everywhere. `rephrases` are other wordings (source
    language: MLG, eq. 11; any other: ``clg_rephrase``) and are never trained on. `ground_truth` is what the model said
    before, `subject` what the prompt is about; both are optional, and carried for EasyEdit's file format.

    Raises:
        EditError: an empty id or text, a malformed language code, no prompt or no target in the source language.
    """

    id: str
    prompt: Mapping[Lang, Text]
    target: Mapping[Lang, str]
    source: Lang = "en"
    rephrases: Mapping[Lang, tuple[Text, ...]] = field(default_factory=dict)
    locality: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict)
    portability: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict)
    ground_truth: Mapping[Lang, str] = field(default_factory=dict)
    subject: Mapping[Lang, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id:
            raise EditError("an edit needs a non-empty id")
        for lang in {*self.prompt, *self.target, *self.rephrases, self.source}:
            if not is_lang(lang):
                raise EditError(f"edit {self.id!r}: {lang!r} is not a lower-case ISO 639 language code such as 'en'")
        _require_source(self, "prompt", self.prompt)
        _require_source(self, "target", self.target)
        for place, text in self._texts():
            _require_text(self.id, place, text)

    def _texts(self) -> Iterator[tuple[str, Text]]:
        """Every text of the edit with the place it stands in, for validation."""
        yield from ((f"prompt[{lang}]", text) for lang, text in self.prompt.items())
        yield from ((f"target[{lang}]", label) for lang, label in self.target.items())
        for lang, texts in self.rephrases.items():
            yield from ((f"rephrases[{lang}][{i}]", text) for i, text in enumerate(texts))

    @property
    def languages(self) -> tuple[Lang, ...]:
        """The languages of the prompt, the source first, in the order given."""
        return (self.source, *(lang for lang in self.prompt if lang != self.source))

    def target_in(self, lang: Lang) -> str:
        """The answer wanted in `lang`: its own where given, else the source's (a class label is one string)."""
        return self.target.get(lang, self.target[self.source])

    def example(self, lang: Lang) -> Example:
        """The parallel prompt in `lang` with its target; for ``~de`` the source prompt mapped to ``de``.

        Raises:
            EditError: the edit has no prompt in `lang`.
        """
        if lang.startswith(MAPPED):
            other = lang.removeprefix(MAPPED)
            return Example(lang, Mapped(self.prompt[self.source], other), self.target_in(other))
        if lang not in self.prompt:
            raise EditError(f"edit {self.id!r} has no prompt in {lang!r} (has: {', '.join(self.languages)})")
        return Example(lang, self.prompt[lang], self.target_in(lang))

    def only(self, languages: Iterable[Lang]) -> Edit:
        """The same edit with its parallel prompts cut to the source and `languages`: what a sampler may draw from."""
        keep = {self.source, *languages_in(languages)}
        return replace(self, prompt={lang: text for lang, text in self.prompt.items() if lang in keep})


def edits_in(given: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits as they were given.

    Raises:
        InputError: a single one, or what is no edit.
    """
    if isinstance(given, Edit) or not isinstance(given, Iterable):
        raise InputError(f"edits are a list, such as [edit], not one {type(given).__name__}")
    edits = tuple(given)
    for i, edit in enumerate(edits):
        if not isinstance(edit, Edit):
            raise InputError(f"edits[{i}] is a {type(edit).__name__}, not an Edit")
    return edits


def _require_source(edit: Edit, name: str, by_language: Mapping[Lang, object]) -> None:
    if edit.source not in by_language:
        have = ", ".join(sorted(by_language)) or "none"
        raise EditError(f"edit {edit.id!r} has no {name} in its source language {edit.source!r} (has: {have})")


def _require_text(edit_id: str, place: str, text: Text) -> None:
    pair = isinstance(text, tuple) and len(text) == 2 and not place.startswith("target")
    parts = text if pair else (text,)
    if not all(isinstance(part, str) and part.strip() for part in parts):
        raise EditError(f"edit {edit_id!r}: {place} is empty or not text: {text!r}")
