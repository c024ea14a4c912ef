"""Loudest is exact: whatever the memory and however the key moves, its activations are the brute-force ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polypatch.editors import MemoryRows, loudest
from polypatch.editors.leading import COUNT, leading
from polypatch.editors.losses import memory_loss
from polypatch.editors.loudest import Loudest


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """The shortest shortlist there may be: a small memory would be read whole, and nothing put to the test."""
    monkeypatch.setattr(loudest, "SHORTLIST", 1)


def memory_of(rows, counts=None):
    table = MemoryRows(["text"] * len(rows), rows)
    if counts is not None:
        table.counts[:] = counts
    return table


def brute(table, key, bias, top):
    h = (table.rows.double() @ key.double()).repeat_interleave(table.counts)
    return h.sort(descending=True).values[:top] + bias.double()


def activations(found, key):
    return found.activations(key, torch.zeros(()))


def agrees(got, wanted):
    torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-4)


@st.composite
def walks(draw):
    """A memory with multiplicities and clusters, and a key that walks in small, large and no steps."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, width, top = draw(st.integers(1, 300)), draw(st.integers(1, 8)), draw(st.integers(1, 60))
    centre = draw(st.sampled_from([0.0, 1.0, 30.0])) * torch.randn(width, generator=generator)
    q = centre + torch.randn(rows, width, generator=generator) * draw(st.sampled_from([1e-3, 1.0, 10.0]))
    counts = torch.randint(1, draw(st.integers(2, 10)), (rows,), generator=generator)
    key = torch.randn(width, generator=generator)
    scales = draw(st.lists(st.sampled_from([0.0, 1e-4, 1e-2, 0.3, 5.0]), min_size=1, max_size=25))
    keys = [key]
    for scale in scales:
        keys.append(keys[-1] + scale * torch.randn(width, generator=generator))
    return memory_of(q, counts), keys, top


@given(walks())
def test_activations_are_the_brute_force_ones_at_every_step(walk):
    table, keys, top = walk
    found = Loudest(table, top)
    for step, key in enumerate(keys):
        bias = torch.tensor(0.1 * step)
        h = found.activations(key, bias)
        wanted = brute(table, key, bias, top)
        assert len(h) == min(top, int(table.counts.sum()))
        assert (h[:-1] >= h[1:]).all()
        agrees(h, wanted)
    assert found.full_passes <= len(keys)


@settings(max_examples=25)
@given(walks(), st.integers(1, 12), st.integers(0, 99))
def test_the_loss_of_the_rows_found_is_the_loss_of_all(walk, batch, seed):
    """Told the edit's own activations, it leaves out rows that can be in no pair that counts, and no other."""
    table, keys, top = walk
    found = Loudest(table, top)
    edit = torch.randn(batch, table.rows.shape[1], generator=torch.Generator().manual_seed(seed))
    for key in keys:
        # Small numbers, so that exp() shows the difference of a row and not only of rounding.
        key, bias = key / (1 + 10 * key.norm()), torch.tensor(0.1)
        z = edit @ key + bias
        h = found.activations(key, bias, z)
        every = brute(table, key, bias, int(table.counts.sum()))
        pairs, stacked = (every[:, None] - z.double()).flatten(), every.repeat(batch)
        wanted = sum((x.sort(descending=True).values[:top] + 3).exp().mean() for x in (pairs, stacked))
        torch.testing.assert_close(memory_loss(h, z, top).double(), wanted, rtol=1e-4, atol=1e-4)


def test_small_steps_read_the_memory_once():
    """The point of it all: a walk of tiny steps makes one full pass, and is exact on the way."""
    generator = torch.Generator().manual_seed(0)
    table = memory_of(torch.randn(3000, 32, generator=generator))
    found, key = Loudest(table, 50), torch.randn(32, generator=generator)
    for _ in range(40):
        key = key + 1e-4 * torch.randn(32, generator=generator)
        agrees(found.activations(key, torch.zeros(())), brute(table, key, torch.zeros(()), 50))
    assert found.full_passes < 40 / 4


def test_a_large_step_reads_it_again():
    """A key that turns away needs another pass: the shortlist of before holds none of the found."""
    generator = torch.Generator().manual_seed(0)
    table = memory_of(torch.randn(3000, 32, generator=generator))
    found, key = Loudest(table, 50), torch.randn(32, generator=generator)
    found.activations(key, torch.zeros(()))
    away = torch.randn(32, generator=generator)
    agrees(found.activations(away, torch.zeros(())), brute(table, away, torch.zeros(()), 50))
    assert found.full_passes == 2


def test_a_direction_is_read_once():
    """Turned round or stretched, a key lies along what was read already: another shortlist, but no other pass."""
    generator = torch.Generator().manual_seed(0)
    table = memory_of(torch.randn(3000, 32, generator=generator))
    found, key = Loudest(table, 50), torch.randn(32, generator=generator)
    for scale in (1.0, -1.0, 0.0, 7.0):
        agrees(found.activations(scale * key, torch.zeros(())), brute(table, scale * key, torch.zeros(()), 50))
    assert found.full_passes == 1


