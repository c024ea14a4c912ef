"""What the edits that stay say of themselves is true after others went."""

import dataclasses

import pytest
import torch

import polypatch as pp
from polypatch.cli import main
from polypatch.errors import EditError
from polypatch.model.guard import Guard
from polypatch.store.cut import revert_saved
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors

MEMORY = tiny_texts(30, seed=1)
FIRST, OTHER = next((a, b) for a, b in zip(tiny_edits(9), tiny_edits(9)[1:], strict=False) if a.target != b.target)
SAME = dataclasses.replace(FIRST, id="same")
"""What the first edit's neuron makes right already."""


def edited_model(edits, rules=None):
    model, tokenizer = tiny_model("bert", layers=1)
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=MEMORY)
    list(pp.edit_stream(edited, edits, rules=rules))
    return edited


def is_right(edited, edit):
    return all(edited.predict(edit.prompt[lang]) == edit.target_in(lang) for lang in edit.languages)


def test_an_edit_that_was_right_by_another_s_neuron_is_made_again():
    edited = edited_model([FIRST, SAME, OTHER])
    assert [edited.outcomes[name].status for name in (FIRST.id, "same")] == ["taken", "not needed"]
    own = edited.delta.tensors()["keys"][[owner == OTHER.id for owner in edited.delta.owners]]
    edited.revert(FIRST.id)
    assert edited.outcomes["same"].status == "taken"
    assert is_right(edited, SAME)
    assert "same" in edited.delta.owners
    kept = edited.delta.tensors()["keys"][[owner == OTHER.id for owner in edited.delta.owners]]
    assert torch.equal(own, kept)  # who lost nothing keeps its neurons
    for name in ("same", OTHER.id):
        edited.revert(name)
    assert edited.patches == 0


def test_without_the_memory_the_outcome_says_so(tmp_path):
    edited = edited_model([FIRST, SAME, OTHER])
    folder, model, tokenizer = (
        edited.save_pretrained(tmp_path / "edits", memory=None),
        edited.unload(),
        edited.tokenizer,
    )
    loaded = pp.EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
    loaded.revert(FIRST.id)
    outcome = loaded.outcomes["same"]
    assert (outcome.status, outcome.success, outcome.source_correct) == ("failed", False, False)
    assert outcome.reason.startswith("no longer right in en")
    assert outcome.reason.endswith(f"since {FIRST.id} was reverted")
    assert loaded.outcomes[OTHER.id].success
    again = pp.EditedModel.from_pretrained(
        loaded.save_pretrained(tmp_path / "again"), model=loaded.unload(), tokenizer=tokenizer
    )
    assert again.outcomes["same"] == outcome


def test_edits_made_under_a_guard_that_is_gone_are_not_made_again_without_it(tmp_path):
    edited = edited_model([FIRST, SAME, OTHER], rules=pp.Rules(guard=Guard(tiny_texts(5, seed=3), 100.0)))
    folder, model = edited.save_pretrained(tmp_path / "edits"), edited.unload()
    loaded = pp.EditedModel.from_pretrained(folder, model=model, tokenizer=edited.tokenizer, memory=MEMORY)
    loaded.revert(FIRST.id)
    assert loaded.outcomes["same"].status == "failed"


def test_the_newest_edit_goes_without_a_look():
    """The model is as it was before, so nothing can have changed; the memory too."""
    edited, never = edited_model([FIRST, SAME, OTHER]), edited_model([FIRST, SAME])
    edited.revert(OTHER.id)
    assert same_tensors(edited.delta.tensors(), never.delta.tensors())
    assert torch.equal(edited.memory.train.rows, never.memory.train.rows)
    assert [one.timeless() for one in edited.outcomes.values()] == [one.timeless() for one in never.outcomes.values()]


@pytest.mark.parametrize("others", [True, False])
def test_the_command_line_says_what_it_did_not_look_at(others, tmp_path, capsys):
    edited = edited_model([FIRST, SAME, OTHER])
    folder = edited.save_pretrained(tmp_path / "edits")
    gone = FIRST.id if others else OTHER.id
    done = revert_saved(folder, [gone], tmp_path / "fewer")
    assert done.unchecked == 2 * others
    with pytest.raises(SystemExit):
        main(["revert", str(folder), gone])
    assert ("polypatch check" in capsys.readouterr().out) == others
    with pytest.raises(EditError, match="reverted already"):
        revert_saved(folder, [gone])
