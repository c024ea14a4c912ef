"""Language models of every build: the tail is the model, at the last layer and at the first, and right is generated."""

import dataclasses

import pytest
import torch

from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.network.model_kind import ModelKind, kind_of
from polypatch.sites.readouts.greedy import greedy
from polypatch.sites.rows import Question, Row
from polypatch.testing import tiny_model, tiny_texts
from polypatch.testing.agreement import Neuron, agreement, shortfall

CAUSAL = {
    "llama": "gated; matrices of its own for what it reads and says",
    "gpt2": "Conv1D, learned positions, one matrix for what it reads and says",
    "gemma2": "sandwich norms",
    "olmo2": "norms behind the layers alone",
    "gpt_neox": "attention and feed-forward layer side by side, a fused matrix",
    "phi": "side by side, one norm for both",
    "bloom": "ALiBi",
    "mixtral": "experts",
    "llama4_text": "experts whose output is a list of all positions",
    "opt": "a layer whose positions are one list",
    "phi3": "a fused gate",
    "minicpm3": "a scaled residual, latent attention",
    "jamba": "state spaces and attention",
    "bart": "norms behind the sum",
    "deepseek_v32": "keys that an index chooses",
    "xlstm": "states in place of attention",
}
READING = ["t5", "mt5", "bart", "pegasus", "encoder-decoder"]
MASKED = ["bert", "deberta-v2", "electra", "modernbert", "xlm-roberta"]
ALL = [
    *((family, "causal") for family in CAUSAL),
    *((family, "seq2seq") for family in READING),
    *((family, "masked") for family in MASKED),
]


@pytest.mark.parametrize(("family", "head"), ALL)
@pytest.mark.parametrize("layer", [None, 0])
def test_the_tail_is_the_model(family, head, layer, figure):
    """At several positions, unchanged and under a neuron that fires; in passes with others, and each text alone."""
    model, tokenizer = tiny_model(family, head)
    site = FeedForwardSite(model, layer=layer)
    assert site.kind is ModelKind(head)
    found = agreement(site, tokenizer)
    figure(f"tail against model, {family} ({head}), layer {layer}", max(found.gap, found.alone))
    assert found.gap < 1e-5
    assert found.alone < 1e-5
    assert found.moved > 0.01


@pytest.mark.parametrize(("family", "head"), [one for one in ALL if one[1] != "masked"])
def test_what_is_generated_is_what_the_rows_say(family, head):
    """Token by token, with a cache of keys and values, under a change of the last layer and of the first."""
    model, tokenizer = tiny_model(family, head)
    for layer in (None, 0):
        site = FeedForwardSite(model, layer=layer)
        neuron = Neuron(site.hidden_size, length=3.0)
        assert shortfall(site, tokenizer, tiny_texts(3), neuron) <= 1e-4
        assert shortfall(site, tokenizer, tiny_texts(3), UNCHANGED) <= 1e-4


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "mixtral"])
@pytest.mark.parametrize("layer", [None, 0])
def test_right_is_greedy_decoding_and_nothing_else(family, layer):
    """The rows of what was written are right; with one other token anywhere they are not."""
    model, tokenizer = tiny_model(family, "causal")
    tail = FrozenTail(FeedForwardSite(model, layer=layer), tokenizer, check=False)
    neuron, prompts = Neuron(tail.site.hidden_size, length=3.0), tail.readout.prompts
    texts = [prompts.prompt(text) for text in tiny_texts(4, seed=5)]
    with tail.site.evaluating(), tail.site.standing(neuron, {}):
        written = [one.ids for one in greedy(model, texts, prompts.ends, 6)]
    assert len(set(written)) > 1
    assert tail.right([asked(*one) for one in zip(texts, written, strict=True)], neuron) == [True] * 4
    for place in range(len(written[0])):
        other = list(written[0])
        other[place] = (other[place] + 1) % len(tokenizer)
        assert tail.right([asked(texts[0], tuple(other))], neuron) == [False]


def asked(prompt, ids):
    tokens, first = (*prompt, *ids[:-1]), len(prompt) - 1
    return Question(tuple(Row(tokens, first + i) for i in range(len(ids))), ids)


def test_a_wrong_anatomy_shows():
    """In the passes with others, and in each text alone."""
    model, tokenizer = tiny_model("gemma2", "causal")
    right = FeedForwardSite(model).anatomy
    for wrong in ({"scale": 0.9}, {"norm": right.norm.replace("post", "pre")}):
        site = FeedForwardSite(model, anatomy=dataclasses.replace(right, **wrong))
        found = agreement(site, tokenizer)
        assert min(found.gap, found.alone) > 1e-3


def test_a_model_that_generates_from_other_positions_shows():
    """RoBERTa counts positions from its padding's number on, and `generate` from 0."""
    model, tokenizer = tiny_model("roberta", "causal")
    site = FeedForwardSite(model)
    assert agreement(site, tokenizer).alone < 1e-5
    assert shortfall(site, tokenizer, tiny_texts(3), UNCHANGED) > 0.01


def test_positions_in_one_list_are_told_apart_where_the_last_is_read():
    """OPT's classifier: beside longer texts and alone."""
    model, tokenizer = tiny_model("opt")
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    rows = tail.readout.rows([*tiny_texts(6), "ba", "ba be bi bo bu " * 6])
    neuron = Neuron(tail.site.hidden_size)
    full = tail.encoder.full_logits(rows, neuron)
    alone = torch.cat([tail.encoder.full_logits([row], neuron, filled=False) for row in rows])
    assert float((tail.logits(rows, neuron) - full).abs().max() / full.abs().max()) < 1e-5
    assert float((alone - full).abs().max() / full.abs().max()) < 1e-5
    assert float((full - tail.logits(rows, UNCHANGED)).abs().max()) > 0.01


def test_a_model_of_speech_that_writes_in_one_pass_is_causal():
    """Transformers' table of models with an encoder has them too."""
    model, _ = tiny_model("qwen2_audio", "seq2seq")
    assert kind_of(model) is ModelKind.CAUSAL
    assert kind_of(tiny_model("t5", "seq2seq")[0]) is ModelKind.SEQ2SEQ
