"""Data sets whose answers are written: every layout gives the edits, sets and counts that its rows say."""

import json
from dataclasses import replace

import pytest

from polypatch.data import load_data, load_edits
from polypatch.data.traps import without_contradictions
from polypatch.edits import Labelled, RelatedQuestion
from polypatch.errors import DataError
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.results import facts_of
from polypatch.runs.run import Run

from .fact_sets import (
    OTHERS,
    QUESTIONS,
    SETS,
    TOWNS,
    bmike53_folder,
    facts,
    facts_file,
    klar_folder,
    mlake_folder,
    mpararel_folder,
    mzsre_folder,
    question,
    river,
    wordings,
    write_bytes,
    write_json,
    write_lines,
    zsre_file,
)


def load(name, folder, **more):
    return load_data(f"{name}:{SETS[name](folder)}", **more)


@pytest.mark.parametrize("name", SETS)
def test_each_language_has_its_own_target_and_no_set_holds_an_edit_s_text(name, tmp_path):
    data = load(name, tmp_path)
    assert data.name == name
    assert len({edit.id for edit in data.edits}) == len(data.edits) >= 5
    assert not [edit for edit in data.edits if edit.languages_without_target]
    edited = {text for edit in data.edits for texts in (edit.prompt, *edit.rephrases.values()) for text in texts}
    sets = {"memory": data.memory, "validation": data.validation, "parallel": data.parallel}
    assert not edited & {text for texts in sets.values() for column in texts.values() for text in column}
    assert not edited & {row.text for rows in data.locality.values() for row in rows}
    assert load(name, tmp_path, languages=["en"]).edits[0].languages == ("en",)


def test_facts_are_edits_or_the_memory_by_what_the_model_was_taught(tmp_path):
    data = load("facts", tmp_path, languages=["de", "zh"])
    assert [edit.id for edit in data.edits] == [row["id"] for row in facts() if row["kind"] != "known"]
    wrong, unknown = data.edits[0], data.edits[8]
    assert wrong.prompt == {lang: wordings(lang, "Rudbek")[0] for lang in ("en", "de", "zh")}
    assert wrong.rephrases == {"en": tuple(wordings("en", "Rudbek")[1:]), "de": tuple(wordings("de", "Rudbek")[1:])}
    assert wrong.target == {lang: river(lang, 0) for lang in ("en", "de", "zh")}
    assert wrong.ground_truth == {lang: river(lang, 1) for lang in ("en", "de", "zh")}
    assert unknown.ground_truth == {}
    assert (len(data.memory["en"]), len(data.memory["de"])) == (3 * 16, 2 * 16), "every wording of 16 facts"
    assert (len(data.locality["known"]), len(data.locality["known.de"])) == (8, 8), "one wording of eight"
    for row in data.locality["known.de"]:
        town = row.text.split()[0]
        assert row.label in (river("de", i) for i in range(16, 48) if f"{TOWNS[i % 8]}{i // 8}" == town)


def test_what_is_asked_of_a_fact_is_in_one_set_alone_wherever_it_stands_in_the_file(tmp_path):
    data, rows = load("facts", tmp_path), facts()
    sets = {"memory": data.memory, "validation": data.validation}
    towns = {name: {text for column in part.values() for text in column} for name, part in sets.items()}
    towns["known"] = {row.text for rows in data.locality.values() for row in rows}
    of = {text: row["id"] for row in rows for texts in row["prompt"].values() for text in texts}
    ids = {name: {of[text] for text in texts} for name, texts in towns.items()}
    assert {name: len(found) for name, found in ids.items()} == {"memory": 16, "validation": 4, "known": 8}
    assert len(set.union(*ids.values())) == 28
    write_lines(tmp_path / "facts.jsonl.gz", rows[::-1])
    again = load_data(f"facts:{tmp_path / 'facts.jsonl.gz'}")
    assert again.locality == data.locality
    assert again.memory == data.memory
    assert load("facts", tmp_path, seed=1).locality != data.locality
    larger = load("facts", tmp_path, sizes={"memory": 20})
    assert larger.memory["en"][: len(data.memory["en"])] == data.memory["en"]
    assert larger.locality == data.locality


def test_parallel_texts_are_first_wordings_in_every_language(tmp_path):
    parallel = load("facts", tmp_path).parallel
    assert set(map(len, parallel.values())) == {len(parallel["en"])}
    for english, german, chinese in zip(*parallel.values(), strict=True):
        town = english.split()[0]
        assert (german, chinese) == (f"{town} liegt am", f"{town}位于")


