"""When Transformer-Patcher stops and how it steps, on scripted models: the released code's numbers."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from polypatch.deltas import PatchBank
from polypatch.editors import Lesson, Memory, MemoryRows, TPatcher
from polypatch.editors.losses import edit_loss
from polypatch.editors.widths import PUBLISHED_WIDTH, fitted
from polypatch.errors import UnsupportedModelError


@dataclass
class Script:
    """A tail and its rows in one: `right(look)` says which texts are right at the look-th validation (from 1)."""

    right: object = lambda look: (True, True)
    looks: int = 0
    steps: int = 0
    site: object = field(default_factory=lambda: SimpleNamespace(lower=False, evaluating=nullcontext))
    q: torch.Tensor = field(default_factory=lambda: torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))

    def rows(self, texts, change, *, views, generator):
        return self

    def forward(self, picks, change):
        self.steps += 1
        out = change(self.q[picks], torch.zeros(len(picks), 3))
        return self.q[picks], out[:, :2]

    def evaluate(self, change):
        self.looks += 1
        right = torch.tensor(self.right(self.looks))
        return self.q, torch.stack([(~right).float(), right.float()], dim=1)


@dataclass(frozen=True, kw_only=True)
class Scripted(TPatcher):
    """TPatcher whose validation memory loss is read from a list, one value per look that gets so far."""

    values: list = field(default_factory=list)

    def memory(self, neuron, z, loudest):
        if torch.is_grad_enabled():
            return z.sum() * 0.0
        return torch.tensor(self.values.pop(0) if self.values else 1.0)


def memory(rows=4):
    queries = torch.eye(3)[torch.arange(rows) % 3]
    return Memory(MemoryRows(["m"] * rows, queries), MemoryRows(["m"] * rows, queries))


def run(editor, script, draws=lambda: [0, 1], rows=4):
    lesson = Lesson("e", ["one", "two"], [1, 1], draws, torch.Generator().manual_seed(0))
    bank = PatchBank(3)
    return fitted(editor, PUBLISHED_WIDTH).learn(bank, lesson, script, memory(rows)), bank


RULE = [
    # at which looks the edit is right, validation memory losses, steps
    (lambda look: True, [1.0, 1.0], 150),  # the earliest stop of the defaults
    (lambda look: True, [1.0, 0.9, 0.8, 0.7995], 200),  # the fourth gains no more than 0.001
    (lambda look: True, [1.0, 0.998, 0.996, 0.996], 200),  # gains of 0.002 count
    (lambda look: True, [1.0, 0.5, 0.9], 175),  # worse than the best
    (lambda look: look >= 5, [1.0, 1.0], 150),  # what was before step 101 does not matter
    (lambda look: look >= 6, [1.0, 1.0], 175),  # a look at which it is wrong gives no value
    (lambda look: look in (5, 7), [1.0, 1.0], 175),  # right, wrong, right: compared with the best of two looks ago
    (lambda look: look >= 79, [1.0, 1.0], 2000),
]


@pytest.mark.parametrize(("right", "values", "steps"), RULE)
def test_the_stopping_rule_of_the_released_code(right, values, steps):
    """A look every 25 steps, none before step 101; stop when right and the memory loss gained at most 0.001."""
    fit, _ = run(Scripted(values=list(values)), Script(lambda look: (right(look),) * 2))
    assert (fit.steps, fit.reason) == (steps, "")


def test_no_success_is_two_thousand_steps_and_said_so():
    script = Script(lambda look: (False, True))
    fit, bank = run(Scripted(), script)
    assert fit.steps == script.steps == 2000
    assert script.looks == 80
    assert "2000 steps" in fit.reason
    assert bank.owners == ["e"]  # the loop decides what becomes of a failed edit


def test_without_validation_it_stops_at_the_first_look_that_is_right():
    assert run(Scripted(use_validation=False), Script())[0].steps == 125
    assert run(Scripted(use_validation=False), Script(lambda look: (look >= 7,) * 2))[0].steps == 175


def test_without_memory_it_stops_at_the_first_look_that_is_right():
    assert run(TPatcher(), Script(), rows=0)[0].steps == 125


def test_right_means_every_text_drawn_so_far():
    """A text that was drawn once and is wrong keeps the training going; one never drawn does not."""
    wrong_second = Script(lambda look: (True, False))
    assert run(Scripted(), wrong_second, draws=lambda: [0])[0] == run(Scripted(), Script(), draws=lambda: [0])[0]
    draws = iter([[0, 1]])
    fit, _ = run(Scripted(max_steps=200), Script(lambda look: (True, False)), draws=lambda: next(draws, [0]))
    assert fit.steps == 200
    assert fit.drawn == (0, 1)


def test_the_learning_rate_halves_on_a_plateau():
    """Adam moves a parameter with a constant gradient by lr per step; the edit loss, looked at every 25 steps, is flat:
    the third look is the second without a gain, so 75 steps at 0.01, 50 at 0.005, 25 at 0.0025.
    """

    @dataclass(frozen=True, kw_only=True)
    class Constant(Scripted):
        def loss(self, neuron, rows, picks, targets, loudest):
            return neuron.bias + sum((0.0 * parameter * parameter).sum() for parameter in neuron.parameters)

    fit, bank = run(Constant(weight_decay=0.0), Script())
    assert fit.steps == 150
    assert float(bank.biases[0]) == pytest.approx(-(75 * 0.01 + 50 * 0.005 + 25 * 0.0025), rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_training():
    @dataclass(frozen=True, kw_only=True)
    class Broken(Scripted):
        def loss(self, neuron, rows, picks, targets, loudest):
            return (neuron.key * torch.nan).sum() + (neuron.value * neuron.bias * neuron.alpha).sum()

    fit, bank = run(Broken(), Script())
    assert fit.steps == 1
    assert "finite" in fit.reason
    assert all(torch.isfinite(tensor).all() for tensor in bank.tensors().values())


def test_a_gradient_that_is_no_number_never_reaches_the_bank():
    """Also where k's own gradient is finite: a patch with a NaN would make every answer of the model NaN."""

    @dataclass(frozen=True, kw_only=True)
    class Broken(Scripted):
        def loss(self, neuron, rows, picks, targets, loudest):
            return (neuron.value * torch.nan).sum() + (neuron.key * neuron.bias * neuron.alpha).sum()

    fit, bank = run(Broken(), Script())
    assert "finite" in fit.reason
    assert all(torch.isfinite(tensor).all() for tensor in bank.tensors().values())


