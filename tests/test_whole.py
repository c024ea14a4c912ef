"""An edit that is broken off, wherever that is, leaves nothing behind: not in the model, the memory or the history."""

import copy
import dataclasses

import pytest
import torch

import polypatch as pp
from polypatch.editors import (
    GRACE,
    MEMIT,
    DiscriminantPatch,
    FineTuning,
    LoRA,
    NearestPatch,
    SimIE,
    TPatcher,
    UltraEdit,
)
from polypatch.editors.moments import Moments
from polypatch.errors import ArtefactError, EditError, PolypatchError
from polypatch.model import step, stream
from polypatch.model.guard import Guard, Watchman
from polypatch.model.step import Attempt
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors
from polypatch.triggers import Trigger

EDITS, MEMORY = tiny_edits(4), tiny_texts(30, seed=1)
SHORT = {"max_steps": 10, "views": 0}
EDITORS = {
    "discriminant": DiscriminantPatch(),
    "patcher": TPatcher(first_validation=2, validate_every=2, **SHORT),
    "weights": FineTuning(learning_rate=3e-3, **SHORT),
    "adapter": LoRA(learning_rate=3e-3, **SHORT),
    "codebook": GRACE(),
    "factors": MEMIT(),
    "gradient-factors": UltraEdit(),
    "ridge-factors": SimIE(),
    "nearest": NearestPatch(),
}


def attached(editor="discriminant"):
    model, tokenizer = tiny_model("bert", layers=1)
    recipe = Recipe(EDITORS[editor], AllLanguages(), Trigger.ALWAYS)
    return pp.attach(model, tokenizer=tokenizer, recipe=recipe, memory=MEMORY)


def everything(edited):
    """All that an edit may touch, as plain data; tensors as lists, so that bits count."""
    rows = [
        (list(part.asked), part.rows.tolist(), part.counts.tolist())
        for part in (edited.memory.train, edited.memory.validation)
    ]
    named = [getattr(edited, name) for name in ("recipe", "rules", "report", "sampled_languages")]
    tensors = {name: tensor.tolist() for name, tensor in edited.delta.tensors().items()}
    history = list(edited.records.items()), list(edited.trajectory), copy.deepcopy(edited.config)
    return rows, named, tensors, history, list(edited.delta.owners)


def breaking(method, error, calls=1, after=True):
    """`method`, which raises at its so many-th call, before or after it has done its work."""
    count = iter(range(1, 1000))

    def broken(*arguments, **keywords):
        last = next(count) == calls
        if last and not after:
            raise error
        found = method(*arguments, **keywords)
        if last:
            raise error
        return found

    return broken


PLACES = {
    "learned": (Attempt, "_learn"),
    "judged": (Attempt, "_judged"),
    "remembered": (step, "remember"),
    "watched": (Watchman, "drop"),
    "settled": (Watchman, "settle"),
    "told": (Attempt, "_outcome"),
    "written down": (stream, "edits_inside"),
    "measured": (stream, "_measure"),
}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("on purpose")], ids=["Ctrl-C", "error"])
@pytest.mark.parametrize("place", PLACES)
def test_an_edit_that_is_broken_off_was_never_made(place, error, monkeypatch, tmp_path):
    edited = attached()
    rules = pp.Rules(keep_failed=True, guard=Guard(tiny_texts(5, seed=3), 100.0), watch=pp.Watch(every=1))
    assert [outcome.edit_id for outcome in pp.edit_stream(edited, EDITS[:1])] == [EDITS[0].id]
    before = everything(edited)
    with monkeypatch.context() as patched:
        patched.setattr(*PLACES[place], breaking(getattr(*PLACES[place]), error))
        with pytest.raises(type(error)):
            list(pp.edit_stream(edited, EDITS[1:3], rules=rules))
    assert everything(edited) == before
    with pytest.raises(EditError, match="no edit is called"):
        edited.revert(EDITS[1].id)
    folder = edited.save_pretrained(tmp_path / "edits")
    undisturbed = attached()
    for one in (edited, undisturbed):
        list(pp.edit_stream(one, [edit for edit in EDITS[:3] if edit.id not in one.records]))
    assert same_tensors(edited.delta.tensors(), undisturbed.delta.tensors())
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(folder, model=edited.model, tokenizer=edited.tokenizer)
    assert list(loaded.records) == [EDITS[0].id]


