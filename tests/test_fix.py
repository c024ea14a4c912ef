"""edited.fix: one sentence corrected, and what is printed of it. What is shown is harmless and fits 80 columns."""

import copy

import pytest
import torch
from rich.cells import cell_len
from transformers import AutoModelForSequenceClassification

import polypatch as pp
from polypatch.model.gate import Limits
from polypatch.outcomes import Status
from polypatch.recipes import Recipe
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors
from polypatch.triggers import Trigger

MEMORY = {"en": tiny_texts(40), "de": tiny_texts(40, seed=2)}
EVIL = "<script>\x1b[31m`x`</script> " + "ba " * 60


@pytest.fixture
def edited():
    model, tokenizer = tiny_model("bert")
    made = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    yield made
    made.unload()


def wrong(edited, text):
    return next(label for label in edited.labels.values() if label != edited.predict(text))


def test_a_fix_is_an_edit_and_says_what_it_did(edited):
    """Before and after are the model's own answers; elsewhere is what the fix alone changed."""
    one = tiny_edits(1)[0]
    text, german = one.prompt["en"], one.prompt["de"]
    before, label = edited.predict([text, german]), wrong(edited, text)
    held_out = [text for texts in edited.held_out.values() for text in texts]
    said = edited.predict(held_out)
    fix = edited.fix(text, label, translations={"de": german})
    assert edited.predict([text, german]) == [label, label]
    assert [(one.lang, one.before.label, one.after.label) for one in fix.texts] == [
        ("en", before[0], label),
        ("de", before[1], label),
    ]
    assert fix.texts[0].after.probability == pytest.approx(edited.predict_proba(text).max(), abs=1e-5)
    assert {fired.edit_id for one in fix.texts for fired in one.firing} == {fix.id}
    changed = sum(a != b for a, b in zip(said, edited.predict(held_out), strict=True))
    assert (fix.elsewhere.total.rows, fix.elsewhere.total.changed) == (len(held_out), changed)
    assert fix.outcome == edited.outcomes[fix.id]
    assert fix.holds
    assert str(fix).startswith(f"Fixed: {label} (2 patches")
    edited.revert(fix.id)
    assert edited.predict([text, german]) == before


def test_a_shell_shows_a_fix_in_a_line(edited):
    text, german = tiny_edits(1)[0].prompt["en"], tiny_edits(1)[0].prompt["de"]
    label = wrong(edited, text)
    tried = edited.try_fix(text, label, translations={"de": german})
    fix = edited.fix(text, label, translations={"de": german})
    what = f"<Fix {fix.id!r}: {text!r} -> {label!r} in 2 languages; taken, "
    assert (repr(tried), repr(fix)) == (f"{what}not kept>", f"{what}kept>")


def test_what_is_not_needed_says_so():
    """By a recipe that asks; the default makes an entry all the same, for what nobody translated may be wrong."""
    model, tokenizer = tiny_model("bert")
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=MEMORY)
    text = tiny_texts(1, seed=7)[0]
    fix = edited.fix(text, edited.predict(text), translations={"de": text})
    assert fix.outcome.status is Status.NOT_NEEDED
    assert str(fix).startswith("Not needed: the model says")
    assert edited.patches == 0


def test_what_fails_says_so_and_leaves_nothing(edited):
    """A trigger that always fires and an editor of one step that is too small to do anything."""
    model, tokenizer = tiny_model("bert", seed=1)
    timid = Recipe(pp.TPatcher(max_steps=1, learning_rate=1e-9, views=0), pp.AllLanguages(), Trigger.ALWAYS)
    other = pp.attach(model, tokenizer=tokenizer, memory=MEMORY, recipe=timid)
    text = tiny_texts(1, seed=7)[0]
    fix = other.fix(text, wrong(other, text), translations={"de": f"{text} ba"})
    assert str(fix).startswith("Failed: still wrong in en, de")
    assert "the model is as it was" in " ".join(str(fix).split())
    assert f"wanted: {fix.wanted('en')}" in str(fix)
    assert (other.patches, fix.holds) == (0, False)
    other.unload()


def test_a_fix_of_what_was_fixed_otherwise_names_the_earlier_edit(edited):
    text = tiny_texts(1, seed=7)[0]
    first = edited.fix(text, wrong(edited, text), translations={"de": f"{text} ba"})
    other = next(label for label in edited.labels.values() if label != edited.predict(text))
    tensors = edited.delta.tensors()
    with pytest.raises(pp.PolypatchError, match=rf"revert\('{first.id}'\)") as refused:
        edited.fix("another sentence", other, translations={"de": text.upper()})
    assert refused.value.edit_ids[0] == first.id
    assert same_tensors(edited.delta.tensors(), tensors)
    edited.revert(first.id)
    assert edited.fix(text, other, translations={"de": f"{text} ba"}).holds


