"""NearestBank: the nearest entry acts where it is nearer than the memory's texts are; damaged tensors are refused."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from polypatch.deltas import NearestBank
from polypatch.deltas.nearest_bank import ENTRIES
from polypatch.deltas.nearness import NEIGHBOURS, crowding_among, sorted_in, trace, unit
from polypatch.errors import ArtefactError, InputError

D, GROUPS, LANDMARKS = 6, 2, 40
WEIGHT, SHARE, HOME, WIDTH, SAME, CROWD = 0.5, 0.2, 0.5, 0.05, 0.97, 1.0


def frame(seed=0, count=LANDMARKS):
    """What texts are measured by, drawn at random; the first coordinate says of which group a text is."""
    generator = torch.Generator().manual_seed(seed)
    texts = torch.randn(count, D, generator=generator)
    found = {"centre": torch.randn(D, generator=generator) / 10, "map": torch.randn(D, D, generator=generator)}
    found |= {"sorting": torch.tensor([[1.0, -1.0], *[[0.0, 0.0]] * (D - 1)]), "bias": torch.zeros(GROUPS)}
    landmarks = normalize((texts - found["centre"]) @ found["map"], dim=1)
    found |= {"landmarks": landmarks, "crowding": crowding_among(landmarks), "groups": sorted_in(texts, found)}
    found["kept"] = trace(landmarks[::2])
    return texts, {**found, "numbers": torch.tensor([WEIGHT, SHARE, HOME, WIDTH, SAME, CROWD])}


def bank(entries=5, seed=0):
    texts, tensors = frame(seed)
    made = NearestBank(D)
    made.frame(tensors)
    q, values = torch.randn(2, 20, D, generator=torch.Generator().manual_seed(seed + 100))
    for i in range(entries):
        made.append(f"edit-{i}", q[i], values[i])
    return made, q[:entries], texts


def reference(made, q, out):
    """The formula, text by text, in float64."""
    kept = {name: tensor.double() for name, tensor in made.tensors().items() if tensor.is_floating_point()}

    def crowded(similar):
        return similar.sort(descending=True).values[:NEIGHBOURS].mean()

    among = kept["landmarks"] @ kept["landmarks"].T
    homes = [made.tensors()["homes"].tolist().count(group) for group in range(GROUPS)]
    thresholds = []
    for group in range(GROUPS):
        scores = []
        for j in (made.tensors()["groups"] == group).nonzero().flatten().tolist():
            near = kept["keys"] @ kept["landmarks"][j]
            i = int(near.argmax())
            others = torch.cat([among[j, :j], among[j, j + 1 :]])
            key = crowded(kept["landmarks"] @ kept["keys"][i])
            scores.append(float(near[i] - WEIGHT * key - WEIGHT * crowded(others)))
        share = SHARE * (1 - (1 - HOME) * homes[group] / max(homes))
        thresholds.append(sorted(scores, reverse=True)[int(share * len(scores))])
    at_home = [group for group in range(GROUPS) if homes[group] >= max(homes) / 2]
    mean = sum(thresholds[group] for group in at_home) / len(at_home)
    thresholds = [max(one, mean) if group in at_home else one for group, one in enumerate(thresholds)]
    rows = []
    for row, before in zip(q.double(), out.double(), strict=True):
        u = (row - kept["centre"]) @ kept["map"]
        u = u / u.norm()
        near, beside = kept["keys"] @ u, kept["landmarks"] @ u
        i = int(near.argmax())
        score = near[i] - WEIGHT * crowded(kept["landmarks"] @ kept["keys"][i]) - WEIGHT * crowded(beside)
        a = float(((score - thresholds[int(row[0] < 0)]) / WIDTH).clamp(0, 1))
        a = 1.0 if near[i] > SAME else a
        a = 0.0 if beside.max() > SAME and beside.max() > near[i] + 1e-4 else a
        rows.append(before + a * kept["values"][i])
    return torch.stack(rows)


@pytest.mark.parametrize("seed", range(4))
def test_it_follows_the_formula(seed):
    made, own, texts = bank(seed=seed)
    q = torch.cat([own, texts, torch.randn(60, D, generator=torch.Generator().manual_seed(seed + 7))])
    out = torch.randn(len(q), D, generator=torch.Generator().manual_seed(1))
    got, wanted = made(q, out), reference(made, q, out)
    torch.testing.assert_close(got.double(), wanted, atol=1e-4, rtol=1e-4)
    acts = made.activations(q)
    assert (acts > 0).sum(1).max() == 1
    assert 0 < int((acts.sum(1) > 0).sum()) < len(q)
    assert acts[: len(own)].diagonal().tolist() == [1.0] * len(own)  # an edit's own text


def test_a_text_of_the_memory_stays_as_it_is_and_few_others_move():
    made, _, texts = bank(entries=12)
    out = torch.randn(LANDMARKS, D)
    assert torch.equal(made(texts, out), out)
    everywhere = torch.randn(4000, D, generator=torch.Generator().manual_seed(3))
    assert float((made.activations(everywhere).sum(1) > 0).float().mean()) < 3 * SHARE


def test_more_entries_ask_for_more_nearness():
    thresholds = [bank(entries=n)[0].snapshot()[0]["thresholds"] for n in (2, 20)]
    assert bool((thresholds[1] > thresholds[0]).all())


def test_where_the_edits_are_at_home_less_of_the_memory_is_near_enough():
    made, _, _ = bank(entries=12)
    tensors = made.tensors()
    frames = {name: tensor for name, tensor in tensors.items() if name != "homes"}
    found = []
    for homes in ([0] * 12, [1] * 12, [0, 1] * 6):
        again = NearestBank(D)
        again.load_tensors({**frames, "homes": torch.tensor(homes)}, made.owners)
        found.append(again.snapshot()[0]["thresholds"])
    first, second, both = found
    assert first[0] > second[0]
    assert second[1] > first[1]
    alone = torch.stack([first[0], second[1]])
    assert alone[0] != alone[1]
    torch.testing.assert_close(both, torch.maximum(alone, alone.mean()))  # no lower than their mean, where both are


def test_what_is_cut_out_was_never_there():
    whole, _, _ = bank(entries=6)
    whole.drop(["edit-5", "edit-4"])
    few, q, texts = bank(entries=4)
    assert whole.owners == few.owners
    for name, tensor in few.snapshot()[0].items():
        assert torch.equal(tensor, whole.snapshot()[0][name]), name
    whole.drop(whole.owners)
    assert {name: len(tensor) for name, tensor in whole.tensors().items()} == dict.fromkeys(ENTRIES, 0)
    assert torch.equal(whole(texts, texts), texts)
    again = NearestBank(D)
    again.load_tensors(few.tensors(), few.owners)
    assert torch.equal(again(q, q), few(q, q))


def test_edits_are_taken_over_one_by_one():
    made, q, _ = bank(entries=3)
    taken, parts = NearestBank(D), bank(entries=1)[0].since(0)
    taken.adopt("edit-0", parts)
    later = made.since(1)
    taken.adopt("others", later)
    assert taken.owners == ["edit-0", "others", "others"]
    assert sorted(later) == sorted(ENTRIES)
    assert torch.equal(taken(q, q), made(q, q))
    without = made.without(1)
    assert without.patches == 2
    assert torch.equal(without.snapshot()[0]["thresholds"], made.snapshot()[0]["thresholds"])


def test_it_cannot_be_merged():
    with pytest.raises(InputError, match="cannot be merged"):
        bank()[0].merge_cost(None)


def test_few_entries_have_a_part_of_the_share_each():
    """The tail of the landmarks' scores says how much higher the threshold of so small a share is."""
    made, q, _ = bank(entries=1)
    _, few = frame()
    few["numbers"] = few["numbers"].clone()
    few["numbers"][5] = 100.0
    alone = NearestBank(D)
    alone.frame(few)
    alone.append("edit-0", q[0], torch.ones(D))
    now, before = alone._buffers, made._buffers
    for group in range(GROUPS):
        scores = now["score"][now["groups"] == group].sort(descending=True).values
        excess = float((scores[:11].double() - scores[10]).mean())
        raised = float(now["thresholds"][group] - before["thresholds"][group])
        assert raised == pytest.approx(math.log(100) * excess, rel=1e-4)
    raised = [float(now["thresholds"][0])]
    generator = torch.Generator().manual_seed(1)
    for i in range(1, 100):
        alone.append(f"edit-{i}", torch.randn(D, generator=generator) + torch.eye(D)[0], torch.ones(D))
    alone.drop([f"edit-{i}" for i in range(1, 100)])
    assert float(alone._buffers["thresholds"][0]) == raised[0]
    assert alone(q, torch.zeros(1, D)).abs().sum() > 0  # its own text is its own as ever


