"""What a form of the desk gives: sentences with their languages, and the answers that are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from polypatch.data.given import correction
from polypatch.desk.reader import Shown
from polypatch.edits import Edit, Lang, Text, is_lang
from polypatch.errors import InputError
from polypatch.languages import not_a_lang

NAMED = re.compile(r"\s*([a-z]{2,3})\s*:\s+(.*)")
"""A line that names its language."""

BETWEEN = re.compile(r"\t|\|\|")
"""What stands between the two texts of a pair where both are in one field or line."""


@dataclass(frozen=True)
class Rows:
    """Fields that stand side by side: a language, a sentence, the second of a pair, an answer.

    Attributes:
        pairs: every sentence needs a second one.

    Raises:
        InputError: on reading `prompts`: a sentence without a language, or no such language, or one twice; half a pair.
    """

    langs: Sequence[str]
    texts: Sequence[str]
    seconds: Sequence[str] = ()
    labels: Sequence[str] = ()
    pairs: bool = False

    @property
    def typed(self) -> list[tuple[str, str, str]]:
        """Languages and sentences as they were typed, empty sentences included."""
        return list(zip_longest(self.langs, self.texts, self.seconds, fillvalue=""))

    @property
    def prompts(self) -> list[tuple[Lang, Text]]:
        """The sentences that are there."""
        found: dict[Lang, Text] = {}
        for lang, text, second in (map(str.strip, row) for row in self.typed):
            if not text and not second:
                continue
            if not text or (self.pairs and not second):
                raise InputError(f"{text or second!r}: the other text of the pair is missing")
            if not is_lang(lang):
                raise InputError(f"{text!r}: {not_a_lang(lang)}" if lang else f"{text!r}: its language is missing")
            if lang in found:
                raise InputError(f"{lang}: there are two sentences in it; ask one after the other")
            found[lang] = (text, second) if second else text
        return list(found.items())


def lines_in(many: str, source: Lang) -> list[tuple[Lang, Text]]:
    """A sentence a line; ``de: Satz`` names its language."""
    found: list[tuple[Lang, Text]] = []
    for line in filter(str.strip, many.splitlines()):
        named = NAMED.fullmatch(line)
        given = (named[1], named[2].strip()) if named and is_lang(named[1]) and named[2].strip() else (source, line)
        found.append((given[0], given[1].strip()))
    return found


def pair_in(text: Text) -> Text:
    """Both texts of a pair that are in one, with ``||`` or a tab between them.

    Raises:
        InputError: there are not two.
    """
    if not isinstance(text, str):
        return text
    parts = [part.strip() for part in BETWEEN.split(text)]
    if len(parts) != 2 or not all(parts):
        raise InputError(f"{text!r}: give two texts, with || or a tab between them: the model reads pairs")
    return parts[0], parts[1]


def sentences_in(shown: Sequence[Shown], sizes: Iterable[int]) -> list[Sequence[Shown]]:
    """What was asked in one list, sentence by sentence."""
    found, start = [], 0
    for size in sizes:
        found.append(shown[start : start + size])
        start += size
    return found


def corrected(rows: Rows, source: Lang, *, writes: bool, edit_id: str | None = None) -> Edit:
    """The edit that a form asks for. Its source is `source` where there is a sentence in it, else the first language.

    Raises:
        InputError: no sentence, or no answer.
    """
    prompts = dict(rows.prompts)
    if not prompts:
        raise InputError("there is no sentence to correct")
    source = source if source in prompts else next(iter(prompts))
    named = {lang: label.strip() for lang, label in zip(map(str.strip, rows.langs), rows.labels, strict=False)}
    labels = {lang: label for lang, label in named.items() if label and lang in prompts}
    if writes and (missing := [lang for lang in prompts if lang not in labels]):
        raise InputError(f"the right answer in {', '.join(missing)} is missing: a language model answers in its words")
    if not writes:
        label = next(filter(None, map(str.strip, rows.labels)), "")
        if not label:
            raise InputError("the right answer is missing")
        labels = {source: label}
    others = {lang: text for lang, text in prompts.items() if lang != source}
    return correction(prompts[source], labels, others, source, edit_id)
