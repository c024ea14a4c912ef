"""The speaking world's tokenizer: word pieces whose text comes back as it was, in every script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from string import ascii_letters, digits, punctuation
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

PAD, BEGINNING, END, UNKNOWN = range(4)
SPECIALS: Final = ("<pad>", "<s>", "</s>", "<unk>")
"""In this order: their ids are the four above."""

_SPACE: Final = "▁"
_UNSPACED: Final = r"[\p{Han}。？，！：]"
"""What is written without spaces around it."""


def _empty(vocabulary: dict[str, int]) -> Tokenizer:
    """Cuts a text at spaces and punctuation, a space being the first letter of the word after it.

    In Chinese there are none, and one that somebody puts there is dropped: so a word has one form, wherever it stands,
    and an answer follows its prompt with a space or without.
    """
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=SPECIALS[UNKNOWN], continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Prepend(_SPACE),
            normalizers.Replace(" ", _SPACE),
            normalizers.Replace(Regex(rf"{_SPACE}(?={_UNSPACED})|(?<={_UNSPACED}){_SPACE}"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_SPACE, "merged_with_next"), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def _words(spaced: Iterable[str]) -> Counter[str]:
    """Words as the tokenizer cuts them, and how often each is there; Chinese with its words still apart."""
    cut = _empty({SPECIALS[UNKNOWN]: 0})
    words: Counter[str] = Counter()
    for text in spaced:
        for word in text.split():
            pieces = cut.pre_tokenizer.pre_tokenize_str(cut.normalizer.normalize_str(word))
            words.update(piece for piece, _ in pieces)
    return words


def _vocabulary(words: Counter[str], size: int) -> dict[str, int]:
    """Specials, every character, then the most frequent words and pairs of characters; ties go by code point."""
    characters = sorted({*"".join(words), *ascii_letters, *digits, *punctuation, _SPACE})
    ranked = Counter(words)
    for word, count in words.items():
        for start in range(len(word) - 1):
            ranked[word[start : start + 2]] += count
    longer = sorted(ranked.keys() - set(characters), key=lambda piece: (-ranked[piece], piece))
    pieces = [*SPECIALS, *characters, *longer[: max(0, size - len(SPECIALS) - len(characters))]]
    return {piece: index for index, piece in enumerate(pieces)}


def train_tokenizer(spaced: Iterable[str], vocabulary: int, max_length: int) -> PreTrainedTokenizerFast:
    """Word pieces of these texts, at most `vocabulary` of them (more only if the alphabet alone is larger).

    A text begins with ``<s>`` and has no end; an answer that is generated ends with ``</s>``.
    """
    tokenizer = _empty(_vocabulary(_words(spaced), vocabulary))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{SPECIALS[BEGINNING]} $A",
        pair=f"{SPECIALS[BEGINNING]} $A $B:1",
        special_tokens=[(SPECIALS[BEGINNING], BEGINNING)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        padding_side="left",
        pad_token=SPECIALS[PAD],
        bos_token=SPECIALS[BEGINNING],
        eos_token=SPECIALS[END],
        unk_token=SPECIALS[UNKNOWN],
    )
