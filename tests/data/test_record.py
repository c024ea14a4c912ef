"""One JSON object <-> one Edit: EasyEdit's shapes, and errors that name the field."""

import pytest

from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.edits import Edit, RelatedQuestion
from polypatch.errors import DataError


def read(record, source="en"):
    return edit_from_record(record, default_id="row-1", source=source)


BASIC = {"prompt": "The ferry leaves at noon.", "target_new": "REFUTES"}


def test_plain_values_are_in_the_source_language():
    optional = {"ground_truth": "SUPPORTS", "rephrase_prompt": "At noon the ferry leaves.", "subject": "ferry"}
    edit = read({**BASIC, **optional})
    assert edit == Edit(
        id="row-1",
        prompt={"en": "The ferry leaves at noon."},
        target={"en": "REFUTES"},
        ground_truth={"en": "SUPPORTS"},
        rephrases={"en": ("At noon the ferry leaves.",)},
        subject={"en": "ferry"},
    )
    assert read(BASIC, source="de").prompt == {"de": BASIC["prompt"]}
    assert read({**BASIC, "source": "fr"}, source="de").source == "fr", "the row's own source wins"


def test_language_maps_and_pairs():
    pair = {"premise": "It rained.", "hypothesis": "It was dry."}
    paar = {"premise": "Es regnete.", "hypothesis": "Es war trocken."}
    edit = read({"prompt": {"en": pair, "de": paar}, "target_new": "contradiction", "rephrase_prompt": [pair, "x"]})
    assert edit.prompt == {"en": ("It rained.", "It was dry."), "de": ("Es regnete.", "Es war trocken.")}
    assert edit.rephrases == {"en": (("It rained.", "It was dry."), "x")}
    assert read({**BASIC, "prompt": pair}).prompt == {"en": ("It rained.", "It was dry.")}


def test_a_list_of_two_strings_is_two_rephrases_never_a_pair():
    edit = read({**BASIC, "rephrase_prompt": {"de": ["a", "b"], "en": "c"}})
    assert edit.rephrases == {"de": ("a", "b"), "en": ("c",)}
    with pytest.raises(DataError, match=r"field 'prompt': expected text, found list"):
        read({**BASIC, "prompt": ["It rained.", "It was dry."]})


def test_easyedit_probes_in_every_shape_it_has():
    probe = {"prompt": "Ferries are", "ground_truth": "ships"}
    edit = read({
        **BASIC,
        "locality": {
            "list": [probe, {"prompt": "Trains are", "ground_truth": [["vehicles", "trains"]]}],
            "single": probe,
            "parallel": {"prompt": ["A", "B"], "ground_truth": ["x", "y"]},
            "one in a list": {"prompt": ["A"], "ground_truth": ["x", "alias of x"]},
            "no answer": [{"prompt": "A"}, {"prompt": "B", "ground_truth": []}],
            "nothing": None,
        },
        "portability": {"Reasoning": [{"prompt": {"en": "A", "de": "Ä"}, "ground_truth": {"en": "x"}}]},
    })  # fmt: skip
    ships = RelatedQuestion({"en": "Ferries are"}, {"en": "ships"})
    assert edit.locality == {
        "list": (ships, RelatedQuestion({"en": "Trains are"}, {"en": "vehicles"})),
        "single": (ships,),
        "parallel": (RelatedQuestion({"en": "A"}, {"en": "x"}), RelatedQuestion({"en": "B"}, {"en": "y"})),
        "one in a list": (RelatedQuestion({"en": "A"}, {"en": "x"}),),
        "no answer": (RelatedQuestion({"en": "A"}, {}), RelatedQuestion({"en": "B"}, {})),
    }
    assert edit.portability == {"Reasoning": (RelatedQuestion({"en": "A", "de": "Ä"}, {"en": "x"}),)}


def test_aliases_are_a_list_for_the_source_or_lists_by_language():
    record = {"id": "a", "source": "en", **BASIC, "target_new": {"en": "Rome", "de": "Rom"}}
    edit = read({**record, "aliases": ["Roma", "Rome (Italy)"]})
    assert edit.aliases == {"en": ("Roma", "Rome (Italy)")}
    assert read({**record, "aliases": "Roma"}).aliases == {"en": ("Roma",)}
    by_language = {**record, "aliases": {"en": ["Roma"], "de": ["Roma", "die Ewige Stadt"]}}
    assert record_from_edit(read(by_language)) == by_language
    assert "aliases" not in record_from_edit(read(record)), "an edit without any is written as it was before"