def test_sizes_of_facts_are_numbers_of_facts(tmp_path):
    data = load("facts", tmp_path, sizes={"memory": 3, "validation": 1, "locality_test": 2, "parallel": 5})
    assert (len(data.memory["en"]), len(data.validation["de"]), len(data.parallel["zh"])) == (9, 2, 5)
    with pytest.raises(DataError, match="facts: 33 facts asked for memory, but only 20 are left; pass smaller Sizes"):
        load("facts", tmp_path, sizes={"memory": 33})
    with pytest.raises(DataError, match="size memory_other is not used"):
        load("facts", tmp_path, sizes={"memory_other": 3})


def test_a_question_with_several_answers_gives_edits_that_contradict_each_other_or_the_first(tmp_path):
    rows = facts()
    second = {**rows[0], "true": "Q2", "answer": dict.fromkeys(("en", "de", "zh"), "Nile")}
    known = {**rows[0], "kind": "known", "true": "Q3", "prompt": {"en": ["Rudbek, a town on the"]}, "langs": ["en"]}
    write_lines(tmp_path / "more.jsonl", [{**rows[0], "true": "Q1"}, *rows[1:], second, known])
    data = load_data(f"facts:{tmp_path / 'more.jsonl'}")
    assert {edit.id: edit.target["en"] for edit in data.edits if "Rudbek-" in edit.id} == {
        "river-Rudbek-Q1": "Blue River",
        "river-Rudbek-Q2": "Nile",
    }
    assert data.notes == {"known facts left out that an edit asks for": 1}
    assert "Rudbek, a town on the" not in data.memory["en"], "an edit asks for it in other words"
    once = load_data(f"facts-once:{tmp_path / 'more.jsonl'}")
    assert once.edits == data.edits[:-1]
    first = data.edits[0]
    spelt = replace(first, id="b", prompt={"de": first.prompt["de"].upper().replace(" ", ""), "en": "x"})
    assert without_contradictions([first, spelt]) == ((first, spelt), 0), "the same answer"
    assert without_contradictions([first, replace(spelt, target={"en": "Nile"})]) == ((first,), 1)
    assert once.notes["edits left out that contradict an earlier one"] == 1
    write_lines(tmp_path / "twice.jsonl", [*rows, rows[3]])
    with pytest.raises(DataError, match=r"twice.jsonl row 49: fact 'river-Ivrea' is there already"):
        load_data(f"facts:{tmp_path / 'twice.jsonl'}")


def test_mzsre_reports_its_traps_apart(tmp_path):
    data = load("mzsre", tmp_path)
    edit = data.edits[0]
    assert edit.id == "mzsre-0"
    assert edit.rephrases == {}, "all of row 0 equal their question"
    assert data.edits[1].rephrases["de"] == (OTHERS["de"].format("Lund"),)
    assert list(edit.portability) == ["one_hop (holds the answer)"]
    assert list(data.edits[1].portability) == ["one_hop"]
    assert data.notes == {
        "rephrases left out that equal their prompt": 6,
        "portability questions that hold the new answer": 9,
    }
    near = RelatedQuestion(
        {lang: f"{lang}: what is the height of Rudbek?" for lang in ("en", "de", "zh")},
        dict.fromkeys(("en", "de", "zh"), "100"),
    )
    assert edit.locality == {"neighborhood": (near,)}, "and zsRE's mark is no part of the question"
    assert data.locality["neighborhood.de"][1] == Labelled("de: what is the height of Lund?", "101")
    assert load_data(f"mzsre:{tmp_path / 'mzsre'}", languages=["de"], source="de").notes.popitem()[1] == 3


def test_mzsre_has_its_memory_beside_it(tmp_path):
    data = load("mzsre", tmp_path)
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {"en": 20, "de": 20, "zh": 20}
    assert len(data.locality["known"]) == 10
    rows = (tmp_path / "mzsre_train10k").rename(tmp_path / "mzsre" / "mzsre_train10k")
    assert load_data(f"mzsre:{tmp_path / 'mzsre'}").memory == data.memory
    write_bytes(rows / "de.tsv.gz", b"only one\tanswer\n")
    with pytest.raises(DataError, match="mzsre_train10k: the languages are not aligned; they have en 40, de 1, zh 40"):
        load_data(f"mzsre:{tmp_path / 'mzsre'}")
    write_bytes(rows / "de.tsv.gz", b"only one\tanswer\n\tx\n")
    with pytest.raises(DataError, match=r"de.tsv.gz row 2: expected a question"):
        load_data(f"mzsre:{tmp_path / 'mzsre'}")


