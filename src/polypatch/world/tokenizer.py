"""The world's WordPiece: trained on its own sentences, saved so that AutoTokenizer loads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(sentences: Iterable[str], vocabulary: int, max_length: int) -> PreTrainedTokenizerFast:
    """Train a lower-casing WordPiece of at most `vocabulary` pieces on `sentences`.

    Chinese is not split into characters: the world writes it with spaces between words, and a name or an object that is
    one token is what makes the languages alignable in a minute of training.
    """
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=vocabulary, special_tokens=list(SPECIALS), show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
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
