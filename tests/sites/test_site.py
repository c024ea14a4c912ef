"""The site: what is attached comes off again, nothing else is touched, and what it computes is the layer."""

import pytest
import torch

from polypatch.deltas import WeightDelta
from polypatch.errors import InputError
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.encoding.fingerprint import model_fingerprint
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.tiny import FAMILIES


def answers(model, tokenizer, texts=("ba be", "bi bo bu")):
    with torch.no_grad():
        return model(**tokenizer(list(texts), padding=True, return_tensors="pt")).logits


def lift(q, out):
    return out + torch.nn.functional.gelu(q)


@pytest.mark.parametrize("family", FAMILIES)
def test_attach_and_detach(family):
    """Attached: other logits. bare(): the old bits. Detached: the old bits, no hook, and it can be attached again."""
    model, tokenizer = tiny_model(family)
    before = answers(model, tokenizer)
    site = FeedForwardSite(model)
    for _ in range(2):
        site.attach(lift, {})
        after = answers(model, tokenizer)
        assert float((after - before).abs().max()) > 1e-3
        with site.bare():
            assert torch.equal(answers(model, tokenizer), before)
            with site.bare():
                assert torch.equal(answers(model, tokenizer), before)
            assert torch.equal(answers(model, tokenizer), before)
        assert torch.equal(answers(model, tokenizer), after)
        site.detach()
        site.detach()
        assert torch.equal(answers(model, tokenizer), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_position_the_head_reads_is_changed(family):
    """Every other position of the last hidden state keeps its bits."""
    model, tokenizer = tiny_model(family)
    batch = tokenizer(["ba be bi", "bo"], padding=True, return_tensors="pt")
    site = FeedForwardSite(model)
    with torch.no_grad():
        before = model.base_model(**batch).last_hidden_state
        with site.applied(lift):
            after = model.base_model(**batch).last_hidden_state
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert not torch.equal(before[:, 0], after[:, 0])


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_replaced_by_name_come_back(family):
    """Six matrices swapped in, out inside bare(), and the originals back at the end, the same memory and all."""
    model, tokenizer = tiny_model(family)
    before, fingerprint = answers(model, tokenizer), model_fingerprint(FeedForwardSite(model))
    site = FeedForwardSite(model)
    delta = WeightDelta(site, "layer")
    assert len(delta.names) == 6
    pointers = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for weight in delta.weights:
            weight.mul_(1.5)
    site.attach(delta, delta.overrides)
    assert float((answers(model, tokenizer) - before).abs().max()) > 1e-3
    with site.bare():
        assert torch.equal(answers(model, tokenizer), before)
    site.detach()
    assert pointers == {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    assert model_fingerprint(site) == fingerprint


def test_an_error_inside_leaves_nothing_behind():
    model, tokenizer = tiny_model("bert")
    before, site = answers(model, tokenizer), FeedForwardSite(model)

    def fails(q, out):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), site.applied(fails):
        answers(model, tokenizer)
    assert torch.equal(answers(model, tokenizer), before)
    assert not site.layer.writer._forward_hooks


def test_a_model_that_carries_edits_is_not_edited_again():
    """Two sets of edits on one model would silently add up."""
    model, _ = tiny_model("bert")
    site = FeedForwardSite(model)
    site.attach(lift, {})
    with pytest.raises(InputError, match="unload"):
        site.attach(lift, {})
    with pytest.raises(InputError, match="unload"):
        FeedForwardSite(model).attach(lift, {})


@pytest.mark.parametrize("family", FAMILIES)
def test_matrices_are_the_last_layer_s(family):
    """Two of the FFN, six with the attention, all of the last layer and of no other."""
    site = FeedForwardSite(tiny_model(family, layers=3)[0])
    assert site.layer_path.endswith(".2")
    ffn, layer = site.matrices("ffn"), site.matrices("layer")
    assert len(ffn) == 2
    assert len(layer) == 6
    assert set(ffn) < set(layer)
    assert all(name.startswith(site.layer_path) and weight.dim() == 2 for name, weight in layer.items())
    assert {id(site.layer.reader.weight), id(site.layer.writer.weight)} == {id(weight) for weight in ffn.values()}


def test_the_fingerprint_sees_every_bit():
    """One flipped bit anywhere, a renamed class of none: the weights and nothing but the weights."""
    model, _ = tiny_model("bert")
    site = FeedForwardSite(model)
    before = model_fingerprint(site)
    model.config.id2label = {0: "x", 1: "y", 2: "z"}
    assert model_fingerprint(site) == before
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[7, 3] *= 1 + 1e-6
    assert model_fingerprint(site) != before


def test_the_tail_s_fingerprint_names_tokenizer_and_length_too(tiny):
    model, tokenizer = tiny("bert")
    _, other = tiny_model("roberta")
    site = FeedForwardSite(model)
    prints = [
        FrozenTail(site, t, max_length=length, check=False).fingerprint
        for t, length in ((tokenizer, None), (tokenizer, 64), (tokenizer, 32), (other, None))
    ]
    tokenizer(["ba", "be bi"], padding=True, truncation=True, max_length=4)  # leaves its settings in the tokenizer
    assert prints[0] == prints[1] == FrozenTail(site, tokenizer, check=False).fingerprint
    assert len(set(prints)) == 3


@pytest.mark.parametrize("kind", [FrozenTail, FullForward])
def test_dropout_views_are_seeded_and_leave_global_state_alone(tiny, kind):
    """The same generator state draws the same views; the global generator is untouched; views differ."""
    model, tokenizer = tiny("bert")
    tail, texts = kind(FeedForwardSite(model), tokenizer), tiny_texts(3)
    state = torch.get_rng_state()

    def draws(seed):
        rows = tail.rows(tail.readout.rows(texts), UNCHANGED, views=6, generator=torch.Generator().manual_seed(seed))
        return [
            torch.cat([part.detach() for part in rows.forward(torch.tensor([0, 2, 0]), UNCHANGED)], 1) for _ in "ab"
        ]

    one, again, other = draws(0), draws(0), draws(1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0][0], one[0][2]), "two rows of one text are two views"
    assert torch.equal(torch.get_rng_state(), state)


