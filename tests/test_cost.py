"""What edits cost elsewhere is said, on texts that nothing else sees; nobody goes without a memory unasked."""

import warnings
from collections import Counter
from dataclasses import replace

import pytest

import polypatch as pp
from polypatch.data.memory import MemoryTexts, parted
from polypatch.errors import DataError, InputError
from polypatch.model.cost import Changed, Cost, cost_from_plain, counted, together
from polypatch.recipes import RECIPES
from polypatch.testing import tiny_edits, tiny_texts

EDITS = tiny_edits(4)
CARELESS = pp.Recipe(pp.TPatcher(memory_weight=0.0, max_steps=50), pp.AllLanguages(), pp.Trigger.ANY)
WAYS = {
    "list": lambda texts, folder: texts,
    "by language": lambda texts, folder: {"en": texts[:20], "de": texts[20:]},
    "file": lambda texts, folder: str(written(folder / "texts.txt", "\n".join(texts))),
    "path": lambda texts, folder: written(folder / "texts.txt", "\n".join(texts)),
    "jsonl": lambda texts, folder: written(
        folder / "texts.jsonl", "\n".join(f'{{"lang": "de", "text": "{text}"}}' for text in texts)
    ),
}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def attached(tiny):
    """attach() on a tiny model, taken off afterwards."""
    model, tokenizer = tiny("bert")
    made = []

    def attach(**arguments):
        made.append(pp.attach(model, tokenizer=tokenizer, **arguments))
        return made[-1]

    yield attach
    for edited in made:
        edited.unload()


def test_nobody_goes_without_a_memory_by_accident(tiny):
    model, tokenizer = tiny("bert")
    for call in (pp.attach, lambda model, **more: pp.edit(model, EDITS, **more)):
        with pytest.raises(InputError, match="memory is missing") as refused:
            call(model, tokenizer=tokenizer)
        for way in ("memory=[…]", 'memory={"en": […]', 'memory="texts.txt"', "memory=None"):
            assert way in str(refused.value)


@pytest.mark.parametrize("nothing", [None, [], {}, {"en": []}], ids=repr)
def test_going_without_is_written_out_and_warned_of_where_it_was_written(attached, nothing):
    with pytest.warns(pp.PolypatchWarning, match="no memory") as seen:
        edited = attached(memory=nothing)
    assert [one.filename for one in seen] == [__file__]
    assert str(edited.cost) == "what changed elsewhere is not known: there are no held-out texts"


@pytest.mark.parametrize("way", WAYS)
def test_a_memory_is_a_list_texts_by_language_or_a_file(attached, tmp_path, way):
    texts = tiny_texts(40)
    edited = attached(memory=WAYS[way](texts, tmp_path))
    held_out = [text for rows in edited.held_out.values() for text in rows]
    seen = [*edited.memory.train.asked, *edited.memory.validation.asked]
    assert Counter([*seen, *edited.readout.rows(held_out)]) == Counter(edited.readout.rows(texts))
    assert held_out == texts[9::10]
    assert set(edited.held_out) == {"by language": {"en", "de"}, "jsonl": {"de"}}.get(way, {""})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("wake me up at nine", "no such file; one text alone is given as a list"),
        ({"German": ["a"]}, "'German' is not a lower-case"),
        ({"de": "text"}, r"memory\['de'\] is 'text'"),
        (["a", None], r"memory\[1\] is None"),
        (7, "memory is 7"),
    ],
)
def test_what_is_no_memory_is_refused(attached, given, said):
    with pytest.raises(InputError, match=said):
        attached(memory=given)


def test_a_file_of_nothing_and_a_folder_are_refused(attached, tmp_path):
    for path in (written(tmp_path / "empty.txt", "\n\n"), tmp_path):
        with pytest.raises(DataError, match=str(path)):
            attached(memory=path)


def test_a_language_with_few_texts_holds_none_out():
    kept = parted({"en": tiny_texts(9), "de": tiny_texts(10, seed=1)})
    assert set(kept.held_out) == {"de"}
    assert len(kept.train) + len(kept.validation) == 18
    parts = MemoryTexts(kept.train, kept.validation, kept.held_out, {"en": ["a"], "de": ["b"]})
    assert parted(parts) == replace(kept, parallel=parts.parallel, langs={})  # what was parted stays as it is