def test_ids_are_made_readable_and_unique(edited):
    text = tiny_texts(1, seed=7)[0]
    label = wrong(edited, text)
    first = edited.fix(text, label, translations={"de": f"{text} ba"})
    second = edited.fix(text, label, translations={"fr": f"{text} bo"})
    assert second.id == f"{first.id}-2"
    assert first.id.startswith("-".join(text.split()[:2]))
    assert edited.fix(tiny_texts(2, seed=9)[1], label, translations={"de": "ba"}, id="mine").id == "mine"


def test_languages_named_by_the_rules_do_not_keep_a_translation_out():
    model, tokenizer = tiny_model("bert")
    made = pp.attach(model, tokenizer=tokenizer, memory=MEMORY, rules=pp.Rules(languages=("en", "de")))
    text = tiny_texts(1, seed=7)[0]
    fix = made.fix(text, wrong(made, text), translations={"fr": f"{text} ba"})
    assert set(fix.outcome.languages) == {"en", "fr"}
    made.unload()


def test_a_fix_in_one_language_is_warned_of(edited):
    text = tiny_texts(1, seed=7)[0]
    with pytest.warns(pp.PolypatchWarning, match="one language only"):
        fix = edited.fix(text, wrong(edited, text))
    assert "in one language only" in str(fix)


def test_a_fix_of_a_text_that_is_cut_or_in_the_memory_says_so(edited):
    long = {"de": "ba " * 70}
    with pytest.warns(pp.PolypatchWarning, match="longer than the 64 tokens"):
        assert "longer than the 64 tokens" in " ".join(str(edited.fix("ba bo", "class-1", translations=long)).split())
    with pytest.warns(pp.PolypatchWarning, match="in the memory as well"):
        fix = edited.fix(MEMORY["en"][0], wrong(edited, MEMORY["en"][0]), translations={"de": "bu"})
    assert "in the memory as well" in " ".join(str(fix).split())


@pytest.mark.filterwarnings("ignore:.*longer than the 64 tokens")
def test_nothing_that_is_shown_has_power_over_what_shows_it(edited):
    fix = edited.fix(EVIL, wrong(edited, EVIL), translations={"zh": "天气" * 60, "ar": "ما هو الطقس " * 9})
    assert max(map(cell_len, str(fix).split("\n"))) <= 80
    explained, report = edited.explain(EVIL), pp.evaluate(edited, [fix.edit])
    for shown in (str(fix), repr(fix), repr(edited), repr(explained), str(explained), repr(report)):
        assert "\x1b" not in shown
    for one in (fix, edited, explained, report):
        assert "<script" not in one._repr_html_()
        assert len(one._repr_html_()) < 4000
    assert max(len(repr(explained)), len(repr(fix))) < 300
    assert len(repr(report)) < 200


def test_probabilities_of_one_and_of_many(edited):
    texts = tiny_texts(3)
    many = edited.predict_proba(texts)
    assert many.shape == (3, 3)
    assert many.sum(1) == pytest.approx(1.0)
    assert edited.predict_proba(texts[1]) == pytest.approx(many[1], abs=1e-6)
    assert edited(texts[1]) == edited.labels[int(many[1].argmax())]
    assert edited(texts) == edited.predict(texts)


def test_the_models_own_save_says_that_it_leaves_the_edits_out(edited, tmp_path):
    """What it writes is the unedited model; a copy of the model saves itself; after unload nothing is said."""
    text = tiny_texts(1, seed=7)[0]
    before = edited.predict(text)
    edited.fix(text, wrong(edited, text), translations={"de": f"{text} ba"})
    with pytest.warns(pp.PolypatchWarning, match=r"merge_and_unload.*edited.save_pretrained"):
        edited.model.save_pretrained(tmp_path / "stock")
    back = AutoModelForSequenceClassification.from_pretrained(tmp_path / "stock").eval()
    with torch.no_grad():
        said = back(**edited.tokenizer(text, return_tensors="pt")).logits.argmax()
    assert edited.labels[int(said)] == before
    twin = copy.deepcopy(edited.model)
    assert twin.save_pretrained.model is twin
    model = edited.unload()
    model.save_pretrained(tmp_path / "silent")
    assert "save_pretrained" not in vars(model)


def test_check_and_history_in_python(edited, tmp_path):
    """What polypatch check and polypatch log say; probe texts as a memory is given."""
    text = tiny_texts(1, seed=7)[0]
    fix = edited.fix(text, wrong(edited, text), translations={"de": f"{text} ba"})
    probes = {"en": tiny_texts(20, seed=5), "de": tiny_texts(20, seed=6)}
    (tmp_path / "probes.txt").write_text("\n".join(probes["en"]), encoding="utf-8")
    for given in (probes, probes["en"], tmp_path / "probes.txt"):
        verdict = edited.check(given, Limits(max_locality_drop=100))
        assert verdict.ok
        assert verdict.wrong == []
    assert not edited.check(probes, Limits(max_locality_drop=100, min_confidence=100)).ok
    (line,) = edited.history()
    assert (line.record.edit, line.plain()["status"]) == (fix.edit, "taken")
