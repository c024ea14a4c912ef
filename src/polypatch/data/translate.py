"""Translation by sentence: what is in the cache is taken from there, the rest is translated batch by batch.

Source: MPN appendix A.1 translates the field ``input`` of D_edit with five Marian models of Helsinki-NLP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from polypatch.data.scored import ScoredText, ordered
from polypatch.data.translation_cache import TranslationCache
from polypatch.errors import InputError

Made = TypeVar("Made")

OnTranslated = Callable[[int, int], None]
"""(sentences that have a translation, sentences)."""


class Translator(Protocol):
    """What turns sentences of one language into another; `Marian` and `Multilingual` are two.

    Both have a second method, which another translator may do without unless several translations of a sentence or
    their confidence are asked for: ``n_best(sentences, count)``, for each sentence up to `count` `ScoredText`, that of
    ``__call__`` first.
    """

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
    wanted = list(dict.fromkeys(sentences))
    texts = cache.get(translator.fingerprint, wanted)
    missing = [sentence for sentence in wanted if sentence not in texts]
    report = progress or (lambda _done, _total: None)
    report(len(texts), len(wanted))
    for made in _in_batches(missing, translator, translator.fingerprint, batch_size):
        found = {sentence: text.strip() for sentence, text in made.items()}
        cache.put(translator.fingerprint, found)
        texts.update(found)
        report(len(texts), len(wanted))
    return Translations({sentence: texts[sentence] for sentence in wanted}, len(missing))


def translate_scored(
    sentences: Iterable[str],
    translator: Translator,
    cache: TranslationCache,
    *,
    count: int = 1,
    certain: bool = False,
    batch_size: int = 32,
    progress: OnTranslated | None = None,
) -> dict[str, tuple[ScoredText, ...]]:
    """The same with several translations of each sentence, and the confidence of each.

    The first is what `translate` gives, whatever `count` is; the others are other texts, the surest first. There are
    `count` of them at most, and fewer where they come out alike. With `certain` every confidence is needed; else one
    that is not known is None: of a translation that an older polypatch kept, or by a translator without ``n_best``.

    Raises:
        InputError, DataError: as `translate`; several, or confidences, of a translator without ``n_best``.
    """
    name, n_best = translator.fingerprint, getattr(translator, "n_best", None)
    if n_best is None and (count > 1 or certain):
        raise InputError(f"{name}: this translator has no n_best, which several translations or confidences need")
    wanted = list(dict.fromkeys(sentences))
    kept = cache.get(name, wanted)
    found = {one: ordered(texts, kept.get(one)) for one, texts in cache.scored(name, wanted, count).items()}
    if count == 1 and not certain:
        found = {one: (ScoredText(text),) for one, text in kept.items()} | found
    missing = [sentence for sentence in wanted if sentence not in found]
    report = progress or (lambda _done, _total: None)
    report(len(found), len(wanted))
    write = n_best or (lambda batch, _: [[ScoredText(text)] for text in translator(batch)])
    for made in _in_batches(missing, lambda batch: write(batch, count), name, batch_size):
        cache.put_scored(name, made, count)
        found |= {sentence: ordered(texts, kept.get(sentence)) for sentence, texts in made.items()}
        report(len(found), len(wanted))
    return found


def _in_batches(
    missing: Sequence[str], call: Callable[[list[str]], Sequence[Made]], name: str, size: int
) -> Iterator[Mapping[str, Made]]:
    if size < 1:
        raise InputError(f"batch_size is {size}; a batch has at least one sentence")
    missing = sorted(missing, key=lambda one: (-len(one), one))
    for start in range(0, len(missing), size):
        batch = missing[start : start + size]
        made = call(batch)
        if len(made) != len(batch):
            raise InputError(f"{name}: {len(made)} translations of {len(batch)} sentences")
        yield dict(zip(batch, made, strict=True))
