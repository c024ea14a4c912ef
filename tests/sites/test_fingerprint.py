"""A model is its weights, its configuration, its tokenizer and its longest input, and another where one differs."""

import pytest
import torch
from tokenizers.normalizers import BertNormalizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.sites.encoding.fingerprint import ENCODING, configuration, tokenizer_fingerprint
from polypatch.store.identity import different_field
from polypatch.testing import tiny_model, tiny_texts
from polypatch.testing.tiny import FAMILIES


def again(model, **fields):
    """The same weights under another configuration."""
    config = type(model.config).from_dict({**model.config.to_dict(), **fields})
    other = type(model)(config).eval()
    other.load_state_dict(model.state_dict())
    return other


def uncased(tokenizer):
    tokenizer.backend_tokenizer.normalizer = BertNormalizer(lowercase=False)
    return tokenizer


def cut_left(tokenizer):
    tokenizer.truncation_side = "left"
    return tokenizer


def without_types(tokenizer):
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def the_same(part):
    return part


OTHERS = {
    "heads": (lambda m: again(m, num_attention_heads=8), the_same, None),
    "epsilon of the norms": (lambda m: again(m, layer_norm_eps=1e-5), the_same, None),
    "activation": (lambda m: again(m, hidden_act="relu"), the_same, None),
    "dropout": (lambda m: again(m, hidden_dropout_prob=0.0), the_same, None),
    "case": (the_same, uncased, None),
    "side": (the_same, cut_left, None),
    "token types": (the_same, without_types, None),
    "longest input": (the_same, the_same, 16),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_model_has_another_cache(tmp_path, what):
    """Its queries are its own, though the folder holds those of the same weights."""
    change, cut, longest = OTHERS[what]
    texts = [*tiny_texts(4), "Ba BE bi", "babebi " * 12]
    model, tokenizer = tiny_model("bert")
    first = FrozenTail(FeedForwardSite(model), tokenizer, cache_dir=tmp_path)
    first.encode(first.readout.rows(texts))
    model, tokenizer = tiny_model("bert")
    model, tokenizer = change(model), cut(tokenizer)
    second = FrozenTail(FeedForwardSite(model), tokenizer, cache_dir=tmp_path, max_length=longest)
    assert second.fingerprint != first.fingerprint
    rows = second.readout.rows(texts)
    found, own = second.queries(rows).q, second.encoder.queries(rows).q
    torch.testing.assert_close(found, own, rtol=0, atol=1e-5, msg="queries of another model")


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_it_is_the_same(family, tmp_path):
    model, tokenizer = tiny_model(family)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    back = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    its = AutoTokenizer.from_pretrained(tmp_path)
    before, after = FrozenTail(FeedForwardSite(model), tokenizer), FrozenTail(FeedForwardSite(back), its)
    after.readout.rows(tiny_texts(3))  # leaves truncation in the tokenizer
    assert different_field(configuration(before.site), configuration(after.site)) == ""
    assert tokenizer_fingerprint(tokenizer) == tokenizer_fingerprint(its)
    assert before.fingerprint == after.fingerprint
    assert before.fingerprint.startswith(f"encoding-{ENCODING}-")


def test_names_are_no_difference():
    model, tokenizer = tiny_model("bert")
    site = FeedForwardSite(model)
    before = configuration(site), tokenizer_fingerprint(tokenizer)
    model.config.id2label = {0: "yes", 1: "no", 2: "maybe"}
    model.config._name_or_path = tokenizer.name_or_path = "/somewhere/else"
    model.config.transformers_version, model.config.use_cache = "9.9", False
    tokenizer.model_max_length = 17
    assert (configuration(site), tokenizer_fingerprint(tokenizer)) == before


def test_a_field_that_differs_is_named_with_both_values():
    assert different_field({"heads": 4}, {"heads": 8}) == "heads was 4 and is 8 now"
    assert different_field({"eps": 1e-5}, {}) == "eps was 1e-05 and is the default now"
    assert different_field({"a": None}, {"a": None}) == ""


def test_a_tokenizer_in_python_is_known_by_its_words_and_settings(tmp_path):
    from transformers import ByT5Tokenizer

    one, other = ByT5Tokenizer(), ByT5Tokenizer(extra_ids=3)
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(ByT5Tokenizer())
    assert tokenizer_fingerprint(one) != tokenizer_fingerprint(other)
    one.save_pretrained(tmp_path / "one")
    assert tokenizer_fingerprint(ByT5Tokenizer.from_pretrained(tmp_path / "one")) == tokenizer_fingerprint(one)