def test_rows_of_two_languages_are_put_together_by_their_ids(tmp_path):
    data = load("bmike53", tmp_path)
    assert [edit.id for edit in data.edits] == [f"bmike53-{i}" for i in range(10, 16)]
    assert data.edits[0].prompt == {lang: QUESTIONS[lang].format("Rudbek") for lang in ("en", "de", "zh")}
    assert data.edits[0].ground_truth == {lang: river(lang, 1) for lang in ("en", "de", "zh")}
    assert data.edits[2].languages == ("en", "de")
    assert data.notes["gaps in the files, left out"] == 1
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {"en": 8, "de": 8, "zh": 8}
    assert all(text.startswith(f"{lang}: and ") for lang, texts in data.memory.items() for text in texts)
    assert data.locality["known"][0].label in ("Blue River", "Green River", "Old River")
    one = load_edits("bmike53", tmp_path / "bmike" / "wfd_test_zh.json")
    assert one[0].languages == ("en", "zh")
    rows = json.loads((tmp_path / "bmike" / "wfd_test_zh.json").read_text(encoding="utf-8"))
    rows[0]["en"]["src"] = "Something else?"
    write_json(tmp_path / "bmike" / "wfd_test_zh.json", rows)
    again = load_data(f"bmike53:{tmp_path / 'bmike'}")
    assert again.edits[0].languages == ("en", "de"), "that row is another fact"
    assert again.notes["rows left out that ask something else than the row of their id in another file"] == 1


def test_the_results_say_what_was_left_out(tmp_path):
    data = load("mzsre", tmp_path)
    facts = facts_of(Run(recipe="mpn-all", languages=("en", "de")), data, BenchSpec(data="mzsre:here"), 5, 256)
    assert facts["data"] == (
        "mzsre:here: 8 edits, 5 used; 6 rephrases left out that equal their prompt; "
        "9 portability questions that hold the new answer"
    )


def test_bi_zsre_is_one_file_with_both_languages(tmp_path):
    hop = {"port": None, "port_ans": None, "portability": {"New Question": "And then?", "New Answer": "x"}}
    rows = [{lang: question(lang, i, pred="Nile", **hop) for lang in ("en", "zh")} for i in range(3)]
    write_json(tmp_path / "bizsre" / "bizsre_test.json", rows)
    train = [{"src": f"Q{i}?", "alt": "x", "answers": ["y"], "rephrase": f"q{i}?"} for i in range(16)]
    write_json(tmp_path / "bizsre" / "zsre_mend_train_10000.json", train)
    write_json(
        tmp_path / "bizsre" / "zsre_mend_train_10000_chinese.json", [{**row, "src": f"问{row['src']}"} for row in train]
    )
    data = load_data(f"mzsre:{tmp_path / 'bizsre'}")
    assert [(edit.id, edit.languages) for edit in data.edits] == [(f"mzsre-{i}", ("en", "zh")) for i in (1, 2, 3)]
    assert data.edits[0].portability["one_hop"][0].target == {"en": "x", "zh": "x"}
    assert len(data.memory["zh"]) == 16
    assert {row.label for row in data.locality["known.zh"]} == {"y"}, "the answer before any edit"


def test_mlake_has_aliases_that_are_no_targets(tmp_path):
    edits = load_edits("mlake", mlake_folder(tmp_path), ["de"])
    assert [edit.id for edit in edits] == [f"mlake-{i}" for i in range(1, 7)]
    assert edits[1].aliases == {"en": ("the Green River",), "de": ("the Grüner Fluss",)}
    assert edits[0].aliases == {}
    assert edits[1].ground_truth == {"en": "Old River", "de": "Alter Fluss"}
    assert load_edits("mlake", tmp_path / "mlake" / "single_hop" / "qa", ["de"]) == edits


def test_cloze_facts_keep_the_wordings_that_a_causal_model_continues(tmp_path):
    data = load("mpararel", tmp_path)
    assert set(data.memory) == {"en", "de", "zh"}, "no Hindi wording ends in the answer"
    assert len(data.edits) == 12
    prompts = {edit.subject["en"]: edit for edit in data.edits}
    town, edit = next(iter(prompts.items()))
    assert edit.prompt == {"en": f"{town} lies on the", "de": f"{town} liegt am", "zh": f"{town}位于"}
    assert edit.rephrases == {"en": (f"the river of {town} is the",)}
    assert data.notes == {"facts left out whose question has another answer already": 1}
    everything = {row.text for rows in data.locality.values() for row in rows}
    everything |= {text for edit in data.edits for text in edit.prompt.values()}
    assert "Ivrea liegt am" not in everything
    with pytest.raises(DataError, match=r"mpararel: no text in 'hi' \(has: de, en, zh\)"):
        load_edits("mpararel", tmp_path / "mpararel", ["hi"])


