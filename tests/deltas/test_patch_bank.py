"""PatchBank grows without copying itself at every patch, and nobody who looks at it can tell."""

import copy
import inspect

import pytest
import torch

from polypatch.deltas import Codebook, PatchBank, Pieces

D = 4


def rows(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, *tail, generator=generator) for name, tail in SHAPES.items()}


SHAPES = {"keys": (D,), "biases": (), "values": (D,)}


def bank_of(wanted):
    bank = PatchBank(D)
    for i, (key, bias, value) in enumerate(zip(*wanted.values(), strict=True)):
        bank.append(str(i), key, bias, value)
    return bank


def holds(bank, wanted):
    got = bank.tensors()
    return (
        got.keys() == wanted.keys()
        and all(torch.equal(got[name], wanted[name]) and got[name].is_contiguous() for name in wanted)
        and bank.patches == len(wanted["keys"])
    )


def first(wanted, n):
    return {name: tensor[:n] for name, tensor in wanted.items()}


def test_one_by_one_is_all_at_once():
    wanted = rows(33)
    bank, whole = bank_of(wanted), PatchBank(D)
    assert holds(bank, wanted)
    whole.extend([str(i) for i in range(33)], **wanted)
    assert holds(whole, wanted)
    assert whole.owners == bank.owners
    assert list(dict(bank.named_buffers())) == ["keys", "biases", "values"]
    q = torch.randn(5, D)
    assert torch.equal(bank(q, q), whole(q, q))
    whole.extend([], **rows(0))
    assert holds(whole, wanted)


def test_growing_copies_seldom(monkeypatch):
    """Amortised: a new place for the rows only each time their number has doubled."""
    wanted, places = rows(1000), set()
    bank = PatchBank(D)
    for i, (key, bias, value) in enumerate(zip(*wanted.values(), strict=True)):
        bank.append(str(i), key, bias, value)
        places.add(bank.keys.data_ptr())
    assert len(places) <= 11
    assert bank.keys.untyped_storage().nbytes() <= 2.1 * bank.keys.nbytes


@pytest.mark.parametrize(("name", "bad"), [("keys", D + 1), ("values", 1), ("values", D - 1)])
def test_a_wrong_shape_leaves_the_bank_as_it_was(name, bad):
    bank, wanted = bank_of(rows(3)), rows(3)
    new = rows(2, seed=1)
    with pytest.raises(RuntimeError, match="shape"):
        bank.extend(["a", "b"], **{**new, name: torch.zeros(2, bad)})
    assert holds(bank, wanted)
    bank.extend(["a", "b"], **new)
    assert holds(bank, {n: torch.cat([wanted[n], new[n]]) for n in wanted})


def test_what_was_looked_at_is_never_written_over():
    """Tensors taken before a cut keep their rows when others are appended; so do those of a buffer set from outside."""
    wanted, more = rows(6), rows(1, seed=1)
    bank = bank_of(first(wanted, 3))
    three = bank.snapshot()
    bank.extend(list("345"), **{name: tensor[3:] for name, tensor in wanted.items()})
    before = bank.tensors()
    bank.restore(three)
    bank.append("new", *(tensor[0] for tensor in more.values()))
    assert all(torch.equal(before[name], wanted[name]) for name in wanted)
    assert holds(bank, {name: torch.cat([wanted[name][:3], more[name]]) for name in wanted})
    foreign = rows(6, seed=2)
    kept = {name: tensor.clone() for name, tensor in foreign.items()}
    bank.keys, bank.biases, bank.values = (tensor[:2] for tensor in foreign.values())
    bank.owners = ["a", "b"]
    bank.append("c", *(tensor[0] for tensor in more.values()))
    assert all(torch.equal(foreign[name], kept[name]) for name in kept)
    assert holds(bank, {name: torch.cat([kept[name][:2], more[name]]) for name in kept})


def test_a_copy_grows_on_its_own():
    wanted, more = rows(5), rows(2, seed=1)
    bank = bank_of(wanted)
    twin = copy.deepcopy(bank)
    twin.extend(["a", "b"], **more)
    bank.extend(["a", "b"], **{name: -tensor for name, tensor in more.items()})
    assert holds(twin, {name: torch.cat([wanted[name], more[name]]) for name in wanted})
    assert holds(bank, {name: torch.cat([wanted[name], -more[name]]) for name in wanted})


def test_it_grows_on_after_it_was_converted_loaded_or_filled_without_gradients():
    wanted, more = rows(5), rows(1, seed=1)
    bank, one = bank_of(wanted), [tensor[0] for tensor in more.values()]
    longer = {name: torch.cat([wanted[name], more[name]]) for name in wanted}
    bank.double().append("more", *one)
    assert holds(bank, {name: tensor.double() for name, tensor in longer.items()})
    with torch.inference_mode():
        bank = bank_of(wanted)
    bank.append("more", *one)
    assert holds(bank, longer)
    bank.load_tensors(wanted, list("abcde"))
    bank.append("more", *one)
    assert holds(bank, longer)
    assert holds(bank_of(first(wanted, 0)), first(wanted, 0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_grows_on_after_a_move():
    wanted, more = rows(5), rows(1, seed=1)
    bank = bank_of(wanted).cuda()
    bank.append("more", *(tensor[0] for tensor in more.values()))
    assert bank.keys.is_cuda
    assert holds(bank, {name: torch.cat([wanted[name], more[name]]) for name in wanted})


@pytest.mark.parametrize("delta", [PatchBank(4), Codebook(4, 2)], ids=["patches", "codebook"])
def test_what_fires_is_asked_of_every_python(delta):
    """From Python 3.12 on, a protocol sees what a class has, and no buffer of a module."""
    asked = [name for name in vars(Pieces) if not name.startswith("_")]
    assert {"activations", "without"} <= set(asked)
    assert all(inspect.getattr_static(delta, name, None) is not None for name in asked)
    assert isinstance(delta, Pieces)
