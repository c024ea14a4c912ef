"""Translation by sentence: what is in the cache is taken from there, the rest is translated batch by batch.

Source: MPN appendix A.1 translates the field ``input`` of D_edit with five Marian models of Helsinki-NLP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from polypatch.data.translation_cache import TranslationCache
from polypatch.errors import InputError

OnTranslated = Callable[[int, int], None]
"""(sentences that have a translation, sentences)."""


class Translator(Protocol):
    """What turns sentences of one language into another; `Marian` and `Multilingual` are two."""

    @property
    def fingerprint(self) -> str:
        """All that determines a translation: weights, vocabulary, decoding. The first half of the cache's key."""
        ...

    def __call__(self, sentences: list[str]) -> list[str]:
        """One translation for each sentence, in order."""
        ...


@dataclass(frozen=True)
class Translations:
    """What became of some sentences.

    Attributes:
        texts: sentence to translation.
        new: how many of them were translated now; the rest came from the cache.
    """

    texts: dict[str, str]
    new: int


def translate(
    sentences: Iterable[str],
    translator: Translator,
    cache: TranslationCache,
    *,
    batch_size: int = 32,
    progress: OnTranslated | None = None,
) -> Translations:
    """Translate each distinct sentence that the cache does not hold, and keep every batch before the next one starts.

    An exception or an interrupt, from anywhere, loses at most the batch in flight. A batch has sentences of like
    length, the longest first: what does not fit into memory fails at once, and the time left is not underestimated.

    Args:
        sentences: in any order, with repeats.
        translator: called with at most `batch_size` sentences, never with one that the cache holds.
        cache: open; sentences are looked up under the translator's fingerprint.
        batch_size: sentences per call. It is not part of the key: padding moves a score by a rounding error.
        progress: called once before the first batch and after every batch.

    Raises:
        InputError: a batch size below 1, or a translator that gives more or fewer texts than it got.
        DataError: the disk refuses; the batches before are safe.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; a batch has at least one sentence")
    wanted = list(dict.fromkeys(sentences))
    texts = cache.get(translator.fingerprint, wanted)
    missing = sorted((sentence for sentence in wanted if sentence not in texts), key=lambda one: (-len(one), one))
    report = progress or (lambda _done, _total: None)
    report(len(texts), len(wanted))
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        made = [text.strip() for text in translator(batch)]
        if len(made) != len(batch):
            raise InputError(f"{translator.fingerprint}: {len(made)} translations of {len(batch)} sentences")
        found = dict(zip(batch, made, strict=True))
        cache.put(translator.fingerprint, found)
        texts.update(found)
        report(len(texts), len(wanted))
    return Translations({sentence: texts[sentence] for sentence in wanted}, len(missing))
