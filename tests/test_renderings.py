"""Several texts of an edit in one language: learned like its prompt, guarded and reverted with it, never measured."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polypatch as pp
from polypatch.data.memory import ProbeText
from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.edits import Edit, Example, words_of
from polypatch.errors import ContradictionError, DataError, EditError
from polypatch.evaluation import evaluate
from polypatch.evaluation.cells import masks
from polypatch.model.correct import made_fix
from polypatch.model.gate import Limits, check
from polypatch.recipes import RECIPES
from polypatch.samplers import AllLanguages, OnlyLanguages, SourceOnly, SourcePlusMapped, SourcePlusRandom
from polypatch.testing import check_editor, tiny_edits, tiny_texts
from polypatch.triggers import Trigger
from properties.strategies import edits, words
from speaking import speaker, speaking_edits

ONE = Edit(
    "one",
    {"en": "a", "de": "b", "fr": "c"},
    {"en": "x", "de": "y"},
    renderings={"de": ("b two", "b three"), "en": ("a two",)},
    rephrases={"de": ("held out",)},
)
MEMORY = {"en": tiny_texts(30), "de": tiny_texts(30, seed=1)}
FAST = {"max_steps": 60, "views": 0, "first_validation": 5, "validate_every": 5, "use_validation": False}
QUICK = {
    "t-patcher": {**FAST, "learning_rate": 0.03},
    "mpn-all": {**FAST, "learning_rate": 0.03},
    "fine-tuning-mpn": {"max_steps": 25, "views": 0, "learning_rate": 3e-3},
    "lora-mpn": {"max_steps": 25, "views": 0, "learning_rate": 3e-3},
}


def rendered(number=3, languages=("en", "de")):
    """Tiny edits with two more texts in German and one more in the source."""
    return [
        replace(edit, renderings={"de": (f"du {i} ba", f"do {i} bi bo"), "en": (f"en {i} bu",)})
        for i, edit in enumerate(tiny_edits(number, languages))
    ]


def quick(name):
    recipe = RECIPES[name]
    return replace(recipe, editor=replace(recipe.at(48).editor, **QUICK.get(name, {})))


@st.composite
def with_renderings(draw):
    edit = draw(edits())
    texts = {lang: draw(st.lists(words, max_size=3, unique_by=words_of)) for lang in edit.prompt}
    there = {lang: {words_of(text) for text in (edit.prompt[lang], *edit.rephrases.get(lang, ()))} for lang in texts}
    new = {lang: tuple(text for text in own if words_of(text) not in there[lang]) for lang, own in texts.items()}
    return replace(edit, renderings={lang: own for lang, own in new.items() if own})


def test_texts_have_names():
    assert [example.lang for example in ONE.examples] == ["en", "en#2", "de", "de#2", "de#3", "fr"]
    assert ONE.texts == ("a", "a two", "b", "b two", "b three", "c")
    assert ONE.example("de#3") == Example("de#3", "b three", "y")
    assert ONE.target_in("de#2") == "y"
    assert ONE.example("~de").text == "a"
    assert ONE.languages == ("en", "de", "fr")
    assert ONE.only(["fr"]).renderings == {"en": ("a two",)}
    for name, said in [
        ("de#4", "in 'de' it has 3"),
        ("de#1", "no text"),
        ("de#x", "no text"),
        ("sw#2", "no prompt in"),
    ]:
        with pytest.raises(EditError, match=said):
            ONE.example(name)


@pytest.mark.parametrize(
    ("renderings", "said"),
    [
        ({"sw": ("d",)}, r"renderings\[sw\] go with a prompt in 'sw', and there is none"),
        ({"de": (" b",)}, r"renderings\[de\]\[0\] is prompt\[de\] once more"),
        ({"de": ("d", "d ")}, r"renderings\[de\]\[1\] is renderings\[de\]\[0\] once more"),
        ({"de": ("held  out",)}, r"renderings\[de\]\[0\] is rephrases\[de\] once more"),
        ({"de": ("",)}, r"renderings\[de\]\[0\] is"),
        ({"de": "d"}, r"renderings\[de\] is 'd'; give a list"),
        ("d", "renderings is 'd'; give it by language"),
    ],
)
def test_what_is_no_rendering(renderings, said):
    with pytest.raises(EditError, match=said):
        replace(ONE, renderings=renderings)


@given(with_renderings())
def test_records_hold_them(edit):
    assert edit_from_record(record_from_edit(edit), default_id=None) == edit
    plain = replace(edit, renderings={})
    assert "renderings" not in record_from_edit(plain)
    assert [one for one in edit.examples if "#" not in one.lang] == list(plain.examples)


def test_a_file_may_have_one_or_several():
    row = {"prompt": {"en": "a", "de": "b"}, "target_new": "x", "renderings": {"de": "b two"}}
    assert edit_from_record(row, default_id="1").renderings == {"de": ("b two",)}
    row["renderings"] = ["a two", "a three"]
    assert edit_from_record(row, default_id="1").renderings == {"en": ("a two", "a three")}
    row["renderings"] = {"de": [3]}
    with pytest.raises(DataError, match=r"'renderings\.de\[0\]': expected text"):
        edit_from_record(row, default_id="1")


@given(with_renderings(), st.integers(), st.integers(1, 4))
def test_samplers_draw_them_with_their_language(edit, seed, k):
    def drawn(sampler, one=edit):
        return sampler(one, random.Random(seed))

    assert drawn(AllLanguages()) == edit.examples
    assert drawn(SourceOnly()) == edit.examples_in(edit.source)
    assert drawn(OnlyLanguages(edit.languages[-1:])) == tuple(
        one for lang in dict.fromkeys((edit.source, edit.languages[-1])) for one in edit.examples_in(lang)
    )
    assert drawn(SourcePlusMapped(k=None))[: len(edit.examples)] == edit.examples
    own = len(edit.examples_in(edit.source))
    some = drawn(SourcePlusRandom(k=k))
    assert some[:own] == edit.examples_in(edit.source)
    others = [one.lang.partition("#")[0] for one in some[own:]]
    assert len(set(others)) == len(others) == min(k, len(edit.languages) - 1)
    assert set(some) <= set(edit.examples)
    assert Trigger.ANY.examples(edit, ()) == edit.examples
    # Without renderings the same languages are drawn that always were.
    rng = random.Random(seed)
    before = (edit.source, *rng.sample(edit.languages[1:], len(others)))
    assert tuple(one.lang for one in drawn(SourcePlusRandom(k=k), replace(edit, renderings={}))) == before


def test_one_of_a_languages_texts_is_drawn_as_often_as_another():
    rng = random.Random(0)
    drawn = [SourcePlusRandom()(ONE.only(["de"]), rng)[-1].lang for _ in range(3000)]
    assert all(abs(drawn.count(name) - 1000) < 150 for name in ("de", "de#2", "de#3"))


@pytest.mark.parametrize("name", ["polypatch", "polypatch-linear", "grace-mpn", "mpn-all", "t-patcher"])
def test_an_edit_gets_all_its_texts_right(tiny, name):
    model, tokenizer = tiny("bert")
    made = rendered()
    edited = pp.edit(model, made, tokenizer=tokenizer, memory=MEMORY, recipe=quick(name))
    try:
        used = set()
        for edit in made:
            outcome = edited.outcomes[edit.id]
            assert outcome.success or name in ("t-patcher", "mpn-all"), outcome
            used |= set(outcome.languages)
            if outcome.success:
                for lang in outcome.languages or (edit.source,):
                    assert edited.predict(edit.example(lang).text) == edit.example(lang).target
            if name in ("polypatch", "polypatch-linear") and outcome.triggered:
                assert set(outcome.languages) == {one.lang for one in edit.examples}
            if name == "polypatch":
                assert outcome.patches == len(edit.examples)
        assert used & {"de#2", "de#3"} or name == "t-patcher"
        assert "en#2" in used
    finally:
        edited.unload()


@pytest.mark.parametrize("name", ["polypatch", "polypatch-linear", "grace", "mpn-all", "fine-tuning-mpn", "lora-mpn"])
def test_edits_with_several_texts_keep_the_laws(tiny, name):
    """Save and load, revert, resume, and all else that `check_editor` looks at."""
    model, tokenizer = tiny("bert")
    check_editor(quick(name), model, tokenizer, rendered(), tiny_texts(40))


def test_a_language_model_learns_them():
    model, tokenizer = speaker()
    made = [replace(edit, renderings={"de": (f"do {i} bo du",)}) for i, edit in enumerate(speaking_edits(3))]
    edited = pp.edit(model, made, tokenizer=tokenizer, memory=MEMORY, recipe="polypatch-linear")
    for edit in made:
        assert edited.outcomes[edit.id].success, edited.outcomes[edit.id]
        example = edit.example("de#2")
        assert edited.predict(example.text) == edited.predict(edit.prompt["de"])
        assert edited.tail.right(edited.ask([example]), edited.delta) == [True]


def test_reverting_takes_them_along(tiny):
    model, tokenizer = tiny("bert")
    made = rendered(2)
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    try:
        texts = [text for edit in made for text in edit.texts]
        edited.edit(made[:1])
        before, said = edited.delta.tensors(), edited.predict(texts)
        edited.edit(made[1:])
        assert edited.delta.patches == sum(len(edit.examples) for edit in made)
        edited.revert(made[1].id)
        assert edited.delta.owners == [made[0].id] * len(made[0].examples)
        assert edited.predict(texts) == said
        after = edited.delta.tensors()
        assert before.keys() == after.keys()
        assert all(before[key].equal(after[key]) for key in before)
    finally:
        edited.unload()


def test_what_contradicts_one_of_them_is_refused(tiny):
    model, tokenizer = tiny("bert")
    first, second, _ = rendered()
    other = "class-1" if first.target["en"] != "class-1" else "class-2"
    against = replace(second, prompt={"en": first.renderings["de"][1]}, target={"en": other}, renderings={})
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    try:
        with pytest.raises(ContradictionError, match=r"\(de#3\)"):
            edited.edit([first, against])
    finally:
        edited.unload()


def test_they_are_not_measured(tiny):
    """Nor taken for what should not change; and a language of which one was drawn counts as trained on."""
    model, tokenizer = tiny("bert")
    made = rendered(3, ("en", "de", "fr"))
    edited = pp.edit(model, made, tokenizer=tokenizer, memory=MEMORY, recipe="polypatch-one")
    try:
        report = evaluate(edited, made)
        plain = evaluate(edited, [replace(edit, renderings={}) for edit in made])
        assert replace(report, config={}) == replace(plain, config={})
        outcomes = {made[0].id: replace(edited.outcomes[made[0].id], triggered=True, languages=("en", "de#3"))}
        _, trained, _ = masks(made[:1], ("en", "de", "fr"), outcomes)
        assert trained.tolist() == [[True, True, False]]
        probes = [ProbeText("de", made[0].renderings["de"][0]), ProbeText("de", "bu ba bo")]
        verdict = check(edited, probes, Limits(min_clg=0.0, min_confidence=0.0))
        assert verdict.cost["de"]["rows"] == 1
        assert {row["lang"] for row in verdict.wrong} <= {"en", "de", "fr"}
        assert any(f"0 of {sum(len(edit.examples) for edit in made)} " in one.note for one in verdict.checks)
    finally:
        edited.unload()


def test_a_fix_shows_each_of_them(tiny):
    model, tokenizer = tiny("bert")
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    try:
        (edit,) = rendered(1)
        done = made_fix(edited, edit)
        assert [one.lang for one in done.texts] == ["en", "en#2", "de", "de#2", "de#3"]
        assert all(one.right for one in done.texts)
        assert "de#2 " in str(done)
    finally:
        edited.unload()
