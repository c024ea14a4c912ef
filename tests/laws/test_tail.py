"""The frozen tail is the model: the same logits, the same training, and a refusal where it is not."""

import random

import pytest
import torch
from torch import nn

from polypatch.api import attach
from polypatch.data.memory import MemoryTexts
from polypatch.deltas import PatchBank, WeightDelta
from polypatch.editors import FineTuning, Lesson, Memory, MemoryRows, TPatcher
from polypatch.editors.t_patcher import TrainedNeuron
from polypatch.editors.widths import PUBLISHED_WIDTH, fitted
from polypatch.errors import PolypatchWarning, TailMismatchError, UnsupportedModelError
from polypatch.model.encoding import Encoding
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.discovery.discover import discover
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.tiny import FAMILIES


def some_bank(site, patches=12, seed=0):
    """Patches that fire on nearly everything."""
    generator = torch.Generator().manual_seed(seed)
    bank = PatchBank(site.hidden_size, site.activation_name)
    for i in range(patches):
        key = torch.randn(site.hidden_size, generator=generator)
        bank.append(str(i), key, torch.randn((), generator=generator), torch.randn(key.shape, generator=generator))
    return bank


def some_weights(site):
    delta = WeightDelta(site, "ffn")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in delta.weights:
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return delta


def memory_of(tail, *parts):
    return Memory(*(MemoryRows(rows, tail.queries(rows).q) for rows in map(tail.readout.rows, parts)))


@pytest.mark.parametrize("family", FAMILIES)
def test_tail_is_full_forward(tiny, family, figure):
    """Law: unedited, under patches and under changed matrices, logits of tail and model differ by at most 1e-5."""
    model, tokenizer = tiny(family)
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    texts = [*tiny_texts(35, seed=2), "ba", "ba be bi bo bu " * 12]
    worst = 0.0
    for change in (UNCHANGED, some_bank(tail.site), some_weights(tail.site)):
        full = tail.encoder.full_logits(tail.readout.rows(texts), change)
        worst = max(worst, float((tail.logits(tail.readout.rows(texts), change) - full).abs().max()))
        if change is not UNCHANGED:
            assert (
                float((full - tail.logits(tail.readout.rows(texts), UNCHANGED)).abs().max()) > 0.01
            )  # the change is no trifle
    figure(f"tail against full forward, {family}, largest difference of logits", worst)
    assert worst <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_query_does_not_depend_on_patches(tiny, family):
    """Law: q is the same bits before and after any number of patches; this is what the cache stands on."""
    model, tokenizer = tiny(family)
    site = FeedForwardSite(model)
    encoder = FrozenTail(site, tokenizer).encoder
    batches = list(encoder.tokens.batches(encoder.tokens.rows(tiny_texts(20)), site.device))
    with torch.no_grad(), site.evaluating():
        for _, batch in batches:
            before, after = (encoder.pass_through(batch, change)[0] for change in (None, some_bank(site, 50)))
            assert torch.equal(before, after)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_the_check_at_attachment_measures(tiny, scale):
    """The check returns the largest difference it saw, which is rounding."""
    model, tokenizer = tiny("bert")
    gap = FrozenTail(FeedForwardSite(model), tokenizer, check=False).check([f"ba {scale}", "be bi"])
    assert 0 <= gap < 1e-5


def training(tail, editor, steps=40):
    """The patch a TPatcher leaves after `steps` steps on three texts."""
    edit = tiny_edits(1, ["en", "de", "fr"], seed=5)[0]
    texts = list(edit.prompt.values())
    rng = random.Random(0)
    draws = [[0, rng.randint(1, 2)] for _ in range(steps + 1)]
    lesson = Lesson("edit", tail.readout.rows(texts), [2, 2, 2], lambda: draws.pop(0), torch.Generator().manual_seed(0))
    memory = memory_of(tail, tiny_texts(50), tiny_texts(20, seed=1))
    # Under patches that are there already, as in the middle of a stream.
    bank = some_bank(tail.site, 3, seed=9)
    fit = editor.learn(bank, lesson, tail, memory)
    assert fit.steps == steps
    return {"key": bank.keys[-1], "bias": bank.biases[-1], "value": bank.values[-1]}


