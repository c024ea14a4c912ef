"""A sentence in other languages, by the translators on this machine. Nothing is downloaded."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable

from polypatch.data.translators import OPUS, Models
from polypatch.edits import Lang, Text

MOST = 4096
"""LocalTranslators that are remembered; then they are forgotten."""


class LocalTranslators:
    """Translators by pair of languages.

    Args:
        name: a folder or a hub name, with ``{source}`` and ``{lang}`` in it, as for `polypatch.translated`.
    """

    def __init__(self, name: str = OPUS) -> None:
        self._models, self._lock = Models(name, local=True), threading.Lock()
        self._made: dict[tuple[Lang, Lang, str], str] = {}

    def into(self, source: Lang, langs: Iterable[Lang]) -> list[Lang]:
        """Those languages that there is a translator into."""
        with self._lock:
            return [lang for lang in langs if lang != source and self._models.sure(source, lang) is not None]

    def __call__(self, text: Text, source: Lang, langs: Collection[Lang]) -> dict[Lang, Text]:
        """The text, or both of a pair, in those of the languages that there is a translator into.

        Empty translations are left out.

        Raises:
            DataError: a translator's weights cannot be read.
        """
        if isinstance(text, str):
            return {**self._translated(text, source, langs)}
        first, second = (self._translated(part, source, langs) for part in text)
        return {lang: (made, second[lang]) for lang, made in first.items() if lang in second}

    def _translated(self, text: str, source: Lang, langs: Collection[Lang]) -> dict[Lang, str]:
        found = {}
        for lang in self.into(source, langs):
            with self._lock:
                key = (source, lang, text)
                if key not in self._made:
                    if len(self._made) >= MOST:
                        self._made.clear()
                    (made,) = self._models(source, lang)([text])
                    self._made[key] = made.strip()
                if self._made[key]:
                    found[lang] = self._made[key]
        return found
