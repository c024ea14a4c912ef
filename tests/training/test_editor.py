"""Nets of editors: practice makes an editor better, a stop loses nothing, a folder of something else is refused."""

import json
import shutil

import pytest
import torch

import polypatch as pp
from polypatch.data import EditingData
from polypatch.editors import MALMEN, MEND, FineTuning, KnowledgeEditor, MaskedKnowledgeEditor, MaskedMEND
from polypatch.editors.net_folder import FACTS, TENSORS, read_net
from polypatch.edits import Labelled
from polypatch.errors import ArtefactError, DataError, InputError
from polypatch.recipes import Recipe
from polypatch.samplers import SourcePlusRandom
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.rows import Spoken
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.training.begun import work_of
from polypatch.training.editor import NetRequest, train_editor
from polypatch.training.net_course import NetTraining
from polypatch.training.practice import practice_edits
from polypatch.triggers import Trigger
from speaking import speaker

LANGUAGES = ("en", "de", "fr")
EDITS = tuple(tiny_edits(6, LANGUAGES))
DATA = EditingData(
    "tiny",
    EDITS,
    memory={lang: tiny_texts(30, seed=i) for i, lang in enumerate(LANGUAGES)},
    validation={lang: tiny_texts(10, seed=10 + i) for i, lang in enumerate(LANGUAGES)},
    parallel={lang: tiny_texts(60, seed=20 + i) for i, lang in enumerate(LANGUAGES)},
)
SMALL = {"edits": 60, "steps": 12, "batch": 6, "memory_rows": 10, "validate_every": 4}
MPN = SourcePlusRandom(redraw="per_edit")


def tail_of(model, tokenizer, layer=None):
    return FrozenTail(FeedForwardSite(model, layer=layer), tokenizer)


def trained(out, editor, *, tail=None, data=DATA, sampler=MPN, stop_at=None, resume=False, overwrite=False, **training):
    """A net on the tiny BERT; with `stop_at` a training that is asked to end after so many steps."""
    tail = tail or tail_of(*tiny_model("bert"))
    asked = []

    def stopping():
        asked.append(1)
        return len(asked) == stop_at

    request = NetRequest(recipe=Recipe(editor, sampler), training=NetTraining(**{**SMALL, **training}))
    return train_editor(request, tail, data, out, stopping=stopping, resume=resume, overwrite=overwrite)


def took(editor):
    model, tokenizer = tiny_model("bert")
    recipe = Recipe(editor, MPN, Trigger.ANY)
    done = 0
    for edit in tiny_edits(12, LANGUAGES, seed=9):
        edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=recipe)
        done += sum(one.triggered and one.success for one in edited.edit([edit]))
        edited.unload()
    return done


@pytest.mark.parametrize("editor", [MEND, MALMEN, KnowledgeEditor, MaskedMEND, MaskedKnowledgeEditor])
def test_practice_lowers_the_loss_and_the_editor_is_better_for_it(tmp_path, editor):
    """Better than the untrained net with the step that validates best is the loss, than no net the editor."""
    result = trained(tmp_path / "net", editor(), steps=40, learning_rate=3e-3)
    first, best = result.facts["history"][0], result.facts["best"]
    assert best["loss"] < first["loss"]
    assert "step" in str(result)
    assert took(editor(net=str(tmp_path / "net"))) > took(editor())


