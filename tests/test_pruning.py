"""Pruning: needless patches go, those of one answer are merged, and nothing protected notices."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polypatch.api import attach, edit
from polypatch.data.memory import MemoryTexts
from polypatch.deltas import PatchBank
from polypatch.edited_model import EditedModel
from polypatch.editors import DiscriminantPatch, FineTuning, TPatcher
from polypatch.edits import Edit
from polypatch.errors import EditError, InputError, TailMismatchError
from polypatch.model import prune as pruning
from polypatch.model.encoding import Encoding
from polypatch.model.guard import Guard
from polypatch.model.kept_rows import Protected
from polypatch.model.rules import Rules
from polypatch.model.stream import examples_of
from polypatch.outcomes import short_of_neurons
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages, SourcePlusRandom
from polypatch.store.artefact import read_artefact
from polypatch.store.cut import without
from polypatch.testing import tiny_edits, tiny_texts
from polypatch.testing.bits import same_bits, same_tensors
from polypatch.triggers import Trigger

OWN = Recipe(DiscriminantPatch(), AllLanguages(), Trigger.ANY)
LOUD = Recipe(
    TPatcher(max_steps=40, first_validation=10, validate_every=5, views=0, learning_rate=0.1),
    SourcePlusRandom(k=1),
    Trigger.ALWAYS,
)
MEMORY = tiny_texts(60, seed=7)
EDITS = tiny_edits(12)


@pytest.fixture
def made(tiny):
    """Makes an edited tiny model; taken off again in the end."""
    there = []

    def make(recipe=OWN, edits=EDITS, memory=MEMORY, **options):
        model, tokenizer = tiny("bert")
        for one in there:
            one.unload()
        there.append(edit(model, edits, tokenizer=tokenizer, recipe=recipe, memory=memory, **options))
        return there[-1]

    yield make
    there[-1].unload()


def right(edited):
    """(edit id, language) of every text of an edit that the model itself answers right."""
    found = set()
    for name, record in edited.records.items():
        for one in examples_of(edited, edited.recipe, record):
            if edited.predict(one.text) == one.target:
                found.add((name, one.lang))
    return found


def answers(edited):
    kept = {*edited.memory.train.asked, *edited.memory.validation.asked}  # a tenth is held out
    return edited.predict([text for text in MEMORY if edited.readout.rows([text])[0] in kept])


@pytest.mark.parametrize("recipe", [OWN, LOUD], ids=["own", "t-patcher"])
def test_no_protected_row_notices(made, recipe):
    """As the model itself says, and not the tail."""
    edited = made(recipe, rules=Rules(keep_failed=True))
    held, kept = right(edited), answers(edited)
    with edited.disabled():
        plain = answers(edited)
    pruned = edited.prune()
    assert (pruned.before, pruned.after) == (len(edited.delta.owners) + pruned.dropped + pruned.merged, edited.patches)
    assert pruned.after < pruned.before
    assert pruned.changed == 0
    assert held <= right(edited)
    assert all(now in (was, first) for now, was, first in zip(answers(edited), kept, plain, strict=True))
    assert edited.report is None
    assert edited.config["pruned"] == {"max_changed": 0, "patches": pruned.before}


def test_a_second_time_finds_nothing(made):
    edited = made()
    edited.prune()
    tensors, owners = edited.delta.tensors(), list(edited.delta.owners)
    again = edited.prune()
    assert (again.dropped, again.merged) == (0, 0)
    assert same_tensors(edited.delta.tensors(), tensors)
    assert edited.delta.owners == owners


def test_the_same_every_time(made):
    found = []
    for _ in range(2):
        edited = made()
        edited.prune()
        found.append((edited.delta.tensors(), list(edited.delta.owners)))
    assert same_tensors(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_the_needless_neuron_goes_and_the_needed_one_stays(made, monkeypatch):
    """A neuron that never fires, a copy of one at no strength, and the neurons as they were."""
    monkeypatch.setattr(pruning, "FAILURES", 0)  # nothing is merged
    edited = made(edits=EDITS[:3])
    edited.prune()
    bank = edited.delta
    needed, owners = bank.tensors(), list(bank.owners)
    assert needed["keys"].shape[0] > 0
    bank.append("nobody", torch.zeros(32), torch.tensor(-50.0), torch.ones(32))
    bank.append("nobody", bank.keys[0], bank.biases[0], torch.zeros(32))
    pruned = edited.prune()
    assert (pruned.dropped, pruned.merged) == (2, 0)
    assert same_tensors(bank.tensors(), needed)
    assert bank.owners == owners


def test_two_neurons_of_one_text_become_one(made):
    """The same correction at half strength twice: neither can go alone, one can stand for both."""
    edited = made(edits=EDITS[:1])
    bank = edited.delta
    tensors = {name: tensor.clone() for name, tensor in bank.tensors().items()}
    assert len(tensors["biases"]) > 0
    margin = 0.5 * tensors["values"]
    halves = {**tensors, "values": margin}
    both = {name: torch.cat([halves[name], halves[name]]) for name in tensors}
    bank.load_tensors(both, [*bank.owners, *bank.owners])
    held = right(edited)
    pruned = edited.prune()
    assert pruned.after <= len(tensors["biases"])
    assert pruned.merged + pruned.dropped > 0
    assert held <= right(edited)


def test_disabled_is_the_unedited_model(made, tiny):
    edited = made()
    with edited.disabled():
        plain = edited.probabilities(MEMORY)
    edited.prune()
    with edited.disabled():
        assert same_bits(edited.probabilities(MEMORY), plain)


def test_saved_and_loaded(made, tmp_path):
    edited = made()
    edited.prune()
    edited.save_pretrained(tmp_path / "edits")
    logits, records = edited.probabilities(MEMORY), edited.records
    model, tokenizer = edited.unload(), edited.tokenizer
    loaded = EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer, memory=MEMORY)
    try:
        assert same_bits(loaded.probabilities(MEMORY), logits)
        assert loaded.records == records
        assert loaded.prune().after == loaded.patches
    finally:
        loaded.unload()


@settings(max_examples=4)
@given(st.permutations(range(len(EDITS))), st.integers(1, len(EDITS)))
def test_reverting_takes_one_and_leaves_the_others(tiny, order, count):
    """What others lose by it is made again; after the last the model is the unedited one."""
    model, tokenizer = tiny("bert")
    edited = edit(model, EDITS, tokenizer=tokenizer, recipe=OWN, memory=MEMORY)
    try:
        edited.prune()
        for place in order[:count]:
            held = right(edited)
            edited.revert(EDITS[place].id)
            assert EDITS[place].id not in edited.outcomes
            failed = {name for name, outcome in edited.outcomes.items() if outcome.status == "taken back"}
            assert {one for one in held if one[0] not in {EDITS[place].id, *failed}} <= right(edited)
        if count == len(EDITS):
            assert edited.patches == 0
    finally:
        edited.unload()


def test_an_edit_that_rests_on_another_is_reverted_too(made):
    """Its own neuron is gone, but what holds it goes, and the one that lost that is made again."""
    edited = made()
    before = {name: outcome.patches for name, outcome in edited.outcomes.items()}
    edited.prune()
    loose = short_of_neurons(edited.records.values(), edited.delta.owners)
    assert loose
    name = sorted(loose)[0]
    asked = next(one for one in EDITS if one.id == name)
    wrong = [lang for lang in asked.languages if edited.records[name].outcome.triggered]
    held = right(edited)
    edited.revert(name)
    assert before[name] > 0
    assert len([one for one in right(edited) if one[0] == name]) == 0  # a reverted edit stands for nothing
    assert any(edited.predict(asked.prompt[lang]) != asked.target_in(lang) for lang in wrong)
    assert {one for one in held if one[0] != name} <= right(edited)


def test_reverting_without_the_memory_is_refused_and_changes_nothing(made, tmp_path):
    edited = made()
    edited.prune()
    edited.save_pretrained(tmp_path / "edits", memory=None)
    model, tokenizer = edited.unload(), edited.tokenizer
    loaded = EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    try:
        tensors, records = loaded.delta.tensors(), dict(loaded.records)
        loose = sorted(short_of_neurons(loaded.records.values(), loaded.delta.owners))
        assert loose
        with pytest.raises(InputError, match="without its memory"):
            loaded.revert(loose[0])
        assert same_tensors(loaded.delta.tensors(), tensors)
        assert loaded.records == records
        with pytest.raises(InputError, match="without its memory"):
            loaded.prune()
        loaded.revert(list(loaded.outcomes))
        assert loaded.patches == 0
    finally:
        loaded.unload()


def test_a_folder_of_pruned_edits_cannot_be_cut_without_the_model(made, tmp_path):
    edited = made()
    edited.prune()
    whole = read_artefact(edited.save_pretrained(tmp_path / "edits"))
    with pytest.raises(InputError, match="pruned"):
        without(whole, [EDITS[0].id], "2026-01-01T00:00:00+00:00")
    none = without(whole, [edit.id for edit in EDITS], "2026-01-01T00:00:00+00:00")
    assert none.owners == ()


def test_wrong_names_are_still_errors(made):
    edited = made()
    edited.prune()
    tensors = edited.delta.tensors()
    with pytest.raises(EditError, match="no edit is called"):
        edited.revert("gone")
    assert same_tensors(edited.delta.tensors(), tensors)


def test_edits_go_on_after_it(made):
    edited = made(edits=EDITS[:8])
    edited.prune()
    held = right(edited)
    edited.edit(EDITS[8:])
    assert held <= right(edited)
    assert len(edited.outcomes) == len(EDITS)


def test_under_a_guard(made):
    edited = made(rules=Rules(guard=Guard(tiny_texts(9, seed=3), 100.0)))
    edited.prune()
    name = sorted(short_of_neurons(edited.records.values(), edited.delta.owners))[0]
    rules, edited.rules = edited.rules, replace(edited.rules, guard=None)
    tensors = edited.delta.tensors()
    with pytest.raises(InputError, match="guard"):
        edited.revert(name)
    assert same_tensors(edited.delta.tensors(), tensors)
    edited.rules = rules
    edited.revert(name)
    assert name not in edited.outcomes


def test_max_changed_lets_more_go(made):
    strict = made(LOUD, rules=Rules(keep_failed=True)).prune()
    edited = made(LOUD, rules=Rules(keep_failed=True))
    free = edited.prune(max_changed=len(MEMORY))
    assert free.after <= strict.after
    assert 0 <= free.changed <= len(MEMORY)
    assert edited.prune().changed == 0


def test_what_cannot_be_pruned(made, tiny):
    edited = made()
    with pytest.raises(InputError, match="max_changed"):
        edited.prune(max_changed=-1)
    edited.recipe = None
    with pytest.raises(InputError, match="recipe"):
        edited.prune()
    tuned = made(
        Recipe(FineTuning(max_steps=2, views=0), trigger=Trigger.ALWAYS), EDITS[:1], rules=Rules(keep_failed=True)
    )
    with pytest.raises(InputError, match="changed weights"):
        tuned.prune()
    exact = made(LOUD, EDITS[:1], rules=Rules(keep_failed=True), encoding=Encoding(exact=True))
    with pytest.raises(InputError, match="exact"):
        exact.prune()


def test_without_edits_or_memory(made, tiny):
    edited = made(edits=EDITS[:4], memory=MemoryTexts())
    assert edited.prune().rows == sum(len(edit.languages) for edit in EDITS[:4])
    edited.unload()
    model, tokenizer = tiny("bert")
    empty = attach(model, tokenizer=tokenizer, recipe=OWN, memory=MEMORY)
    pruned = empty.prune()
    empty.unload()
    assert (pruned.before, pruned.after, pruned.rows) == (0, 0, 54)  # of 60 texts a tenth is held out


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_stopped_half_way_it_leaves_the_patches_as_they_were(made, error):
    edited = made()
    tensors, owners = edited.delta.tensors(), list(edited.delta.owners)

    def stop(done, total, left):
        if left < total:
            raise error

    with pytest.raises(error):
        edited.prune(progress=stop)
    assert same_tensors(edited.delta.tensors(), tensors)
    assert edited.delta.owners == owners
    assert "pruned" not in edited.config


def test_a_bank_that_broke_rows_is_noticed(made):
    """The rows are looked at under the real bank, whatever was worked out on the way."""
    edited = made(edits=EDITS[:4])
    queries = edited.tail.queries(edited.readout.rows(MEMORY))
    bank = PatchBank(32, edited.site.activation_name)
    rows = Protected(edited.site, bank, queries, torch.empty(0, dtype=torch.long))
    bank.load_tensors(edited.delta.tensors(), edited.delta.owners)
    bank.extend(["x"], torch.zeros(1, 32), torch.tensor([9.0]), 50 * torch.randn(1, 32))
    with pytest.raises(TailMismatchError, match="report"):
        rows.look()


def test_rules_of_the_edits_hold_for_those_made_again(made):
    edited = made()
    edited.rules = Rules(retries=1)
    edited.prune()
    edited.revert(edited.delta.owners[0])
    assert all(isinstance(record.edit, Edit) for record in edited.records.values())
