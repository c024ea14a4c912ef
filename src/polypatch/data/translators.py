"""Translators by name: what kind of model a name stands for, and one checkpoint for all languages that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from polypatch.data.marian import Marian
from polypatch.data.multilingual import Multilingual
from polypatch.data.seq2seq import MARIAN, Checkpoint, Decoding
from polypatch.edits import Lang
from polypatch.errors import InputError

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
    """

    def __init__(
        self,
        name: str = OPUS,
        *,
        codes: Mapping[Lang, str] | None = None,
        device: str = "cpu",
        decoding: Decoding | None = None,
    ) -> None:
        self.name, self.codes, self.device, self.decoding = name, dict(codes or {}), device, decoding
        self._open: dict[str, Checkpoint] = {}
        self._pairs: dict[str, tuple[Lang, Lang]] = {}

    def __call__(self, source: Lang, lang: Lang) -> Marian | Multilingual:
        """The translator from `source` into `lang`; its weights are not read yet.

        Raises:
            InputError: the extra is not installed; a language that the model does not know; a model of one pair of
                languages that is asked for another.
            DataError: there is no such model, or it is of another kind.
        """
        name = self.name.replace("{source}", source).replace("{lang}", lang)
        if name not in self._open:
            self._open[name] = Checkpoint(name, device=self.device)
        checkpoint = self._open[name]
        if checkpoint.kind not in MARIAN:
            return Multilingual(checkpoint, source, lang, codes=self.codes, decoding=self.decoding)
        first = self._pairs.setdefault(name, (source, lang))
        if first != (source, lang) and not {first[1], lang} <= self.codes.keys():
            raise InputError(
                f"{name}: a Marian model translates one language into one, and was to do {' to '.join(first)} and "
                f"{source} to {lang}; put {{source}} and {{lang}} into the name, or name the model's code for each"
            )
        return Marian(lang, checkpoint, decoding=self.decoding, token=self.codes.get(lang))
