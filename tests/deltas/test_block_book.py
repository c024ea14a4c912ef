"""BlockBook: which block a query chooses, what a block gives against float64, the parts that edits leave, damage."""

import pytest
import torch

from polypatch.deltas import BlockBook
from polypatch.errors import ArtefactError, InputError, UnsupportedModelError
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_model

D, W, R = 32, 64, 2


@pytest.fixture(scope="module")
def site():
    return FeedForwardSite(tiny_model("bert")[0])


def block_of(book, seed, rank=R):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tuple(0.3 * torch.randn(shape, generator=generator) for shape in ((rank, one.given), (one.out, rank)))
        for name, one in book.maps.items()
    }


def at(*xs):
    q = torch.zeros(len(xs), D)
    q[:, 0] = torch.tensor([float(x) for x in xs])
    return q


def made(site):
    """Two clusters: around 1 with points at 0 (block 0) and 2 (block 1), and around 8 with one point (block 2)."""
    book = BlockBook(site, R)
    for i in range(3):
        assert book.add_block(block_of(book, i)) == i
    assert (book.add_cluster(1.5, 0), book.add_cluster(2.0, 1)) == (0, 1)
    for owner, x, cluster, block in (("a", 0, 0, 0), ("b", 2, 0, 1), ("c", 8, 1, 2)):
        book.add_point(owner, at(x)[0], cluster, block)
    return book


def chosen(book, q):
    """The block that acts on each query, by trying: -1 where the output is the unedited one to the bit."""
    with torch.no_grad():
        out = book.site.ffn(q)
        got, found = book(q, out), []
        blocks = [
            {n: (book.get_buffer(f"{n}_a")[i], book.get_buffer(f"{n}_b")[i]) for n in book.maps} for i in range(3)
        ]
        for row in range(len(q)):
            same = [i for i, one in enumerate(blocks) if torch.allclose(got[row], book.through(q, one)[row], atol=1e-5)]
            assert len(same) == (0 if torch.equal(got[row], out[row]) else 1)
            found.append(same[0] if same else -1)
    return found


def test_the_nearest_point_of_the_nearest_cluster_chooses_the_block(site):
    assert chosen(made(site), at(-1, -0.4, 0.9, 1.1, 2.4, 2.6, 5.9, 6.1, 9.9, 10.1)) == [
        -1,
        0,
        0,
        1,
        1,
        -1,
        -1,
        2,
        2,
        -1,
    ]


def test_a_point_that_is_pushed_out_chooses_nothing_and_holds_the_centre(site):
    book = made(site)
    book.add_point("d", at(2.5)[0], 0, 2)  # the centre is at 1.5
    book.resize(0, 1.1)
    assert book.kept.tolist() == [0, 1, 1, 1]
    assert book.nearest(at(1.5)[0]) == (0, 0.0)
    assert chosen(book, at(0.2, 0.5, 2.1, 2.4)) == [-1, 1, 1, 2]


def test_a_block_is_the_layer_with_other_matrices(site):
    """(W₂ + B₂A₂) act((W₁ + B₁A₁) q + b₁) + b₂ in float64."""
    book = BlockBook(site, R)
    block, q = block_of(book, 0), torch.randn(7, D, generator=torch.Generator().manual_seed(1))
    (a1, b1), (a2, b2) = (tuple(factor.double() for factor in block[name]) for name in ("up", "down"))
    up, down = ((m.weight.detach().double(), m.bias.detach().double()) for m in (site.layer.reader, site.layer.writer))
    inner = site.layer.activation(q.double() @ (up[0] + b1 @ a1).T + up[1])
    wanted = inner @ (down[0] + b2 @ a2).T + down[1]
    torch.testing.assert_close(book.through(q, block).detach().double(), wanted, atol=1e-4, rtol=1e-4)


def test_nothing_written_gives_the_very_same_output(site):
    out = torch.randn(2, D)
    assert BlockBook(site)(torch.randn(2, D), out) is out


def test_activations_say_how_deep_in_its_cluster_a_query_lies(site):
    book = made(site)
    found = book.activations(at(1, 2.2, 7, 12))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 0], [0, 0.2, 0], [0, 0, 0.5], [0, 0, 0]]))
    rest = book.without(2)
    assert chosen(rest, at(0, 8)) == [0, -1]
    assert chosen(book, at(0, 8)) == [0, 2]


