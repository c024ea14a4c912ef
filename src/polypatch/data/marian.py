"""Marian translation models, one for each pair of languages; needs the extra ``translate``.

Source: MPN appendix A.1 (the five models); the models' cards (language tokens, beams).
**Deviates:** the paper says nothing about decoding. Ours: the checkpoint's own beams (four in the opus-mt models), no
sampling, float32, at most 128 tokens; and, for models that can write several languages, the token that names the one
wanted, which their cards call required (``>>cmn_Hans<<``, ``>>ara<<``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from polypatch.data.quoting import quoted
from polypatch.data.scored import ScoredText
from polypatch.data.seq2seq import MARIAN, Checkpoint, Decoding
from polypatch.edits import Lang
from polypatch.errors import InputError

MODELS: Mapping[Lang, str] = {lang: f"Helsinki-NLP/opus-mt-en-{lang}" for lang in ("de", "fr", "es", "zh", "ar")}
"""THE TABLE of models out of English. Another language is a row, or `Marian`'s `name`."""

LANGUAGE_TOKENS: Mapping[Lang, str] = {"zh": ">>cmn_Hans<<", "ar": ">>ara<<"}
"""What is put before a sentence, where the model's vocabulary has it."""


class Marian:
    """A Marian model that writes one language; its weights are read when the first sentence comes.

    Args:
        lang: the language wanted.
        name: a folder, a hub name or an open checkpoint; None for that of `MODELS`.
        revision: a branch, tag or commit, for hub names.
        device: ``cpu`` or ``cuda``.
        decoding: how it searches.
        token: what the model calls the language (``>>fra<<``), for a model that writes several; None for that of
            `LANGUAGE_TOKENS`.

    Raises:
        InputError: the extra is not installed; no model is known for `lang`; there is no such device; the model does
            not know `token`.
        DataError: no such folder, not a Marian model, or nothing that a hub can give.
    """

    def __init__(
        self,
        lang: Lang,
        name: str | Checkpoint | None = None,
        *,
        revision: str | None = None,
        device: str = "cpu",
        decoding: Decoding | None = None,
        token: str | None = None,
    ) -> None:
        if name is None and lang not in MODELS:
            raise InputError(f"no translation model is known for {lang!r} (known: {', '.join(MODELS)}); name one")
        place = name or MODELS[lang]
        open_now = (
            Checkpoint(place, revision=revision, device=device, kinds=MARIAN) if isinstance(place, str) else place
        )
        self.lang, self.checkpoint, self.name = lang, open_now, open_now.name
        self.decoding = decoding or Decoding()
        own = LANGUAGE_TOKENS.get(lang, "") if self.decoding.language_token else ""
        self._token = own if token is None else token
        if token is not None and token not in self.checkpoint.tokenizer.get_vocab():
            raise InputError(f"{self.name}: knows no token {quoted(token)} for {lang!r}; its card lists what it writes")

    @property
    def fingerprint(self) -> str:
        """The commit of a hub's model or the hash of a folder's files, and the decoding."""
        return f"{self.checkpoint.source} {self.decoding} token={self._token or 'none'}"

    def __call__(self, sentences: list[str]) -> list[str]:
        """Translate one batch.

        Raises:
            DataError: the checkpoint's files cannot be read.
            InputError: the device has too little memory for the batch.
        """
        return self.checkpoint.decoded(self.checkpoint.write(self._asked(sentences), self._settings))

    def n_best(self, sentences: list[str], count: int) -> list[list[ScoredText]]:
        """Up to `count` translations of each, with their confidence; see `Checkpoint.n_best`."""
        return self.checkpoint.n_best(self._asked(sentences), self._settings, count, given=1)

    def _asked(self, sentences: list[str]) -> list[str]:
        return [f"{self._prefix}{sentence}" for sentence in sentences]

    @functools.cached_property
    def _settings(self) -> Any:
        return self.checkpoint.search(self.decoding)

    @functools.cached_property
    def _prefix(self) -> str:
        """What is put before a sentence: nothing, where the model does not know the token."""
        return f"{self._token} " if self._token in self.checkpoint.tokenizer.get_vocab() else ""
