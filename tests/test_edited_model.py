"""EditedModel: what it predicts, which patches fire, and that taking the edits off gives the old model back."""

import numpy as np
import pytest
import torch

from polypatch.deltas import PatchBank, WeightDelta
from polypatch.edited_model import EditedModel, Firing
from polypatch.errors import UnknownLabelError
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward
from polypatch.testing import tiny_model, tiny_texts
from polypatch.testing.tiny import FAMILIES

TEXTS = tiny_texts(12)


def edited_with(family="bert", delta=None):
    """A tiny model with three patches that fire on nearly everything."""
    model, tokenizer = tiny_model(family)
    site = FeedForwardSite(model)
    if delta is None:
        delta, generator = PatchBank(site.hidden_size, site.activation_name), torch.Generator().manual_seed(1)
        for owner in ("one", "two", "two"):
            numbers = (torch.randn(shape, generator=generator) for shape in ((32,), (), (32,)))
            delta.append(owner, *numbers)
    return EditedModel(model=model, tokenizer=tokenizer, tail=FrozenTail(site, tokenizer), delta=delta)


def plain_logits(edited, texts):
    """Through the model itself, text by text, as a user would."""
    with torch.no_grad():
        return torch.cat([edited.model(**edited.tokenizer(text, return_tensors="pt")).logits for text in texts])


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_the_model_s_own(family):
    """predict and probabilities agree with a plain loop over the patched model, and with the tail."""
    edited = edited_with(family)
    logits = plain_logits(edited, TEXTS)
    torch.testing.assert_close(edited.probabilities(TEXTS), logits.softmax(-1), rtol=0, atol=1e-5)
    assert edited.predict(TEXTS) == [f"class-{i}" for i in logits.argmax(-1).tolist()]
    with edited.disabled():
        before = plain_logits(edited, TEXTS).argmax(-1)
    old, new = edited.predict_before_after(TEXTS)
    assert old.tolist() == [f"class-{i}" for i in before.tolist()]
    assert new.tolist() == edited.predict(TEXTS)
    assert old.tolist() != new.tolist()
    edited.unload()
    assert edited.predict(TEXTS) == old.tolist()


def test_one_text_one_label_and_many_texts_a_list():
    edited = edited_with()
    assert edited.predict(TEXTS[0]) == edited.predict(TEXTS[:1])[0]
    assert isinstance(edited.predict(("ba", "be")), str)
    assert isinstance(edited.predict([("ba", "be")]), list)
    assert edited.predict([]) == []


def test_texts_in_mixed_lengths_keep_their_order():
    texts = ["ba " * n for n in (30, 1, 12, 2, 25)]
    edited = edited_with()
    assert edited.predict(texts) == [edited.predict(text) for text in texts]


def test_firing_is_the_activation_of_each_patch():
    """act(q·k + b) of every neuron above the threshold, strongest first, with the edit it belongs to."""
    edited = edited_with()
    q = edited.tail.queries(edited.tail.readout.rows(TEXTS[:1])).q[0]
    bank = edited.delta
    wanted = torch.nn.functional.gelu(bank.keys @ q + bank.biases).tolist()
    got = edited.firing(TEXTS[0], threshold=-1.0)
    assert [f.activation for f in got] == pytest.approx(sorted(wanted, reverse=True), abs=1e-5)
    assert sorted(f.edit_id for f in got) == ["one", "two", "two"]
    assert edited.firing(TEXTS[0]) == [f for f in got if f.activation > 0]
    assert edited.firing(TEXTS[0], threshold=1e9) == []
    assert isinstance(got[0], Firing)
    edited.unload()


def test_firing_is_empty_without_patches():
    assert edited_with(delta=PatchBank(32)).firing("ba") == []
    model, tokenizer = tiny_model("bert")
    site = FeedForwardSite(model)
    weights = WeightDelta(site)
    edited = EditedModel(model=model, tokenizer=tokenizer, tail=FullForward(site, tokenizer), delta=weights)
    assert edited.firing("ba") == []


def test_labels_and_classes():
    edited = edited_with()
    assert edited.labels == {0: "class-0", 1: "class-1", 2: "class-2"}
    assert edited.class_of("class-2") == 2
    with pytest.raises(UnknownLabelError, match=r"'klass'; closest: 'class-2'"):
        edited.class_of("klass")


def test_many_labels_are_not_all_listed():
    model, tokenizer = tiny_model("bert", classes=20)
    edited = EditedModel(
        model=model, tokenizer=tokenizer, tail=FrozenTail(FeedForwardSite(model), tokenizer), delta=PatchBank(32)
    )
    with pytest.raises(UnknownLabelError, match=r"it has 20: class-0, .*class-7, …"):
        edited.class_of("x")


def test_disabled_nests_and_survives_errors():
    """Bit for bit the base inside, however deep; edited again outside, also after an exception."""
    edited = edited_with()
    after = plain_logits(edited, TEXTS)
    with edited.disabled() as same, edited.disabled():
        assert same is edited
        before = plain_logits(edited, TEXTS)
    with pytest.raises(RuntimeError), edited.disabled():
        raise RuntimeError
    assert torch.equal(plain_logits(edited, TEXTS), after)
    assert edited.unload() is edited.model
    assert torch.equal(plain_logits(edited, TEXTS), before)
    assert not torch.equal(before, after)


def test_the_fingerprint_is_that_of_the_unedited_weights():
    """Also while six matrices are swapped in."""
    model, tokenizer = tiny_model("bert")
    site = FeedForwardSite(model)
    delta = WeightDelta(site, "layer")
    with torch.no_grad():
        for weight in delta.weights:
            weight.add_(1.0)
    edited = EditedModel(model=model, tokenizer=tokenizer, tail=FullForward(site, tokenizer), delta=delta)
    other = edited_with()
    assert edited.fingerprint == other.fingerprint
    edited.unload()
    assert edited.fingerprint == other.fingerprint


def test_restoring_a_bank_is_never_having_added():
    """Law: cutting the last patch off leaves the tensors, and the logits, of the bank before it, bit for bit."""
    edited = edited_with()
    before, logits = edited.delta.tensors(), plain_logits(edited, TEXTS)
    snapshot = edited.delta.snapshot()
    edited.delta.append("three", torch.ones(32), torch.ones(()), torch.ones(32))
    assert not torch.equal(plain_logits(edited, TEXTS), logits)
    edited.delta.restore(snapshot)
    assert all(torch.equal(before[name], tensor) for name, tensor in edited.delta.tensors().items())
    assert edited.delta.owners == ["one", "two", "two"]
    assert torch.equal(plain_logits(edited, TEXTS), logits)


def test_a_patch_bank_is_the_formula():
    """FFN'(q) = FFN(q) + Σ act(q·k + b) v, in float64 NumPy; and a half-precision model gets half precision back."""
    bank = edited_with().delta
    q, out = (torch.randn(5, 32, generator=torch.Generator().manual_seed(i)) for i in (3, 4))
    keys, biases, values = (bank.tensors()[name].double().numpy() for name in ("keys", "biases", "values"))
    wanted = out.double().numpy().copy()
    for k, b, v in zip(keys, biases, values, strict=True):
        z = q.double().numpy() @ k + b
        wanted += np.outer(torch.nn.functional.gelu(torch.from_numpy(z)).numpy(), v)
    np.testing.assert_allclose(bank(q, out).numpy(), wanted, rtol=1e-4, atol=1e-4)
    half = bank(q.bfloat16(), out.bfloat16())
    assert half.dtype == torch.bfloat16
    empty = PatchBank(32)
    assert empty(q, out) is out