@pytest.mark.parametrize("family", FAMILIES)
def test_forty_steps_cached_and_uncached(tiny, family, figure):
    """Law: 40 Adam steps with all losses, from cached queries and from full forward passes, end within 1e-4."""
    model, tokenizer = tiny(family)
    site = FeedForwardSite(model)
    editor = fitted(TPatcher(views=0, max_steps=40, memory_top=60, example_repeat=4), PUBLISHED_WIDTH)
    cached, full = (training(tail, editor) for tail in (FrozenTail(site, tokenizer), FullForward(site, tokenizer)))
    gap = max(float((cached[name] - full[name]).abs().max()) for name in cached)
    start = TrainedNeuron(
        torch.ones(site.hidden_size), PatchBank(site.hidden_size), 10.0, torch.Generator().manual_seed(0)
    )
    assert float((start.alpha * start.value - cached["value"]).detach().abs().max()) > 0.1  # it did train
    figure(f"40 steps cached against uncached, {family}, largest difference of k, b, v", gap)
    assert gap <= 1e-4


def test_ten_steps_of_fine_tuning_cached_and_uncached(tiny, figure):
    """Law: likewise for the FFN's two matrices."""
    model, tokenizer = tiny("bert")
    site = FeedForwardSite(model)
    edit = tiny_edits(1, seed=5)[0]
    ends = []
    for tail in (FrozenTail(site, tokenizer), FullForward(site, tokenizer)):
        editor = FineTuning(views=0, max_steps=10, learning_rate=1e-5, kl_weight=1.0, kl_rows=5)
        delta = editor.start(site)
        lesson = Lesson("e", tail.readout.rows([edit.prompt["en"]]), [1], lambda: [0], torch.Generator().manual_seed(0))
        memory = memory_of(tail, tiny_texts(9), tiny_texts(2))
        assert editor.learn(delta, lesson, tail, memory).steps == 10
        ends.append(delta.tensors())
    gap = max(float((ends[0][name] - ends[1][name]).abs().max()) for name in ends[0])
    figure("10 steps of fine-tuning cached against uncached, bert, largest difference of weights", gap)
    assert gap <= 1e-5


class DoubtfulNorm(nn.Module):
    """A layer norm that looks at the whole sequence, which no tail can know."""

    def __init__(self, norm):
        super().__init__()
        self.inner = norm

    def forward(self, h):
        normed = self.inner(h)
        return normed if h.dim() == 2 else normed + normed.mean(dim=1, keepdim=True)


def test_a_step_after_the_ffn_that_the_tail_does_not_know_is_left_to_the_model():
    """A model and a tail that disagree are never used together: full forward passes, with a warning."""
    model, tokenizer = tiny_model("bert")
    output = model.bert.encoder.layer[-1].output
    output.LayerNorm = DoubtfulNorm(output.LayerNorm)
    with pytest.raises(TailMismatchError, match="exact=True"):
        FrozenTail(FeedForwardSite(model), tokenizer)
    with pytest.warns(PolypatchWarning, match="differ from the model's by"):
        edited = attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe="t-patcher")
    assert isinstance(edited.tail, FullForward)
    edited.unload()
    attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe="t-patcher", encoding=Encoding(exact=True)).unload()


def test_a_hook_of_the_user_s_is_noticed():
    """A hook on the head's input changes logits behind the tail's back."""
    model, tokenizer = tiny_model("xlm-roberta")
    model.roberta.register_forward_hook(lambda *args: setattr(args[2], "last_hidden_state", args[2][0] * 1.5))
    with pytest.raises(TailMismatchError):
        FrozenTail(FeedForwardSite(model), tokenizer)


def test_a_mismatch_that_only_a_change_shows_is_noticed():
    """The check also compares under a random change: an FFN whose output is thrown away agrees unpatched."""
    model, tokenizer = tiny_model("bert")
    anatomy = discover(model)
    output = model.bert.encoder.layer[-1].output
    output.dense.weight.data.zero_()
    output.dense.bias.data.zero_()

    class Deaf(nn.Module):
        def forward(self, hidden_states):
            return torch.zeros_like(hidden_states)

    output.dropout = Deaf()
    with pytest.raises(TailMismatchError):
        FrozenTail(FeedForwardSite(model, anatomy=anatomy), tokenizer)
    with pytest.raises(UnsupportedModelError, match="no module in it writes"):
        FeedForwardSite(model)


def test_logits_that_are_not_numbers_are_refused():
    model, tokenizer = tiny_model("bert")
    anatomy = discover(model)
    model.classifier.bias.data[0] = torch.nan
    with pytest.raises(TailMismatchError):
        FrozenTail(FeedForwardSite(model, anatomy=anatomy), tokenizer)
    with pytest.raises(UnsupportedModelError, match="its logits are NaN"):
        FeedForwardSite(model)


