"""Codebook: the nearest entry that covers a query stands in, and damaged tensors are refused."""

import math

import pytest
import torch

from polypatch.deltas import Codebook
from polypatch.errors import ArtefactError, InputError

D = 3


def book(*entries):
    """Entries as (key's first coordinate, radius, class); the value is ten times the key."""
    made = Codebook(D, 4)
    for i, (x, radius, label) in enumerate(entries):
        key = torch.tensor([float(x), 0.0, 0.0])
        made.append(f"edit-{i}", key, 10 * key, radius, label)
    return made


def at(*xs):
    return torch.tensor([[x, 0.0, 0.0] for x in xs])


def reference(made, q, out):
    """The formula, in float64 and by loops; of equally near keys the latest."""
    rows = []
    for row, kept in zip(q.tolist(), out.tolist(), strict=True):
        best, entry = math.inf, None
        for i, key in enumerate(made.keys.tolist()):
            apart = math.dist(row, key)
            if apart <= best:
                best, entry = apart, i
        rows.append(made.values[entry].tolist() if best <= float(made.radii[entry]) else kept)
    return torch.tensor(rows)


def test_the_nearest_entry_stands_in_within_its_radius_and_nowhere_else():
    made, q = book((1, 0.5, 0), (2, 0.25, 1), (4, 3.0, 2)), at(1.0, 1.4, 1.6, 1.8, 2.2, 2.5, 3.5, 7.5)
    out = torch.full_like(q, -1.0)
    got = made(q, out)
    assert got[:, 0].tolist() == [10, 10, -1, 20, 20, -1, 40, -1]
    assert torch.equal(got, reference(made, q, out))


def test_random_codebooks_follow_the_formula():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        made = Codebook(D, 4)
        for i in range(9):
            key, value = torch.randn(2, D, generator=generator)
            made.append(str(i), key, value, float(torch.rand((), generator=generator)), i % 4)
        q = torch.randn(40, D, generator=generator)
        out = torch.randn(40, D, generator=generator)
        assert torch.equal(made(q, out), reference(made, q, out))


def test_nothing_written_gives_the_very_same_output():
    out = torch.randn(2, D)
    assert Codebook(D, 4)(torch.randn(2, D), out) is out


def test_of_two_entries_under_one_query_the_latest_stands_in():
    made = book((1, 0.5, 0), (1, 0.5, 1))
    made.values = torch.tensor([[1.0] * D, [2.0] * D])
    assert made(at(1.0), torch.zeros(1, D)).tolist() == [[2.0] * D]
    assert made.activations(at(1.0)).tolist() == [[0.0, 1.0]]


def test_activations_say_how_deep_in_its_ball_a_query_lies():
    made = book((1, 0.5, 0), (2, 0.25, 1))
    assert made.activations(at(1.25, 2.0, 1.6)).tolist() == [[0.5, 0.0], [0.0, 1.0], [0.0, 0.0]]


def test_without_an_entry_the_next_one_answers():
    made, out = book((1, 2.0, 0), (2, 2.0, 1)), torch.zeros(1, D)
    assert made(at(1.9), out)[0, 0] == 20
    assert made.without(1)(at(1.9), out)[0, 0] == 10
    assert made.patches == 2


def test_a_snapshot_brings_back_what_was_widened_and_what_was_cut():
    made = book((1, 0.5, 0), (2, 0.25, 1))
    before, snapshot = made.tensors(), made.snapshot()
    made.resize(0, 3.0)
    made.append("more", torch.ones(D), torch.ones(D), 1.0, 3)
    made.restore(snapshot)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.tensors().items())
    empty = Codebook(D, 4).snapshot()
    made.restore(empty)
    assert made.patches == 0
    made.restore(snapshot)
    assert made.owners == ["edit-0", "edit-1"]


def test_what_each_edit_left_makes_the_whole_again():
    made, copy = book(), Codebook(D, 4)
    for i, (x, widened) in enumerate([(1, None), (2, 0.75), (None, 0.5), (3, None)]):
        patches = made.patches
        if x is not None:
            made.append(f"edit-{i}", torch.full((D,), float(x)), torch.ones(D), 0.25, i)
        if widened is not None:
            made.resize(0, widened)
        copy.adopt(f"edit-{i}", made.since(patches))
    assert copy.owners == made.owners == ["edit-0", "edit-1", "edit-3"]
    assert all(torch.equal(tensor, copy.tensors()[name]) for name, tensor in made.tensors().items())


def test_neither_cut_out_nor_merged():
    with pytest.raises(InputError, match=r"edit-0: .* makes the other edits again"):
        book((1, 1, 0)).drop(["edit-0"])
    for refused in (Codebook.merged, Codebook.merge_cost):
        with pytest.raises(InputError, match="a codebook cannot be merged"):
            refused(book((1, 1, 0)), None)


NAN = float("nan")
DAMAGED = {
    "missing": ({"radii": None}, r"needs the tensors .* found \['classes', 'keys', 'values'\]"),
    "one more": ({"biases": torch.zeros(2)}, "needs the tensors"),
    "another width": ({"keys": torch.zeros(2, D + 1)}, r"keys should be .* \(2, 3\)"),
    "another length": ({"values": torch.zeros(3, D)}, r"values should be .* \(2, 3\)"),
    "another type": ({"classes": torch.zeros(2)}, "classes should be int64"),
    "half precision": ({"keys": torch.zeros(2, D).half()}, "keys should be float32"),
    "not finite": ({"values": torch.full((2, D), NAN)}, "values holds numbers that are not finite"),
    "a radius that is none": ({"radii": torch.tensor([1.0, NAN])}, "radii holds numbers that are not finite"),
    "a radius of nothing": ({"radii": torch.tensor([1.0, 0.0])}, "radii holds numbers that are not above 0"),
    "a class too many": ({"classes": torch.tensor([0, 4])}, "between 0 and 3"),
    "a class below": ({"classes": torch.tensor([-1, 0])}, "between 0 and 3"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(name):
    change, said = DAMAGED[name]
    made = book((1, 0.5, 0), (2, 0.25, 1))
    tensors = {key: tensor for key, tensor in {**made.tensors(), **change}.items() if tensor is not None}
    fresh = book((3, 0.5, 0))
    with pytest.raises(ArtefactError, match=said):
        fresh.load_tensors(tensors, made.owners)
    with pytest.raises(ArtefactError):
        fresh.adopt("edit", tensors)
    assert fresh.owners == ["edit-0"]
    assert fresh.keys[0, 0] == 3