@pytest.mark.parametrize("editor", EDITORS)
def test_every_kind_of_change_goes_back(editor, monkeypatch):
    edited = attached(editor)
    list(pp.edit_stream(edited, EDITS[:1], rules=pp.Rules(keep_failed=True)))
    before, answers = everything(edited), edited.probabilities(MEMORY)
    monkeypatch.setattr(Attempt, "_learn", breaking(Attempt._learn, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(pp.edit_stream(edited, EDITS[1:2]))
    assert everything(edited) == before
    assert torch.equal(edited.probabilities(MEMORY), answers)


@pytest.mark.parametrize("end", ["closed", "thrown at", "forgotten"])
def test_a_stream_that_is_left_keeps_what_it_has_given(end):
    edited, whole = attached(), attached()
    list(pp.edit_stream(whole, EDITS[:2]))
    outcomes = pp.edit_stream(edited, EDITS)
    given = [next(outcomes), next(outcomes)]
    if end == "closed":
        outcomes.close()
    elif end == "thrown at":
        with pytest.raises(KeyboardInterrupt):
            outcomes.throw(KeyboardInterrupt())
    del outcomes
    assert list(edited.outcomes.values()) == given
    assert same_tensors(edited.delta.tensors(), whole.delta.tensors())
    assert edited.sampled_languages == whole.sampled_languages
    edited.revert(given[0].edit_id)  # nobody holds the lock


@pytest.mark.parametrize("editor", ["discriminant", "codebook"])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_revert_that_is_broken_off_was_never_asked_for(editor, calls, monkeypatch):
    """Also where the memory was emptied and half filled anew."""
    edited = attached(editor)
    list(pp.edit_stream(edited, EDITS, rules=pp.Rules(keep_failed=True)))
    before = everything(edited)
    place = (stream, "remember_one") if editor == "discriminant" else (Attempt, "_learn")
    monkeypatch.setattr(*place, breaking(getattr(*place), KeyboardInterrupt(), calls))
    with pytest.raises(KeyboardInterrupt):
        edited.revert(EDITS[0].id)
    assert everything(edited) == before


def test_adopting_what_does_not_fit_changes_nothing():
    edited, other = attached(), attached()
    list(pp.edit_stream(other, EDITS[:1], rules=pp.Rules(keep_failed=True)))
    before = everything(edited)
    record = other.records[EDITS[0].id]
    with pytest.raises(ArtefactError):
        edited.adopt(record, {"keys": torch.zeros(1, 3)}, None)
    strange = dataclasses.replace(record, outcome=dataclasses.replace(record.outcome, languages=("xx",)))
    with pytest.raises(PolypatchError):  # its tensors fit, its texts do not
        edited.adopt(strange, other.delta.since(0), None)
    assert everything(edited) == before


def test_refused_edits_leave_the_settings_alone():
    edited = attached()
    before = everything(edited)
    with pytest.raises(EditError):
        list(pp.edit_stream(edited, [EDITS[0], EDITS[0]], rules=pp.Rules(retries=3, languages=["de"])))
    assert everything(edited) == before


def test_the_memory_s_moments_follow_a_revert():
    """As many rows as before, but other ones: what was added up before must not pass for them."""
    edited = attached()
    list(pp.edit_stream(edited, EDITS, rules=pp.Rules(keep_failed=True)))
    edited.revert(EDITS[0].id)
    rows = edited.memory.train
    for got, wanted in zip(rows.moments.of(rows), Moments(rows).of(rows), strict=True):
        assert torch.equal(got, wanted)