def test_changes_outside_the_ffn_are_not_for_the_tail(tiny):
    """Six matrices reach outside the FFN: the tail refuses them instead of ignoring four."""
    model, tokenizer = tiny("bert")
    site = FeedForwardSite(model)
    tail, delta = FrozenTail(site, tokenizer), WeightDelta(site, "layer")
    with pytest.raises(UnsupportedModelError, match=r"exact=True"):
        tail.logits(tail.readout.rows(["ba"]), delta)
    with pytest.raises(UnsupportedModelError, match=r"exact=True"):
        tail.rows(tail.readout.rows(["ba"]), delta, views=0, generator=torch.Generator())


def test_a_model_in_train_mode_has_the_same_tail():
    """Numbers from the tail are eval-mode numbers, whatever mode the caller's model is in."""
    for family in FAMILIES:
        model, tokenizer = tiny_model(family)
        tail = FrozenTail(FeedForwardSite(model), tokenizer)
        wanted = tail.logits(tail.readout.rows(tiny_texts(5)), UNCHANGED)
        model.train()
        state = torch.get_rng_state()
        assert torch.equal(tail.logits(tail.readout.rows(tiny_texts(5)), UNCHANGED), wanted)
        rows = tail.rows(tail.readout.rows(tiny_texts(5)), UNCHANGED, views=0, generator=torch.Generator())
        assert torch.equal(rows.evaluate(UNCHANGED)[1], wanted)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(module.training for module in model.modules())


@pytest.mark.real
def test_tail_is_full_forward_on_a_real_checkpoint(shared, figure):
    """Law: 64 MASSIVE texts in 14 languages."""
    edited, rows, _ = real_case(shared)
    texts = [text for edit in rows[:64] for text in [edit.prompt[edit.languages[len(edit.id) % 14]]]]
    try:
        full = edited.tail.encoder.full_logits(edited.tail.readout.rows(texts), UNCHANGED)
        gap = float((edited.tail.logits(edited.tail.readout.rows(texts), UNCHANGED) - full).abs().max())
    finally:
        edited.unload()
    figure("tail against full forward, real checkpoint, largest difference of logits", gap)
    assert gap <= 1e-5


@pytest.mark.real
def test_edits_take_on_a_real_checkpoint(shared, figure):
    """Five English mistakes of a real model: each edit takes, and disabled ≡ base bit for bit."""
    from polypatch.api import edit_stream

    edited, rows, memory = real_case(shared)
    try:
        with edited.disabled():
            said = edited.predict([edit.prompt["en"] for edit in rows])
            base = edited.probabilities(memory)
        wrong = [edit for edit, label in zip(rows, said, strict=True) if label != edit.target["en"]][:5]
        outcomes = list(edit_stream(edited, wrong, recipe="t-patcher", rules=Rules(languages=["en"])))
        assert [(o.triggered, o.success, o.source_correct) for o in outcomes] == [(True, True, True)] * 5
        assert edited.predict([edit.prompt["en"] for edit in wrong]) == [edit.target["en"] for edit in wrong]
        texts = [text for edit in wrong for text in edit.prompt.values()]
        full = edited.tail.encoder.full_logits(edited.tail.readout.rows(texts), edited.delta)
        gap = float((edited.tail.logits(edited.tail.readout.rows(texts), edited.delta) - full).abs().max())
        figure("tail against full forward after 5 edits, real checkpoint, largest difference of logits", gap)
        assert gap <= 1e-4
        with edited.disabled():
            assert torch.equal(edited.probabilities(memory), base)
    finally:
        edited.unload()


def real_case(shared):
    from polypatch.data import load_data
    from polypatch.sites import load_checkpoint

    model, tokenizer = load_checkpoint(shared / "models" / "mini-mbert-massive")
    languages = ("en", "de", "fr", "es", "zh", "ar", "ru", "tr", "sw", "ur", "el", "hi", "th", "vi")
    data = load_data(f"massive:{shared / 'data' / 'massive'}", languages=languages, seed=0)
    memory = data.memory["en"][:200]
    recipe = RECIPES["t-patcher"]
    return attach(model, tokenizer=tokenizer, recipe=recipe, memory=memory), data.edits[:120], memory