@pytest.mark.parametrize("editor", [MEND(rank=8), MaskedKnowledgeEditor(inner=8)])
def test_resumed_is_uninterrupted(tmp_path, editor):
    """Bit for bit, stopped between validations and at one, and also where only the last state on disk is left."""
    whole = trained(tmp_path / "whole", editor)
    assert trained(tmp_path / "cut", editor, stop_at=4) is None
    assert trained(tmp_path / "cut", editor, stop_at=2, resume=True) is None
    with pytest.raises(InputError, match="go on with it by --resume"):
        trained(tmp_path / "cut", editor)
    with pytest.raises(InputError, match="seed was 0 and is 1 now"):
        trained(tmp_path / "cut", editor, resume=True, seed=1)
    assert not (tmp_path / "cut").exists()
    cut = trained(tmp_path / "cut", editor, resume=True)
    assert not work_of(tmp_path / "cut").exists()
    assert (cut.facts["history"], cut.facts["best"]) == (whole.facts["history"], whole.facts["best"])
    assert (tmp_path / "cut" / TENSORS).read_bytes() == (tmp_path / "whole" / TENSORS).read_bytes()
    assert trained(tmp_path / "cut", editor, resume=True).facts == cut.facts, "nothing left to do is no mistake"
    with pytest.raises(InputError, match=r"cut: belongs to another run: seed was 0 and is 1 now; .* another --out"):
        trained(tmp_path / "cut", editor, resume=True, seed=1)
    with pytest.raises(InputError, match="cut: belongs to another run: model was"):
        trained(tmp_path / "cut", editor, tail=tail_of(*tiny_model("bert", seed=5)), resume=True)
    other = trained(tmp_path / "other", editor, seed=1)
    assert other.facts["history"] != whole.facts["history"]


def test_a_state_that_is_damaged_is_refused(tmp_path):
    trained(tmp_path / "net", MEND(rank=8), stop_at=4)
    path = work_of(tmp_path / "net") / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"state\.safetensors: cannot be gone on from .* --overwrite"):
        trained(tmp_path / "net", MEND(rank=8), resume=True)
    assert trained(tmp_path / "net", MEND(rank=8), overwrite=True) is not None


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets") / "net"
    trained(folder, MEND(rank=8), steps=4)
    return folder


def changed_facts(change):
    def damage(folder):
        facts = json.loads((folder / FACTS).read_text())
        change(facts)
        (folder / FACTS).write_text(json.dumps(facts))

    return damage


DAMAGE = {
    "gone": (shutil.rmtree, "no such folder; polypatch train-editor makes one"),
    "no facts": (lambda folder: (folder / FACTS).unlink(), "holds no trained net"),
    "no numbers": (lambda folder: (folder / TENSORS).unlink(), "no such file"),
    "no JSON": (lambda folder: (folder / FACTS).write_text("{"), "not readable as JSON"),
    "a list": (lambda folder: (folder / FACTS).write_text("[]"), "should hold editor"),
    "other numbers": (lambda folder: (folder / TENSORS).write_bytes(b"x"), "is damaged, or of another net"),
    "a field too few": (changed_facts(lambda facts: facts.pop("layer")), "should hold editor"),
    "groups": (changed_facts(lambda facts: facts.update(groups=["de"])), "groups should be different whole numbers"),
    "another editor": (changed_facts(lambda facts: facts.update(editor="MALMEN")), "a net of MALMEN, not of MEND"),
    "another layer": (
        changed_facts(lambda facts: facts.update(layer="x.0")),
        "trained for x.0, not bert.encoder.layer.1",
    ),
    "another model": (changed_facts(lambda facts: facts.update(model="abc")), "trained for another model"),
    "another size": (changed_facts(lambda facts: facts["settings"].update(rank=9)), "should be"),
    "no such setting": (changed_facts(lambda facts: facts["settings"].update(x=1)), "settings that MEND cannot have"),
    "a bad setting": (changed_facts(lambda facts: facts["settings"].update(rank=-1)), "settings that MEND cannot have"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_broken_folder_or_one_of_something_else_is_refused_before_anything_is_edited(tmp_path, net, case):
    folder = tmp_path / "net"
    shutil.copytree(net, folder)
    model, tokenizer = tiny_model("bert")
    recipe = Recipe(MEND(net=str(folder)))
    pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20), recipe=recipe).unload()
    damage, said = DAMAGE[case]
    damage(folder)
    with pytest.raises(ArtefactError, match=said):
        pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20), recipe=recipe)


def test_a_net_of_another_model_is_refused(net):
    other, tokenizer = tiny_model("bert", seed=1)
    with pytest.raises(ArtefactError, match=r"trained for another model .* makes one for this"):
        pp.attach(other, tokenizer=tokenizer, memory=tiny_texts(20), recipe=Recipe(MEND(net=str(net))))