def test_a_memory_along_few_directions_is_read_along_none(monkeypatch):
    """Whatever way the key goes: what it has beside those directions, no row hears."""
    monkeypatch.setattr(loudest, "SHORTLIST", 500)
    generator = torch.Generator().manual_seed(0)
    table = memory_of(torch.randn(3000, 8, generator=generator) @ torch.randn(8, 64, generator=generator))
    found, key = Loudest(table, 50), torch.randn(64, generator=generator)
    for _ in range(20):
        key = key + torch.randn(64, generator=generator)
        agrees(activations(found, key), brute(table, key, torch.zeros(()), 50))
    assert found.full_passes == 0


@pytest.mark.parametrize(("rows", "width"), [(5, 60), (900, 60), (5000, 60), (5000, 6), (1, 1)])
@pytest.mark.parametrize("scale", [1.0, 0.0, 1e-6])
def test_leading_directions_are_orthonormal(rows, width, scale):
    """Of all sorts of rows, equal ones and zeros too; else their bound would be none."""
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(width, generator=generator) * (scale > 0) + scale * torch.randn(rows, width, generator=generator)
    basis, components = leading(q)
    assert len(basis) == min(rows, width, len(basis)) <= COUNT
    torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(components, basis @ q.T)


def test_leading_directions_of_clusters_hold_most_of_every_row():
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(3000, 10, generator=generator) @ torch.randn(10, 200, generator=generator)
    q += 0.01 * torch.randn(3000, 200, generator=generator)
    assert (leading(q).components.norm(dim=0) > 0.99 * q.norm(dim=1)).all()


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, 1e30])
def test_a_row_without_a_length_does_not_hide_the_others(broken):
    """No direction is taken from it; and a NaN comes up, where the training can see it."""
    q = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    q[0] = broken
    assert not len(leading(q).basis)
    h = activations(Loudest(memory_of(q), 5), torch.ones(4))
    assert not h.isfinite().all() or h.max() > 1e29


def test_one_outlier_far_from_all_is_not_missed():
    """The bound uses the farthest row: a lone loud direction must come up as soon as the key turns to it."""
    rows = torch.zeros(500, 4)
    rows[:, 0] = torch.linspace(1, 2, 500)
    rows[250] = torch.tensor([0.0, 100.0, 0.0, 0.0])
    found = Loudest(memory_of(rows), 5)
    for turn in torch.linspace(0, 0.2, 60):
        key = torch.tensor([1.0, float(turn), 0.0, 0.0])
        agrees(found.activations(key, torch.zeros(())), brute(memory_of(rows), key, torch.zeros(()), 5))


@pytest.mark.parametrize("looked", ["before", "between"])
def test_rows_that_replaced_others_count_in_the_bound(looked):
    """Rows cut off and replaced by others (a retry) are other rows: nothing remembered of the old ones may be used."""
    generator = torch.Generator().manual_seed(0)
    table = memory_of(0.01 * torch.randn(400, 4, generator=generator))
    Loudest(table, 5)
    table.append(["old"] * 4, 0.01 * torch.randn(4, 4, generator=generator), 8)
    if looked == "between":
        Loudest(table, 5)
    table.cut(400)
    far = torch.zeros(4, 4)
    far[:, 1] = 50.0
    table.append(["new"] * 4, far, 8)
    found = Loudest(table, 5)
    for turn in torch.linspace(-0.01, 0.01, 60):
        key = torch.tensor([1.0, float(turn), 0.0, 0.0])
        agrees(found.activations(key, torch.zeros(())), brute(table, key, torch.zeros(()), 5))


@given(st.integers(1, 30), st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_memory_rows_grow_and_shrink_like_a_list(start, sizes):
    """append and cut against plain lists."""
    generator = torch.Generator().manual_seed(start)
    rows = torch.randn(start, 3, generator=generator)
    table, wanted, counts = MemoryRows([str(i) for i in range(start)], rows), [*rows], [1] * start
    texts = [str(i) for i in range(start)]
    for size in sizes:
        if size % 4 == 0 and len(wanted) > size:
            table.cut(len(wanted) - size)
            del wanted[-size:], counts[-size:], texts[-size:]
            continue
        more = torch.randn(size, 3, generator=generator)
        table.append([f"n{size}"] * size, more, size)
        wanted, counts, texts = [*wanted, *more], counts + [size] * size, texts + [f"n{size}"] * size
    assert torch.equal(table.rows, torch.stack(wanted))
    assert table.counts.tolist() == counts
    assert table.asked == texts
    torch.testing.assert_close(table.lengths, table.rows.norm(dim=1))
