"""The speaking world's decoder, and the start that lets it learn hundreds of facts in minutes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from polypatch.world.bert import cooccurrence, lsi
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.tokenizer import BEGINNING, END, PAD


def new_decoder(config: SpeakingConfig, vocabulary: int) -> LlamaForCausalLM:
    """A randomly initialised decoder (from the current torch random state), its output tied to its embeddings."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=config.hidden,
            intermediate_size=config.inner,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_length,
            tie_word_embeddings=True,
            pad_token_id=PAD,
            bos_token_id=BEGINNING,
            eos_token_id=END,
        )
    )


@torch.no_grad()
def start(model: LlamaForCausalLM, pages: Iterable[Iterable[int]]) -> None:
    """Matrices of a size fit for a narrow model, and embeddings by latent semantic indexing.

    Llama's standard deviation of 0.02 suits thousands of units; here it is 1/sqrt(hidden). A page is the token ids of
    all that is documented of one subject, in every language: translations, and a subject and its objects, start as
    neighbours.
    """
    hidden = model.config.hidden_size
    for layer in model.model.layers:
        for weight in layer.parameters():
            if weight.dim() == 2:
                weight.mul_(hidden**-0.5 / model.config.initializer_range)
    embeddings = model.model.embed_tokens.weight
    embeddings.add_(lsi(cooccurrence(pages, len(embeddings)), hidden, scale=1.0))
