"""The world's WordPiece: trained on its own sentences, saved so that AutoTokenizer loads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

# in this order: `pretrain` counts on the ids
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def _vocabulary(words: Counter[str], size: int) -> dict[str, int]:
    """Specials, every character (as first and as later piece), then the most frequent words and pairs of characters.

    As in a real multilingual vocabulary, what is rare is cut up: first the names in Chinese and Arabic script, which
    one language each writes, while four share the Latin ones. Ties go by code point. The trainer of `tokenizers` breaks
    them by the order of a hash map, which differs from run to run: with it, one seed would not give one model.
    """
    characters = sorted({character for word in words for character in word})
    ranked = Counter(words)
    for word, count in words.items():
        for start in range(len(word) - 1):
            ranked["##" * (start > 0) + word[start : start + 2]] += count
    pieces = [*SPECIALS, *characters, *(f"##{character}" for character in characters)]
    longer = sorted(ranked.keys() - set(pieces), key=lambda piece: (-ranked[piece], piece))
    pieces += longer[: max(0, size - len(pieces))]
    return {piece: index for index, piece in enumerate(pieces)}


def train_tokenizer(sentences: Iterable[str], vocabulary: int, max_length: int) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece of at most `vocabulary` pieces (more only if the alphabet alone is larger).

    Chinese is not split into characters: the world writes it with spaces between words, and a name or an object that is
    one token is what makes the languages alignable in a minute of training.
    """
    normalizer = BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=True)
    splitter = BertPreTokenizer()
    words: Counter[str] = Counter()
    for sentence in sentences:
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(sentence)))
    tokenizer = Tokenizer(WordPiece(_vocabulary(words, vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        **{f"{name[1:-1].lower()}_token": name for name in SPECIALS},
    )


@contextmanager
def silent() -> Iterator[None]:
    """Switch off the progress bars that transformers draws on saving and loading, and put the caller's choice back."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