def test_the_cost_is_counted_on_held_out_texts_that_no_edit_is_about(attached):
    texts = {lang: tiny_texts(200, seed=i) for i, lang in enumerate(("en", "de", "fr"))}
    edited = attached(memory=texts, recipe=CARELESS)
    about = edited.held_out["de"][0]
    wrong = next(label for label in edited.labels.values() if label != edited.predict(about))
    assert str(edited.cost) == "0.0 % of 60 other answers changed"
    edited.edit([pp.Edit("of the memory", {"de": about, "fr": "fr bo"}, {"de": wrong}, source="de"), *tiny_edits(8)])
    cost = edited.cost
    for lang, rows in edited.held_out.items():
        others = [text for text in rows if text != about]
        with edited.disabled():
            before = edited.predict(others)
        changed = sum(a != b for a, b in zip(before, edited.predict(others), strict=True))
        assert cost.languages[lang] == Changed(len(others), changed)
    assert cost.total.rows == 59
    assert cost.total.changed > 0
    assert str(cost) in repr(edited)
    edited.revert(list(edited.outcomes))
    assert edited.cost.total == Changed(60, 0)


def test_an_edited_model_is_shown_in_a_line(attached):
    edited = attached(memory=tiny_texts(40))
    edited.edit(EDITS)
    held = sum(outcome.success for outcome in edited.outcomes.values())
    line = repr(edited)
    assert line.startswith("<BertForSequenceClassification edited by 'polypatch'")
    assert f"{held} of 4 edits hold, {edited.patches} patch" in line
    assert line == str(edited)
    assert len(line) < 200


def test_a_dear_change_is_warned_of(attached):
    edited = attached(memory=tiny_texts(200), recipe=CARELESS)
    with pytest.warns(pp.PolypatchWarning, match=r"other answers changed.*more than 2 %"):
        edited.edit(EDITS)
    assert edited.cost.worst > 2
    with pytest.warns(pp.PolypatchWarning, match="other answers changed"):
        list(pp.edit_stream(edited, []))


ENGLISH = [edit.only(["en"]) for edit in EDITS]


@pytest.mark.parametrize("recipe", ["polypatch", "polypatch-linear", "mpn-all"])
def test_edits_known_in_one_language_are_named_before_they_are_made(attached, recipe):
    edited = attached(memory=tiny_texts(40), recipe=recipe)
    with pytest.warns(pp.PolypatchWarning, match=r"4 of 4 edits have a prompt in one language.*follow.*translated"):
        stream = pp.edit_stream(edited, ENGLISH)
    assert edited.outcomes == {}
    stream.close()
    with pytest.warns(pp.PolypatchWarning, match="the edit has a prompt in one language only"):
        edited.edit(ENGLISH[:1])


@pytest.mark.parametrize("recipe", ["polypatch", "polypatch-linear", "t-patcher"])
def test_nothing_is_said_where_nothing_is_to_be_said(attached, recipe):
    """Edits in several languages; and a recipe that learns from the source alone, which was chosen by name."""
    edited = attached(memory=tiny_texts(40), recipe=RECIPES[recipe])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.edit_stream(edited, ENGLISH if recipe == "t-patcher" else EDITS).close()


def test_costs_as_sentences_and_as_plain_data():
    cost = Cost({"en": Changed(1000, 1), "de": Changed(500, 2), "fr": Changed(300, 0), "": Changed(200, 1)})
    assert str(cost) == "0.2 % of 2,000 other answers changed (de 0.4, en 0.1)"
    assert cost.worst == 0.5
    assert cost_from_plain(cost.to_plain()) == cost
    many = Cost({f"{a}{a}": Changed(10, 1) for a in "abcdef"})
    assert str(many) == "10.0 % of 60 other answers changed (aa 10.0, bb 10.0, cc 10.0, dd 10.0, 2 more)"
    assert together([cost, Cost({"de": Changed(100, 3)})]).languages["de"] == Changed(600, 5)
    assert counted([("de", True), ("de", False)]) == Cost({"de": Changed(2, 1)})
    assert not Cost().known
    for broken in ({"de": {"rows": 1}}, {"de": {"rows": 1, "changed": -1}}, {"de": {"rows": 1, "changed": 0.5}}):
        with pytest.raises(TypeError):
            cost_from_plain(broken)
    assert parted(MemoryTexts()).held_out == {}