def test_views_of_a_text_do_not_depend_on_its_company(tiny):
    """A pure function of (text, count, seed)."""
    model, tokenizer = tiny("bert")
    encoder = FrozenTail(FeedForwardSite(model), tokenizer).encoder
    rows = encoder.tokens.rows(tiny_texts(4))
    together = encoder.views(rows, 5, seed=3).q
    for i, row in enumerate(rows):
        assert torch.equal(encoder.views([row], 5, seed=3).q, together[5 * i : 5 * i + 5])


def test_the_mean_of_many_views_is_near_the_eval_query(tiny):
    """Dropout is on in every layer of the encoder, and scaled: views scatter around the eval-mode query."""
    model, tokenizer = tiny("bert")
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    text = tiny_texts(1)
    q, views = tail.queries(tail.readout.rows(text)).q[0], tail.encoder.views(tail.readout.rows(text), 400, seed=0).q
    assert len(views.unique(dim=0)) == 400
    assert float(torch.cosine_similarity(views.mean(0), q, dim=0)) > 0.95
    assert float((views - q).norm(dim=1).mean()) > 0.05 * float(q.norm())


def test_encoding_is_batched_and_counted(tiny):
    """Every text is encoded once, whatever is asked for again; progress counts to the end."""
    model, tokenizer = tiny("bert")
    told = []
    tail = FrozenTail(FeedForwardSite(model), tokenizer, progress=lambda *done: told.append(done))
    texts = [text for edit in tiny_edits(4) for text in edit.prompt.values()]
    first = tail.queries(tail.readout.rows([*texts, *texts])).q
    assert len(tail.cache) == 12
    assert told[-1] == (12, 12)
    calls = len(told)
    assert torch.equal(tail.queries(tail.readout.rows(texts)).q, first[:12])
    assert len(told) == calls
    assert tail.queries(tail.readout.rows([])).q.shape == (0, 32)
    assert tail.logits(tail.readout.rows([]), UNCHANGED).shape == (0, 3)


@pytest.mark.parametrize("kind", [FrozenTail, FullForward])
def test_rows_start_from_what_was_edited_before(tiny, kind):
    """Rows under a change answer as the tail does under it, and the new change comes on top."""
    model, tokenizer = tiny("electra")
    tail, texts = kind(FeedForwardSite(model), tokenizer), tiny_texts(5)
    rows = tail.rows(tail.readout.rows(texts), Lift(), views=0, generator=torch.Generator())
    torch.testing.assert_close(
        rows.evaluate(UNCHANGED)[1].detach(), tail.logits(tail.readout.rows(texts), Lift()), rtol=0, atol=1e-5
    )
    twice = rows.forward(torch.arange(5), Lift())[1].detach()
    both = Lift(2.0)
    torch.testing.assert_close(twice, tail.logits(tail.readout.rows(texts), both), rtol=0, atol=1e-5)


class Lift:
    """A Change: FFN + factor · gelu(q)."""

    overrides = UNCHANGED.overrides

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, q, out):
        return out + self.factor * torch.nn.functional.gelu(q)
