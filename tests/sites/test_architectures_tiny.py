"""Tiny models with a language model's head: small, random everywhere, with an end that their tokenizer knows."""

import pytest
import torch

from polypatch.sites.network.model_kind import ModelKind, kind_of
from polypatch.testing import tiny_model
from polypatch.testing.tiny_config import head_entries, model_types, tiny_config

HEADS = [("llama", "causal"), ("bert", "causal"), ("t5", "seq2seq"), ("bart", "seq2seq"), ("xlm-roberta", "masked")]


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_a_language_model_has_its_head_and_an_end(family, head):
    model, tokenizer = tiny_model(family, head)
    assert kind_of(model) is ModelKind(head)
    assert sum(parameter.numel() for parameter in model.parameters()) < 100_000
    assert all(len(parameter.detach().unique()) > 1 for parameter in model.parameters() if parameter.numel() > 1)
    if head != "masked":
        assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    text = "ba be 3 bobi"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize("family", ["llama", "bert", "gpt2"])
def test_a_causal_model_reads_no_token_ahead(family):
    model, tokenizer = tiny_model(family, "causal")
    ids = torch.tensor([tokenizer("ba be 3 bobi bu")["input_ids"]])
    with torch.no_grad():
        whole, part = model(ids).logits, model(ids[:, :4]).logits
    assert float((whole[:, :4] - part).abs().max()) < 1e-5
    assert float((whole[:, 1:] - whole[:, :-1]).abs().max()) > 0.1


def test_the_same_seed_gives_the_same_weights_and_another_others():
    one, same, other = (tiny_model("llama", "causal", seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])


def test_every_head_of_transformers_is_there_by_its_types():
    sizes = {head: len(model_types(head)) for head in ("classifier", "causal", "seq2seq", "masked")}
    assert sizes["causal"] > 150
    assert sizes["seq2seq"] > 20
    assert sizes["masked"] > 40
    assert head_entries(tiny_config("bert", head="causal"), "causal")["is_decoder"]
    with pytest.raises(KeyError):
        tiny_config("t5", head="masked")
