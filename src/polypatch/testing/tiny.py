"""Tiny random models of every family, their tokenizers, edits and texts. No network, no files."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerFast

from polypatch.edits import Edit, Lang
from polypatch.sites.network.model_kind import ModelKind
from polypatch.testing.tiny_config import head_entries, marks_of, model_class, tiny_config

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
_PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789", *_SYLLABLES]
_BERT_MARKS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA_MARKS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
_MAX_LENGTH = 64


FAMILIES = ("bert", "roberta", "xlm-roberta", "electra", "distilbert")
"""Encoders like BERT, of any width and depth."""


def tiny_model(
    family: str, head: str = "classifier", *, hidden: int = 32, layers: int = 2, classes: int = 3, seed: int = 0
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """A random model of any type with any head, in eval mode, and a tokenizer for it. No network.

    Every parameter is random, those of layer norms and biases too, so that one forgotten anywhere shows. The labels
    of a classifier are ``class-0``, ``class-1``, …; a language model ends its answers with the tokenizer's end.

    Args:
        family: a model type of transformers.
        head: ``"classifier"``, ``"causal"``, ``"seq2seq"`` or ``"masked"``.
        hidden: width d, a multiple of 4; for `FAMILIES`, the others have 32.
        layers: encoder layers; likewise, the others have two.
        classes: labels of a classifier.
        seed: of the weights; the caller's random state stays as it was.
    """
    kind = ModelKind(head)
    tokenizer = _tiny_tokenizer(family, kind)
    encoder = family in FAMILIES
    config = _encoder_config(family, hidden, layers) if encoder else tiny_config(family, tokenizer, head)
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
    if encoder and kind.writes:
        known = {name: number for name, number in marks_of(tokenizer).entries().items() if hasattr(config, name)}
        config.update({**known, **head_entries(config, head)})
    if kind is ModelKind.CLASSIFIER:
        config.id2label = {i: f"class-{i}" for i in range(classes)}
        config.label2id = {label: i for i, label in config.id2label.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = model_class(family, head)(config)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    if (generation := getattr(model, "generation_config", None)) is not None:
        generation.bos_token_id, generation.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        generation.pad_token_id = tokenizer.pad_token_id
        generation.decoder_start_token_id = getattr(config, "decoder_start_token_id", None)
    return model.eval(), tokenizer


def _encoder_config(family: str, hidden: int, layers: int) -> PretrainedConfig:
    config = AutoConfig.for_model(family)
    config.hidden_size, config.num_hidden_layers, config.num_attention_heads = hidden, layers, 4
    config.intermediate_size = config.hidden_dim = 2 * hidden  # the second is DistilBERT's name
    config.embedding_size = hidden // 2  # ELECTRA's, which is projected to the hidden size
    config.max_position_embeddings = _MAX_LENGTH + 2  # RoBERTa counts positions from pad_token_id + 1
    return config


def _tiny_tokenizer(family: str, kind: ModelKind) -> PreTrainedTokenizerFast:
    """Syllables and single characters as word pieces, with the family's special tokens and templates."""
    roberta = "roberta" in family
    marks = dict(_ROBERTA_MARKS if roberta else _BERT_MARKS)
    pieces = [*marks.values(), *_PIECES, *(f"##{piece}" for piece in _PIECES)]
    core = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=marks["unk"]))
    core.normalizer, core.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    cls, sep = marks["cls"], marks["sep"]
    single = {ModelKind.CAUSAL: f"{cls} $A", ModelKind.SEQ2SEQ: f"$A {sep}"}.get(kind, f"{cls} $A {sep}")
    core.post_processor = TemplateProcessing(
        single=single,
        pair=f"{cls} $A {sep} {sep} $B {sep}" if roberta else f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(mark, core.token_to_id(mark)) for mark in (cls, sep)],
    )
    typed = ["token_type_ids"] if family in ("bert", "electra") and kind in _TYPED else []
    if kind.writes:
        core.decoder = decoders.WordPiece(cleanup=False)
        marks |= {"bos": cls, "eos": sep}
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=_MAX_LENGTH,
        model_input_names=["input_ids", *typed, "attention_mask"],
        **{f"{name}_token": mark for name, mark in marks.items()},
    )


_TYPED = (ModelKind.CLASSIFIER, ModelKind.MASKED)


def tiny_texts(n: int, seed: int = 0) -> list[str]:
    """`n` different invented sentences of 3 to 8 words: a memory."""
    rng = random.Random(f"texts:{seed}")
    return [f"{i} {_sentence(rng, rng.randint(2, 7))}" for i in range(n)]


def tiny_edits(n: int, languages: Sequence[Lang] = ("en", "de", "fr"), seed: int = 0, classes: int = 3) -> list[Edit]:
    """`n` edits of a `tiny_model`: a prompt in each language (the first is the source), one rephrase, a random label.

    About one in `classes` is right before any edit: a stream with both kinds.
    """
    rng = random.Random(f"edits:{seed}")
    edits = []
    for i in range(n):
        prompts = {lang: f"{lang} {i} {_sentence(rng, rng.randint(2, 9))}" for lang in languages}
        source = languages[0]
        rephrases = {source: (f"{source} again {i} {_sentence(rng, 3)}",)}
        target = f"class-{rng.randrange(classes)}"
        edits.append(Edit(f"tiny-{i}", prompts, {source: target}, source=source, rephrases=rephrases))
    return edits


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3))) for _ in range(words))
