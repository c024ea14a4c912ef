"""Tiny multilingual checkpoints with random weights and own vocabularies, laid out as NLLB-200, M2M100 and mBART-50."""

import json

import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.trainers import BpeTrainer
from transformers import (
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    NllbTokenizer,
)

from .tiny_marian import pieces, sentences

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
CODES = ["eng_Latn", "deu_Latn", "fra_Latn", "zho_Hans", "zho_Hant", "arb_Arab", "ace_Arab", "ace_Latn"]
TEXTS = [text for lang in ("en", "de", "fr", "es", "zh", "ar") for text in sentences(lang)]


def tiny_nllb(folder, seed=0):
    """A checkpoint as NLLB-200's, of the languages in `CODES`."""
    plain = Tokenizer(BPE(unk_token="<unk>"))
    plain.pre_tokenizer = Metaspace()
    plain.train_from_iterator(TEXTS, BpeTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False))
    found = json.loads(plain.to_str())["model"]
    merges = [tuple(pair) for pair in found["merges"]]
    tokenizer = NllbTokenizer(vocab=found["vocab"], merges=merges, extra_special_tokens=CODES)
    tokenizer.save_pretrained(folder)
    return _with_weights(folder, len(tokenizer), seed)


def tiny_m2m100(folder, seed=0):
    """A checkpoint as M2M100's, of its hundred languages."""
    folder.mkdir(parents=True)
    model, found = pieces(TEXTS)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    ids = {piece: i for i, piece in enumerate(dict.fromkeys([*SPECIAL, *found]))}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    return _with_weights(folder, len(ids) + len(tokenizer.lang_code_to_id), seed)


def tiny_mbart50(folder, seed=0):
    """A checkpoint as mBART-50's, of its fifty-two languages."""
    _, found = pieces(TEXTS)
    tokenizer = MBart50Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(found)])
    tokenizer.save_pretrained(folder)
    return _with_weights(folder, len(tokenizer), seed, MBartConfig, MBartForConditionalGeneration)


def _with_weights(folder, words, seed, config=M2M100Config, architecture=M2M100ForConditionalGeneration):
    own = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    layers = {"d_model": 16, "max_position_embeddings": 64, "init_std": 1.0}
    for part in ("encoder", "decoder"):
        layers |= {f"{part}_layers": 1, f"{part}_attention_heads": 2, f"{part}_ffn_dim": 16}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = architecture(config(vocab_size=words, **layers, **own))
    banned = [[0], [1], [3]]
    model.generation_config = GenerationConfig(num_beams=2, min_length=6, max_length=12, bad_words_ids=banned, **own)
    model.save_pretrained(folder)
    return folder
