"""Language models: sessions and saves that are killed, and folders of edits that are damaged."""

import json
import random
import shutil
from collections import Counter

import pytest

import polypatch as pp
from polypatch.editors import DiscriminantPatch
from polypatch.errors import PolypatchError
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_texts
from polypatch.testing.bits import Photograph, same_tensors
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits

from .running import Forked, dying_after, dying_at, seeded
from .test_fuzz_artefacts import CONFIG, IN_BYTES, contents, damaged_fields, sealed

EDITS = speaking_edits(4, ("en", "de"))
MEMORY = {"en": tiny_texts(6), "de": tiny_texts(6, seed=1)}
ENCODING = pp.Encoding(most=4)
RULES = pp.Rules(keep_failed=True)
FEW = DiscriminantPatch(shrinkages=(0.03, 0.003), places=(0.6,), tolerance=1, max_steps=10)
RECIPE = Recipe(FEW, AllLanguages(), Trigger.ANY)


@pytest.fixture(scope="module")
def speaks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")  # threads do not survive a fork
        yield speaker()


@pytest.fixture
def attached(speaks):
    how = {"recipe": RECIPE, "memory": MEMORY, "rules": RULES, "encoding": ENCODING}
    edited = pp.attach(speaks[0], tokenizer=speaks[1], **how)
    yield edited
    edited.unload()


def session(edited, folder):
    def work():
        with pp.Session(folder, edited) as one:
            one.edit(EDITS)

    return work


def saved(folder):
    """What a folder of edits holds, without times."""
    found = read_artefact(folder)
    records = [(record.edit, record.outcome.timeless(), bool(record.reverted)) for record in found.records]
    return records, found.owners, {name: tensor.numpy().tobytes() for name, tensor in found.tensors.items()}


@pytest.mark.slow
def test_killed_sessions_end_like_uninterrupted_ones(attached, tmp_path):
    """At a moment or at an operation on a file, twice or so each; every process goes on with the edits of the last."""
    seconds, kills, number = Forked(session(attached, tmp_path / "whole")).finished(), 0, 0
    wanted = saved(tmp_path / "whole")
    assert sum(outcome.patches for outcome in read_artefact(tmp_path / "whole").outcomes) >= 4
    while kills < 8:
        folder, rng, hit = tmp_path / f"{number}" / "edits", seeded("sessions", number), True
        folder.parent.mkdir()
        while hit:
            dying = rng.choice([dying_after(rng.uniform(0, seconds)), dying_at(rng.randint(1, 30), folder.parent)])
            hit = rng.random() < 0.7 and Forked(session(attached, folder), dying).killed()
            kills += hit
        Forked(session(attached, folder)).finished()
        assert saved(folder) == wanted
        assert [path.name for path in folder.parent.iterdir()] == ["edits"]
        number += 1
        assert number < 100, "hardly any kill comes in time"


def test_a_save_that_is_killed_leaves_the_old_edits_or_the_new_ones(attached, tmp_path):
    folder, old, new = tmp_path / "edits", tmp_path / "old", tmp_path / "new"
    attached.edit(EDITS[:2])
    attached.save_pretrained(old)
    attached.edit(EDITS[2:])
    attached.save_pretrained(new)
    states, tally = {"old": saved(old), "new": saved(new)}, Counter()
    for number in range(1, 200):
        shutil.copytree(old, folder)
        hit = Forked(lambda: attached.save_pretrained(folder), dying_at(number, tmp_path)).killed()
        found = saved(folder)
        tally[next(name for name, one in states.items() if one == found)] += 1
        if not hit:
            break
        attached.save_pretrained(folder)
        assert saved(folder) == states["new"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["edits", "new", "old"]
        shutil.rmtree(folder)
    assert found == states["new"]
    assert tally["old"] > 5


def damaged(files, rng):
    """A file with other bytes; or settings that say something else and have checksums that fit."""
    if rng.random() < 0.4:
        name = rng.choice(sorted(set(files) - {"README.md"}))
        raw = bytearray(files[name])
        rng.choice(IN_BYTES)(raw, rng)
        return {**files, name: bytes(raw)}, False
    config = json.loads(files[CONFIG])
    asked = {name: config["settings"].pop(name) for name in ("readout", "most", "chat")}
    damaged_fields(asked, rng)
    config["settings"].update(asked)
    return sealed(files, config), True


def test_damaged_edits_are_refused_or_load_as_they_were(attached, tmp_path):
    """Whatever happens nothing stays in the model; what a forged folder asks for can be asked."""
    attached.edit(EDITS[:2])
    files = contents(attached.save_pretrained(tmp_path / "edits"))
    tensors = {name: tensor.clone() for name, tensor in attached.delta.tensors().items()}
    attached.unload()
    model, tokenizer, folder, tally = attached.model, attached.tokenizer, tmp_path / "damaged", Counter()
    as_it_was = Photograph.of(model)
    for seed in range(60):
        broken, forged = damaged(files, random.Random(f"speaker {seed}"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, raw in broken.items():
            (folder / name).write_bytes(raw)
        try:
            edited = pp.EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
            tally["loaded", forged] += 1
            assert same_tensors(edited.delta.tensors(), tensors)
            assert edited.predict("en ba be") is not None
            edited.unload()
        except PolypatchError:
            tally["refused", forged] += 1
        as_it_was.compare(model, f"after damage {seed}")
    assert tally["refused", False] > 10
    assert tally["refused", True] > 10
    assert tally["loaded", True] > 2