def by_hand(script, steps, draw):
    """The same training written out: float64, brute-force losses, Adam and clipping in four lines."""
    generator = torch.Generator().manual_seed(0)
    q = script.q.double()
    k, b = (q[0] / q[0].dot(q[0])).clone(), torch.zeros((), dtype=torch.float64)
    v = torch.randn(3, generator=generator).double()
    parameters = [p.requires_grad_() for p in (k, b, v, torch.full((3,), 10.0, dtype=torch.float64))]
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    rows = memory().train.rows.double()
    for step in range(1, steps + 1):
        k, b, v, alpha = parameters
        batch = q[draw].repeat_interleave(8, dim=0)  # every drawn text 8 times
        z = batch @ k + b
        logits = (torch.nn.functional.gelu(z)[:, None] * alpha * v)[:, :2]
        h = rows @ k + b
        pairs, stacked = (h[:, None] - z[None]).flatten(), h.repeat(len(z))
        l_m = sum((x.sort(descending=True).values[:1000] + 3).exp().mean() for x in (pairs, stacked))
        l_a = z.neg().sort(descending=True).values[:5].exp().mean()
        loss = edit_loss(logits, torch.ones(len(batch), dtype=torch.long), 0.1) + l_a + 5 * l_m
        gradients = torch.autograd.grad(loss, parameters)
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        with torch.no_grad():
            for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
                g = g * min(1.0, 5.0 / float(norm)) + 0.01 * p  # clip, then coupled weight decay
                first[i], second[i] = 0.9 * first[i] + 0.1 * g, 0.999 * second[i] + 0.001 * g * g
                scale = (second[i] / (1 - 0.999**step)).sqrt() + 1e-8
                p -= 0.01 * first[i] / (1 - 0.9**step) / scale
    k, b, v, alpha = (p.detach() for p in parameters)
    return k, b, alpha * v


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize("draw", [[0], [0, 1]])
def test_the_training_written_out_by_hand(steps, draw):
    """Initialisation, the whole loss, clipping at 5, weight decay 0.01 in the gradient, Adam with lr 0.01, α into v."""
    script = Script(lambda look: (False, False))
    _, bank = run(TPatcher(views=0, max_steps=steps), script, draws=lambda: draw)
    for got, wanted in zip((bank.keys[0], bank.biases[0], bank.values[0]), by_hand(script, steps, draw), strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=2e-4, atol=2e-5)


def test_a_neuron_starts_as_published():
    """k = q/‖q‖² and b = 0, so z = 1 on the edit; v standard normal, α = 10: max_steps=0 leaves exactly that."""
    script = Script()
    script.q = torch.tensor([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0]])
    _, bank = run(TPatcher(max_steps=0), script)
    assert torch.allclose(bank.keys[0], torch.tensor([0.12, 0.16, 0.0]))
    assert float(bank.keys[0] @ script.q[0] + bank.biases[0]) == pytest.approx(1.0)
    assert torch.equal(bank.values[0], 10 * torch.randn(3, generator=torch.Generator().manual_seed(0)))


def test_a_patcher_wants_a_bank():
    from polypatch.editors import FineTuning

    lesson = Lesson("e", ["one"], [1], lambda: [0], torch.Generator())
    with pytest.raises(UnsupportedModelError, match="PatchBank"):
        TPatcher().learn(torch.nn.Identity(), lesson, Script(), memory())
    with pytest.raises(UnsupportedModelError, match="WeightDelta"):
        FineTuning().learn(PatchBank(3), lesson, Script(), memory())