def test_an_entry_that_acts_alone_acts_on_its_own_text():
    made, _, _ = bank(entries=0)
    q = torch.randn(2, D, generator=torch.Generator().manual_seed(9))
    q[0, 0] = q[1, 0]  # of one group
    for i, alone in enumerate((True, False)):
        made.append(f"edit-{i}", q[i], torch.ones(D), alone=alone)
    everywhere = torch.randn(4000, D, generator=torch.Generator().manual_seed(3))
    acts = made.activations(torch.cat([q, everywhere]))
    assert torch.equal(acts[:2], torch.eye(2))
    near = (made._buffers["keys"] @ unit(everywhere, made._buffers).T).T > SAME
    assert torch.equal(acts[2:, 0] > 0, near[:, 0])
    assert int((acts[2:, 1] > 0).sum()) > int(near[:, 1].sum())
    made.drop(["edit-0"])
    other, _, _ = bank(entries=0)
    other.append("edit-1", q[1], torch.ones(D))
    assert torch.equal(other._buffers["thresholds"], made._buffers["thresholds"])
    # Of no weight in what is near enough to the other, nor in where the entries' texts are at home.
    other.append("edit-0", q[0], torch.ones(D), alone=True)
    for i in range(3):
        other.append(f"elsewhere-{i}", -q[i % 2], torch.ones(D), alone=True)
    assert int(other._buffers["homes"].unique().numel()) == 2
    assert torch.equal(other._buffers["thresholds"], made._buffers["thresholds"])


@pytest.mark.parametrize("name", ["keys", "homes", "map", "landmarks", "groups", "sorting", "numbers"])
def test_damaged_tensors_are_refused_and_nothing_changes(name):
    made, q, _ = bank()
    before, damaged = made(q, q), made.tensors()
    damaged[name] = damaged[name][:-1]
    with pytest.raises(ArtefactError):
        made.load_tensors(damaged, made.owners)
    missing = {key: tensor for key, tensor in made.tensors().items() if key != name}
    with pytest.raises(ArtefactError, match="entries need"):
        made.load_tensors(missing, made.owners)
    assert torch.equal(made(q, q), before)


@pytest.mark.parametrize("name", ["groups", "homes"])
def test_a_group_that_is_not_there_is_refused(name):
    made, _, _ = bank()
    damaged = made.tensors()
    damaged[name] = damaged[name] + GROUPS
    with pytest.raises(ArtefactError, match="between 0 and 1"):
        made.load_tensors(damaged, made.owners)
