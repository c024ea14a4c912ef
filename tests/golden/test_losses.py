"""Every loss against an independent float64 reference, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from golden import reference
from polypatch.editors import MemoryRows, loudest
from polypatch.editors.losses import accuracy_all, activation_loss, edit_loss, kl_to_original, memory_loss


def randoms(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def close(value, wanted, tolerance=1e-6):
    assert float(value) == pytest.approx(float(wanted), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("weight", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("classes", [2, 3, 60])
def test_edit_loss_is_the_formula(classes, weight):
    """L_e = mean CE − w · mean H, in float64 and in float32."""
    logits = randoms(8, classes, scale=3.0)
    targets = np.arange(8) % classes
    wanted = reference.edit_loss(logits, targets, weight)
    close(edit_loss(tensor(logits), tensor(targets), weight), wanted, 1e-12)
    close(edit_loss(tensor(logits).float(), tensor(targets), weight), wanted)


def test_edit_loss_with_two_classes_is_the_released_binary_loss():
    """One logit with BCE and its Bernoulli entropy is two classes with the logit difference."""
    logit, y = randoms(8, seed=3), np.array([0, 1] * 4)
    two = np.stack([np.zeros(8), logit], axis=1) + randoms(8, 1, seed=4)
    close(edit_loss(tensor(two), tensor(y), 0.1), reference.bernoulli_edit_loss(logit, y, 0.1), 1e-12)


def test_edit_loss_by_hand():
    """Equal logits of 4 classes: CE = H = ln 4, so with w = 0.1 the loss is 0.9 · ln 4: the entropy is a bonus."""
    logits = torch.full((3, 4), 7.0)
    close(edit_loss(logits, torch.tensor([0, 1, 2])), math.log(4))
    close(edit_loss(logits, torch.tensor([0, 1, 2]), 0.1), 0.9 * math.log(4))
    # p = (0.8, 0.2)
    logits = torch.tensor([[math.log(4.0), 0.0]])
    close(edit_loss(logits, torch.tensor([1])), math.log(5))
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    close(edit_loss(logits, torch.tensor([0]), 1.0), -math.log(0.8) - entropy)


@pytest.mark.parametrize(("rows", "top"), [(8, 5), (3, 5), (5, 5), (40, 1)])
def test_activation_loss_is_the_formula(rows, top):
    z = randoms(rows, seed=rows)
    close(activation_loss(tensor(z), top, 0.5), reference.activation_loss(z, top, 0.5), 1e-12)
    close(activation_loss(tensor(z).float(), top), reference.activation_loss(z, top, 0.0))


def test_activation_loss_by_hand():
    """The mean of the two largest exp(0 − z): of z = 0 and z = ln 2."""
    z = torch.tensor([math.log(2), 0.0, 5.0, 9.0])
    close(activation_loss(z, top=2), (1 + 0.5) / 2)
    close(activation_loss(z[:1], top=5, margin=math.log(4)), 2.0)


def loudest_first(h, top):
    """What memory_loss is given: the loudest rows, in falling order."""
    return tensor(np.sort(h)[::-1][: min(top, len(h))].copy())


# (memory rows M, batch B, top): whole rows, a remainder, M*B < top, M < top < M*B, one row, B > top
SHAPES = [(300, 8, 100), (300, 8, 103), (10, 4, 1000), (40, 8, 100), (1, 1, 1), (5, 12, 7), (50, 3, 50), (9, 7, 62)]


@pytest.mark.parametrize(("memory", "batch", "top"), SHAPES)
def test_memory_loss_is_the_formula(memory, batch, top):
    """L_m = l_m1 + l_m2 over all M x B pairs and the B-fold stacked memory, brute force."""
    h, z = randoms(memory, seed=1), randoms(batch, seed=2, scale=0.5)
    wanted = reference.memory_loss(h, z, top, 3.0, -3.0)
    close(memory_loss(loudest_first(h, top), tensor(z), top), wanted, 1e-12)
    close(memory_loss(loudest_first(h, top).float(), tensor(z).float(), top), wanted, 2e-6)
    # The margins are two, not one.
    wanted = reference.memory_loss(h, z, top, 1.0, 0.25)
    close(memory_loss(loudest_first(h, top), tensor(z), top, 1.0, -0.25), wanted, 1e-12)


def test_memory_loss_by_hand():
    """M = 2, B = 2, top = 3, margins 0: pairs h − z = ln 4, ln 2, ln 2 (and 0); the stack is ln 4, ln 4, ln 2."""
    h, z = torch.tensor([math.log(4), math.log(2)]), torch.tensor([0.0, math.log(2)])
    close(memory_loss(h, z, 3, 0.0, 0.0), (4 + 2 + 2) / 3 + (4 + 4 + 2) / 3)
    # Both margins of the default multiply by e³.
    close(memory_loss(h, z, 3) / math.exp(3), (4 + 2 + 2) / 3 + (4 + 4 + 2) / 3)


def test_kl_is_the_formula():
    original, edited = randoms(6, 5, seed=1), randoms(6, 5, seed=2)
    close(kl_to_original(tensor(original), tensor(edited)), reference.kl(original, edited), 1e-12)
    close(kl_to_original(tensor(original).float(), tensor(edited).float()), reference.kl(original, edited))
    close(kl_to_original(tensor(original), tensor(original)), 0.0, 1e-12)


def test_kl_by_hand_and_its_direction():
    """KL(original ‖ edited) of (1/2, 1/2) against (4/5, 1/5): not the other way round."""
    original, edited = torch.zeros(1, 2), torch.tensor([[math.log(4.0), 0.0]])
    close(kl_to_original(original, edited), 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2))


def test_accuracy_all():
    logits = torch.tensor([[0.0, 1.0], [3.0, 2.0]])
    assert accuracy_all(logits, torch.tensor([1, 0]))
    assert not accuracy_all(logits, torch.tensor([1, 1]))


@pytest.mark.parametrize("told", [False, True], ids=["all", "only what pairs need"])
@pytest.mark.parametrize(("memory", "batch", "top"), SHAPES)
def test_gradients_through_the_loudest_are_those_of_the_whole_memory(memory, batch, top, told, monkeypatch):
    """The loss and its gradients in k and b, through the shortlist, equal autograd over all rows in float64."""
    monkeypatch.setattr(loudest, "SHORTLIST", 1)
    width = 6
    q = tensor(randoms(memory, width, seed=1))
    edit_rows = tensor(randoms(batch, width, seed=2))
    found = loudest.Loudest(MemoryRows(["text"] * memory, q), top)
    for step in range(3):  # later calls are answered from what the first one read
        key, bias = tensor(randoms(width, seed=3) + 0.01 * step).requires_grad_(), tensor(0.3).requires_grad_()
        z = edit_rows @ key + bias
        loss = memory_loss(found.activations(key, bias, z) if told else found.activations(key, bias), z, top)
        got = torch.autograd.grad(loss, (key, bias))
        whole, z = q @ key + bias, edit_rows @ key + bias
        pairs = (whole.unsqueeze(1) - z.unsqueeze(0)).flatten()
        stacked = whole.repeat(batch)
        brute = sum((x.sort(descending=True).values[:top] + 3).exp().mean() for x in (pairs, stacked))
        wanted = torch.autograd.grad(brute, (key, bias))
        close(loss.detach(), brute.detach(), 1e-12)
        for one, two in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)


def test_gradients_agree_with_finite_differences():
    """And the gradient of the formula itself, by central differences in float64."""
    q, edit_rows, key = randoms(20, 4, seed=1), randoms(3, 4, seed=2), randoms(4, seed=3)
    found = loudest.Loudest(MemoryRows([""] * 20, tensor(q)), 7)

    def by_formula(k):
        return reference.memory_loss(q @ k, edit_rows @ k, 7, 3.0, -3.0)

    k = tensor(key).requires_grad_()
    loss = memory_loss(found.activations(k, torch.zeros((), dtype=k.dtype)), tensor(edit_rows) @ k, 7)
    (got,) = torch.autograd.grad(loss, k)
    step = 1e-6 * np.eye(4)
    wanted = [(by_formula(key + step[i]) - by_formula(key - step[i])) / 2e-6 for i in range(4)]
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-6)