def test_a_snapshot_brings_back_what_was_resized_and_pushed_out(site):
    book = made(site)
    before, snapshot = book.tensors(), book.snapshot()
    book.resize(0, 0.5)
    book.add_point("more", at(9)[0], 1, book.add_block(block_of(book, 7)))
    book.restore(snapshot)
    assert book.owners == ["a", "b", "c"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in book.tensors().items())
    book.restore(BlockBook(site, R).snapshot())
    assert book.patches == 0


@pytest.mark.parametrize("with_model", [True, False])
def test_what_each_edit_left_makes_the_whole_again(site, with_model):
    book, copy = BlockBook(site, R), BlockBook(site) if with_model else BlockBook(None, hidden_size=D, labels=3)
    for i, (x, cluster, resized) in enumerate([(0, None, None), (2, 0, 1.5), (1, None, 0.6), (9, None, 0.4)]):
        patches, number = book.patches, book.add_block(block_of(book, i))
        book.add_point(f"edit-{i}", at(x)[0], book.add_cluster(1.0, i % 3) if cluster is None else cluster, number)
        if resized is not None:
            book.resize(0, resized)
        left = book.since(patches)
        assert len(left["up_a"]) == len(left["keys"]) == 1  # and not all of them again
        copy.adopt(f"edit-{i}", left)
    assert copy.owners == book.owners
    assert all(torch.equal(tensor, copy.tensors()[name]) for name, tensor in book.tensors().items())


def test_neither_cut_out_nor_merged_nor_for_experts(site):
    book = made(site)
    with pytest.raises(InputError, match=r"a: .* makes the other edits again"):
        book.drop(["a"])
    for refused in (book.merged, book.merge_cost):
        with pytest.raises(InputError, match="blocks that queries choose cannot be merged"):
            refused(None)
    with pytest.raises(InputError, match="without their model"):
        BlockBook(None).site  # noqa: B018
    with pytest.raises(UnsupportedModelError, match="layers without experts"):
        BlockBook(FeedForwardSite(tiny_model("mixtral")[0]))


DAMAGED = {
    "missing": ({"radii": None}, "a book of blocks needs the tensors"),
    "one more": ({"values": torch.zeros(3, D)}, "a book of blocks needs the tensors"),
    "another width": ({"up_a": torch.zeros(3, R, D + 1)}, r"up_a should be float32 or float64 \(3, 2, 32\)"),
    "another rank": ({"down_b": torch.zeros(3, D, R + 1)}, r"down_b should be float32 or float64 \(3, 32, 2\)"),
    "another length": ({"kept": torch.zeros(2, dtype=torch.long)}, r"kept should be int64 \(3,\)"),
    "another type": ({"blocks": torch.zeros(3)}, "blocks should be int64"),
    "not finite": ({"down_a": torch.full((3, R, W), float("nan"))}, "down_a holds numbers that are not finite"),
    "a radius of nothing": ({"radii": torch.tensor([1.0, 0.0])}, "radii holds numbers that are not above 0"),
    "a block too many": ({"blocks": torch.tensor([0, 1, 3])}, "blocks holds numbers that are not between 0 and 2"),
    "a cluster below": ({"clusters": torch.tensor([-1, 0, 1])}, "clusters holds numbers that are not between 0 and 1"),
    "neither kept nor not": ({"kept": torch.tensor([0, 1, 2])}, "kept holds numbers that are not between 0 and 1"),
    "a class too many": ({"classes": torch.tensor([0, 3])}, "classes holds numbers that are not between 0 and 2"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(site, name):
    change, said = DAMAGED[name]
    book, fresh = made(site), BlockBook(site, 5)
    tensors = {key: tensor for key, tensor in {**book.tensors(), **change}.items() if tensor is not None}
    for load in (lambda: fresh.load_tensors(tensors, book.owners), lambda: fresh.adopt("edit", tensors)):
        with pytest.raises(ArtefactError, match=said):
            load()
    assert fresh.owners == []