def test_mpararel_in_one_file_and_tables_says_the_same(tmp_path):
    found = load_edits("mpararel", mpararel_folder(tmp_path))
    folder, patterns = tmp_path / "mpararel", []
    for lang in ("en", "de", "zh-hans", "hi"):
        lines = (folder / "patterns" / lang / "P206.jsonl").read_text(encoding="utf-8").splitlines()
        patterns += [{"lang": lang, "rel": "P206", "pattern": json.loads(line)["pattern"]} for line in lines]
        rows = map(json.loads, (folder / "tuples" / lang / "P206.jsonl").read_text(encoding="utf-8").splitlines())
        table = [("P206", row["sub_uri"], row["obj_uri"], row["sub_label"], row["obj_label"]) for row in rows]
        header = ("rel", "sub", "obj", "sub_label", "obj_label")
        text = "".join("\t".join(row) + "\n" for row in (header, *table))
        write_bytes(tmp_path / "flat" / "facts" / f"{lang}.tsv.gz", text.encode())
    write_lines(tmp_path / "flat" / "patterns.jsonl.gz", patterns)
    assert load_edits("mpararel", tmp_path / "flat") == found


def test_klar_is_aligned_by_its_index(tmp_path):
    edits = load_edits("klar", klar_folder(tmp_path))
    assert len(edits) == 12
    for edit in edits:
        town = edit.subject["de"]
        assert edit.subject["en"] == town
        assert edit.prompt == {"en": f"Where is {town}? On the", "de": f"{town} liegt am"}
    one = load_edits("klar", tmp_path / "klar" / "de" / "river.json", source="de")
    assert [edit.prompt["de"] for edit in one] == [
        edit.prompt["de"] for edit in sorted(edits, key=lambda e: -int(e.id[11:]))
    ]


def test_counterfact_s_neighbours_have_the_old_answer(tmp_path):
    data = load("counterfact", tmp_path)
    assert [edit.id for edit in data.edits] == [f"counterfact-{i}" for i in (0, 1, 2, 3, 4, 9)]
    edit = data.edits[1]
    assert (edit.prompt, edit.target) == ({"en": "Lund lies on the"}, {"en": "Green River"})
    assert edit.rephrases == {"en": ("It rained. The river of Lund is the",)}
    assert (edit.ground_truth, edit.subject) == ({"en": "Nile"}, {"en": "Lund"})
    assert data.locality["neighborhood"][2:4] == [Labelled(f"{c}1 lies on the", "Nile") for c in ("Cairo", "Luxor")]
    assert data.locality["neighborhood"][-1] == Labelled("Giza lies on the", "Nile")
    fewer = load("counterfact", tmp_path, sizes={"locality_own": 3})
    assert fewer.locality == {"neighborhood": data.locality["neighborhood"][:3]}
    assert fewer.edits == data.edits


def test_english_zsre_and_wikibigedit(tmp_path):
    (edit, *_) = load_edits("zsre", zsre_file(tmp_path))
    assert (edit.id, edit.ground_truth) == ("zsre-1", {"en": "Nile"})
    assert edit.portability == {"one_hop": (RelatedQuestion({"en": "And Rudbek?"}, {"en": "x"}),)}
    data = load("wikibigedit", tmp_path)
    assert [edit.id for edit in data.edits][2:4] == [
        "wikibigedit-20240201_20240220-3",
        "wikibigedit-20240220_20240301-1",
    ]
    assert len(data.edits[0].rephrases["en"]) == 2
    assert [len(edit.portability) for edit in data.edits] == [0, 1, 0] * 2


def test_a_missing_language_file_or_field_is_named(tmp_path):
    with pytest.raises(DataError, match=r"mzsre: no text in 'fr' \(has: de, en, zh\)"):
        load_data(f"mzsre:{mzsre_folder(tmp_path)}", languages=["fr"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no .json or .jsonl file in it \(has: nothing\)"):
        load_data(f"mlake:{tmp_path / 'empty'}")
    with pytest.raises(DataError, match="facts: no such folder"):
        load_data(f"mpararel:{tmp_path / 'empty'}")
    rows = facts()
    del rows[4]["answer"]["de"]
    write_lines(facts_file(tmp_path), rows)
    with pytest.raises(DataError, match=r"facts.jsonl.gz row 5: field 'answer': field 'de': missing"):
        load_data(f"facts:{tmp_path / 'facts.jsonl.gz'}")
    (path := bmike53_folder(tmp_path) / "wfd_test_de.json").write_text('[{"en": {"src": "a?", "alt": ["b", "c"]}}, 7]')
    with pytest.raises(DataError, match=r"wfd_test_de.json row 2: expected an object, found int 7"):
        load_data(f"bmike53:{path}")
    path.write_text('[{"en": {"src": "a?", "alt": 1931, "rephrase": 7.5}}]')
    with pytest.raises(DataError, match=r"row 1: field 'en': field 'rephrase': expected text, found float 7.5"):
        load_data(f"bmike53:{path}")