def test_what_is_taken_is_not_written_over(tmp_path, net):
    with pytest.raises(InputError, match="exists; take another --out, or add --overwrite"):
        trained(net, MEND())
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="holds no trained net; refusing"):
        trained(tmp_path / "mine", MEND(), overwrite=True)
    with pytest.raises(InputError, match="FineTuning has no net to train; the recipes that have are mend, "):
        trained(tmp_path / "net", FineTuning())
    with pytest.raises(InputError, match="leave it out"):
        trained(tmp_path / "net", MEND(net=str(net)))


def test_edits_are_saved_and_go_on_with_their_net(tmp_path, net):
    model, tokenizer = tiny_model("bert")
    recipe = Recipe(MEND(net=str(net)), MPN, Trigger.ANY)
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=recipe)
    edited.edit(EDITS, rules=pp.Rules(keep_failed=True))
    wanted = edited.delta.tensors()
    edited.unload()
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=recipe)
    edited.edit(EDITS[:3], rules=pp.Rules(keep_failed=True))
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    again = pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    again.edit(EDITS[3:])
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in again.delta.tensors().items())
    again.unload()


@pytest.mark.parametrize("writes", [False, True])
def test_practice_touches_no_text_that_is_tested(writes):
    """Nothing of an edit, its rephrases or a locality set; an answer that is not the model's, the same in every run."""
    tail = tail_of(*(speaker() if writes else tiny_model("bert")))
    tested = EditingData(
        "tiny",
        (
            pp.Edit(
                "one", {"en": DATA.parallel["en"][0]}, {"en": "class-0"}, rephrases={"en": (DATA.parallel["en"][1],)}
            ),
        ),
        locality={"test.de": [Labelled(DATA.parallel["de"][2], "class-1")]},
        parallel=DATA.parallel,
    )
    edits = practice_edits(tail, tested, 60, 0)
    rows = {tuple(texts): i for i, texts in enumerate(zip(*DATA.parallel.values(), strict=True))}
    of = {texts[0]: i for texts, i in rows.items()}
    assert {0, 1, 2}.isdisjoint(of[edit.prompt["en"]] for edit in edits)
    assert all(
        set(edit.prompt.items()) <= set(zip(LANGUAGES, list(rows)[of[edit.prompt["en"]]], strict=True))
        for edit in edits
    )
    assert edits == practice_edits(tail, tested, 60, 0) != practice_edits(tail, tested, 60, 1)
    examples = [edit.example("en") for edit in edits]
    asked = tail.readout.ask([one.text for one in examples], [one.target for one in examples])
    assert not any(tail.right(asked, UNCHANGED))


def test_without_parallel_text_the_memory_is_practised_on():
    tail = tail_of(*tiny_model("bert"))
    alone = EditingData("tiny", EDITS, memory=DATA.memory)
    edits = practice_edits(tail, alone, 60, 0)
    assert all(len(edit.prompt) == 1 for edit in edits)
    assert {edit.source for edit in edits} == set(LANGUAGES)
    with pytest.raises(DataError, match="0 texts to train an editor on"):
        practice_edits(tail, EditingData("tiny", EDITS), 60, 0)


def test_where_a_model_writes_nothing_a_text_s_own_words_are_wanted(monkeypatch):
    tail = tail_of(*speaker())
    monkeypatch.setattr(tail, "predict", lambda texts, _: Spoken([""] * len(texts), torch.zeros(len(texts))))
    edits = practice_edits(tail, EditingData("tiny", EDITS, parallel=DATA.parallel), 60, 0)
    begun = {" ".join(text.split()[:3])[:24].strip() for text in DATA.parallel["en"]}
    assert len(edits) >= 20
    assert {edit.target["en"] for edit in edits} <= begun


@pytest.mark.parametrize("layer", [None, 0])
def test_a_net_of_a_language_model(tmp_path, layer):
    tail = tail_of(*speaker("llama"), layer)
    result = trained(tmp_path / "net", MALMEN(rank=8), tail=tail, steps=4)
    assert read_net(tmp_path / "net").layer == tail.site.layer_path
    assert result.facts["steps_done"] == 4