def test_languages_that_have_no_target_of_their_own():
    prompt, rephrases = {"de": "a", "en": "b", "fr": "c"}, {"fr": ["d"], "es": ["e"], "ar": []}
    edit = Edit(prompt=prompt, target={"en": "x", "de": "y"}, rephrases=rephrases)
    assert edit.languages_without_target == ("fr", "es")
    assert Edit(prompt=prompt, target=dict.fromkeys(prompt, "x")).languages_without_target == ()


def test_the_other_names_of_knowedit_and_counterfact():
    edit = read({
        "case_id": 7,
        "text": "The bridge is in",
        "labels": ["Porto"],
        "concept": "bridge",
        "rephrase": ["Where is the bridge?"],
        "ground_truth": [["Lisbon", "Lisboa"]],
        "locality_prompt": "The tower is in",
        "locality_ground_truth": "Belém",
        "portability": None,
        "an unknown field": 1,
    })  # fmt: skip
    assert (edit.id, edit.prompt, edit.target) == ("7", {"en": "The bridge is in"}, {"en": "Porto"})
    assert (edit.subject, edit.ground_truth) == ({"en": "bridge"}, {"en": "Lisbon"})
    assert edit.rephrases == {"en": ("Where is the bridge?",)}
    assert edit.locality == {"neighborhood": (RelatedQuestion({"en": "The tower is in"}, {"en": "Belém"}),)}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "expected an object, found list"),
        ("text", "expected an object, found str"),
        ({}, "field 'prompt': missing, also as text; the row has"),
        ({"prompt": {"de": "a"}, "target_new": "x"}, "field 'prompt': nothing in the source language 'en' (has: de)"),
        ({"prompt": "a"}, "field 'target_new': missing, also as labels or label or target"),
        ({"prompt": "a", "target_new": []}, "field 'target_new': nothing"),
        ({"prompt": 3, "target_new": "x"}, "field 'prompt': expected text, found int 3"),
        ({"prompt": {"en": None}, "target_new": "x"}, "field 'prompt.en': expected text, found NoneType"),
        ({"prompt": " ", "target_new": "x"}, "field 'prompt': empty text ' '"),
        ({"prompt": "a", "target_new": ""}, "field 'target_new': empty text ''"),
        ({"prompt": {"EN": "a"}, "target_new": "x"}, "field 'prompt': 'EN' is not a lower-case ISO 639"),
        ({"prompt": "a", "target_new": "x", "source": "english"}, "nothing in the source language|not a lower-case"),
        ({"prompt": {"premise": "a"}, "target_new": "x"}, "expected a text or {premise, hypothesis}"),
        ({"prompt": {"premise": "a", "hypothesis": 1}, "target_new": "x"}, "field 'prompt.hypothesis': expected text"),
        ({**BASIC, "id": True}, "field 'id': expected text, found bool"),
        ({**BASIC, "id": ""}, "non-empty id"),
        ({**BASIC, "rephrase_prompt": ["a", 2]}, "field 'rephrase_prompt[1]': expected text, found int"),
        ({**BASIC, "rephrase_prompt": {"de": ["a", {}]}}, "field 'rephrase_prompt.de[1]': expected a text"),
        ({**BASIC, "subject": 4}, "field 'subject': expected text"),
        ({**BASIC, "aliases": {"de": ["a", 2]}}, "field 'aliases.de[1]': expected text, found int"),
        ({**BASIC, "aliases": [" "]}, "field 'aliases[0]': empty text"),
        ({**BASIC, "locality": [1]}, "field 'locality': expected an object of named probes"),
        ({**BASIC, "locality": {"n": ["a"]}}, "field 'locality.n[0]': expected an object with a prompt"),
        ({**BASIC, "locality": {"n": {"prompt": ["a", "b"], "ground_truth": ["x"]}}}, "2 prompts need as many answers"),
        ({**BASIC, "portability": {"n": {"prompt": 1}}}, "field 'portability.n[0].prompt': expected text"),
        ({**BASIC, "prompt": "\ud83d half"}, "half of a surrogate pair"),
        ({**BASIC, "prompt": {"e\nn": "a"}}, r"'e\nn' is not a lower-case"),
    ],
)  # fmt: skip
def test_errors_name_the_field_in_one_line(record, message):
    with pytest.raises(DataError) as caught:
        read(record)
    assert any(part in str(caught.value) for part in message.split("|"))
    assert "\n" not in str(caught.value)


def test_long_values_are_cut_in_messages():
    with pytest.raises(DataError) as caught:
        read({**BASIC, "subject": ["word"] * 1000})
    assert len(str(caught.value)) < 200


def test_plain_values_are_written_plain_and_nothing_empty_is_written():
    edit = read({**BASIC, "rephrase_prompt": ["only one"]})
    assert record_from_edit(edit) == {"id": "row-1", "source": "en", **BASIC, "rephrase_prompt": "only one"}
