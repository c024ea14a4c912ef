"""The speaking world's decoder, and the start that lets it learn a thousand facts in minutes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from polypatch.world.bert import cooccurrence, lsi
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.tokenizer import BEGINNING, END, PAD


def new_decoder(config: SpeakingConfig, vocabulary: int) -> GPT2LMHeadModel:
    """A randomly initialised decoder (from the current torch random state), its output tied to its embeddings.

    A GPT-2: a Llama of the same size learned as much, but into its gated layers no patch can be merged exactly. Without
    dropout, which in so few steps costs accuracy.
    """
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_embd=config.hidden,
            n_inner=4 * config.hidden,
            n_layer=config.layers,
            n_head=config.heads,
            n_positions=config.max_length,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            pad_token_id=PAD,
            bos_token_id=BEGINNING,
            eos_token_id=END,
        )
    )


@torch.no_grad()
def start(model: GPT2LMHeadModel, pages: Iterable[Iterable[int]]) -> None:
    """Matrices of a size fit for a narrow model, and embeddings by latent semantic indexing.

    GPT-2's standard deviation of 0.02 suits its 768 units and more; here it is 1/sqrt(hidden). A page is the token ids
    of all that is documented of one subject, in every language: translations, and a subject and its objects, start as
    neighbours.
    """
    hidden = model.config.n_embd
    for layer in model.transformer.h:
        for weight in layer.parameters():
            if weight.dim() == 2:
                weight.mul_(hidden**-0.5 / model.config.initializer_range)
    embeddings = model.transformer.wte.weight
    embeddings.add_(lsi(cooccurrence(pages, len(embeddings)), hidden, scale=1.0))
