"""Translators by name: what kind of model a name stands for, and one checkpoint for all languages that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from polypatch.data.marian import Marian
from polypatch.data.multilingual import Multilingual
from polypatch.data.seq2seq import MARIAN, Checkpoint, Decoding
from polypatch.edits import Lang
from polypatch.errors import InputError, PolypatchError

OPUS = "Helsinki-NLP/opus-mt-{source}-{lang}"
"""The default: a Marian model for each pair of languages."""


class Models:
    """A translator for each pair of languages: called with (source, language).

    Args:
        name: a folder or a hub name; ``{source}`` and ``{lang}`` stand for the languages. A name without them is one
            model for all: NLLB-200, M2M100, mBART-50, or a Marian model that writes several languages.
        codes: what the models call languages, where that cannot be known: ``{"zh": "zho_Hant"}`` (NLLB-200),
            ``{"fr": ">>fra<<"}`` (Marian).
        device: ``cpu`` or ``cuda``.
        decoding: how they search.
        local: those on this machine only, in a folder or the hub's cache; no hub is asked.
    """

    def __init__(
        self,
        name: str = OPUS,
        *,
        codes: Mapping[Lang, str] | None = None,
        device: str = "cpu",
        decoding: Decoding | None = None,
        local: bool = False,
    ) -> None:
        self.name, self.codes, self.device, self.decoding = name, dict(codes or {}), device, decoding
        self.local = local
        self._open: dict[str, Checkpoint] = {}
        self._pairs: dict[str, tuple[Lang, Lang]] = {}

    def __call__(self, source: Lang, lang: Lang) -> Marian | Multilingual:
        """The translator from `source` into `lang`; its weights are not read yet.

        Raises:
            InputError: the extra is not installed; a language that the model does not know; a model of one pair of
                languages that is asked for another.
            DataError: there is no such model, or it is of another kind.
        """
        name, checkpoint = self.named(source, lang), self._checkpoint(source, lang)
        if checkpoint.kind not in MARIAN:
            return Multilingual(checkpoint, source, lang, codes=self.codes, decoding=self.decoding)
        first = self._pairs.setdefault(name, (source, lang))
        if first != (source, lang) and not {first[1], lang} <= self.codes.keys():
            raise InputError(
                f"{name}: a Marian model translates one language into one, and was to do {' to '.join(first)} and "
                f"{source} to {lang}; put {{source}} and {{lang}} into the name, or name the model's code for each"
            )
        return Marian(lang, checkpoint, decoding=self.decoding, token=self.codes.get(lang))

    def named(self, source: Lang, lang: Lang) -> str:
        """The folder or hub name of the model from `source` into `lang`."""
        return self.name.replace("{source}", source).replace("{lang}", lang)

    def sure(self, source: Lang, lang: Lang) -> Marian | Multilingual | None:
        """The translator from `source` into `lang`, for who was not asked to use it; None for any doubt.

        There is one that cannot be had or read, or does not know a language. And a Marian model writes whatever
        language it was trained to write: neither its name nor a code says that it is `lang`.
        """
        try:
            checkpoint = self._checkpoint(source, lang)
            if checkpoint.kind in MARIAN and "{lang}" not in self.name and lang not in self.codes:
                return None
            return self(source, lang) if checkpoint.tokenizer is not None else None
        except PolypatchError:
            return None

    def _checkpoint(self, source: Lang, lang: Lang) -> Checkpoint:
        name = self.named(source, lang)
        if name not in self._open:
            self._open[name] = Checkpoint(name, device=self.device, local=self.local)
        return self._open[name]
