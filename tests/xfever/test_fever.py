"""FEVER's layout, its errors, and the paper's split."""

import gzip
import json
import time

import pytest

from polypatch.data.fever import PAPER, Choices, FeverClaim, cut_in_three, load_fever, read_fever
from polypatch.errors import DataError, InputError

from .tiny_marian import fever_rows, write_rows


def one(tmp_path, row, **choices):
    """The claim of a file with one row."""
    (claim,) = read_fever(write_rows(tmp_path / "f.jsonl", [row]), Choices(**choices))
    return claim


def row(**changed):
    base = {"id": 7, "input": "A claim.", "output": [{"answer": "SUPPORTS"}]}
    return {name: value for name, value in (base | changed).items() if value is not ...}


def test_the_layout_of_the_released_code(tmp_path):
    assert one(tmp_path, row(rephrases=["Claimed."], logit=-0.3, prediction="REFUTES")) == FeverClaim(
        "7", "A claim.", "SUPPORTS", ("Claimed.",)
    )


@pytest.mark.parametrize(
    ("fields", "field", "found"),
    [
        ({"rephrases": ["r"]}, "auto", ("r",)),
        ({"filtered_rephrases": ["f"]}, "auto", ("f",)),
        ({"rephrases": ["r"], "filtered_rephrases": ["f"]}, "auto", ("r",)),
        ({"rephrases": ["r"], "filtered_rephrases": ["f"]}, "filtered_rephrases", ("f",)),
        ({"rephrases": ["r"], "filtered_rephrases": []}, "filtered_rephrases", ()),
        ({"rephrases": None, "filtered_rephrases": ["f"]}, "auto", ("f",)),
        ({"filtered_rephrases": ["f"]}, "rephrases", ()),
        ({}, "auto", ()),
        ({"rephrases": ["r", "A claim.", "", " ", "r", "s"]}, "auto", ("r", "s")),
    ],
)
def test_rephrases(tmp_path, fields, field, found):
    assert one(tmp_path, row(**fields), rephrases=field).rephrases == found


def test_several_answers(tmp_path):
    evidence = {"provenance": [{"title": "Lund"}]}
    agreed = row(output=[evidence, {"answer": "REFUTES"}, {"answer": "REFUTES", "meta": {}}, {"answer": None}])
    assert one(tmp_path, agreed).label == "REFUTES"
    split = row(output=[{"answer": "SUPPORTS"}, {"answer": "REFUTES"}])
    assert one(tmp_path, split, answers="first").label == "SUPPORTS"
    with pytest.raises(DataError, match=r"row 1: field 'output': two answers, SUPPORTS and REFUTES; .*answers=first"):
        one(tmp_path, split)


def test_ids_and_gzip(tmp_path):
    path = tmp_path / "fever-train.jsonl.gz"
    lines = [json.dumps(row(id="a")), "", json.dumps(row(id=...)), json.dumps(row(id=3))]
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert [claim.id for claim in read_fever(path)] == ["a", "fever-train-3", "3"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row(input=...), "field 'input': expected text, found None"),
        (row(input="  "), "field 'input': empty"),
        (row(input=5), "field 'input': expected text, found 5"),
        (row(input="a\ud800"), "field 'input': half a character"),
        ({"claim": "c", "label": "SUPPORTS"}, "field 'input': missing, and there is a 'claim'"),
        (row(id=True), "field 'id': expected text or a whole number, found True"),
        (row(id=" "), "field 'id': expected text"),
        (row(output=...), "field 'output': expected a list of answers, found None"),
        (row(output=[]), "field 'output': no answer; FEVER's test file has none"),
        (row(output=["SUPPORTS"]), r"field 'output\[0\]': expected an object, found 'SUPPORTS'"),
        (row(output=[{"answer": "NOT ENOUGH INFO"}]), r"'output\[0\].answer': 'NOT ENOUGH INFO' is not one of REFUTES"),
        (row(output=[{"answer": ["SUPPORTS"]}]), r"'output\[0\].answer': \['SUPPORTS'\] is not one of"),
        (row(rephrases="text"), "field 'rephrases': expected a list of texts, found 'text'"),
        (row(rephrases=["a", 4]), r"field 'rephrases\[1\]': expected text, found 4"),
        ([1], r"expected an object, found \[1\]"),
    ],
)
def test_errors_name_file_row_and_field(tmp_path, wrong, said):
    path = write_rows(tmp_path / "f.jsonl", [row(id=1), wrong])
    with pytest.raises(DataError, match=said) as caught:
        read_fever(path)
    assert str(caught.value).startswith(f"{path} row 2: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_fever(tmp_path / "none.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"input": ', encoding="utf-8")
    with pytest.raises(DataError, match=r"broken.jsonl row 1: not JSON"):
        read_fever(tmp_path / "broken.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no claims"):
        read_fever(tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match="row 2: field 'id': '7' is already the id of row 1"):
        read_fever(write_rows(tmp_path / "twice.jsonl", [row(), row(input="b")]))


def test_a_test_set_that_was_trained_on_is_refused(tmp_path):
    train = write_rows(tmp_path / "train.jsonl", fever_rows(20))
    with pytest.raises(DataError, match=r"also in .*train.jsonl; give FEVER's development file"):
        load_fever(train, train)
    with pytest.raises(DataError, match="9 claims; a tenth of them is to be edited"):
        load_fever(write_rows(tmp_path / "few.jsonl", fever_rows(9)), write_rows(tmp_path / "d.jsonl", [row(id="x")]))


def ids(number):
    return [FeverClaim(str(i), f"Claim {i}.", "SUPPORTS") for i in range(number)]


def sizes(parts):
    return tuple(len(parts[name]) for name in ("train", "validation", "editing", "left_over"))


def test_the_paper_s_counts(figure):
    """KILT's training file has 104,966 claims: rounding down gives Table 4 and leaves two over."""
    started = time.perf_counter()
    paper = (PAPER["train"], PAPER["validation"], PAPER["editing"])
    assert sizes(cut_in_three(ids(104_966), Choices())) == (*paper, 2)
    # A file of exactly the sum gives Table 4 where the rest goes to D_train; by itself rounding down is one short.
    assert sizes(cut_in_three(ids(104_964), Choices(remainder="train"))) == (*paper, 0)
    assert sizes(cut_in_three(ids(104_964), Choices())) == (paper[0] - 1, *paper[1:], 1)
    figure("seconds of three splits of 104,966 claims", time.perf_counter() - started)


@pytest.mark.parametrize("number", [10, 11, 99, 1003])
def test_splits_are_disjoint_and_the_seed_s_own(number):
    claims = ids(number)
    for remainder in ("drop", "train"):
        parts = cut_in_three(claims, Choices(seed=4, remainder=remainder))
        together = [claim for part in parts.values() for claim in part]
        assert len(together) == len(set(together)) == number
        assert parts == cut_in_three(claims, Choices(seed=4, remainder=remainder))
        assert parts["train"] != cut_in_three(claims, Choices(seed=5, remainder=remainder))["train"]
    assert claims == ids(number)


def test_claims_without_another_wording(tmp_path):
    rows = [{**row, "rephrases": row["rephrases"] if row["id"] % 2 else []} for row in fever_rows(200)]
    files = write_rows(tmp_path / "t.jsonl", rows), write_rows(tmp_path / "d.jsonl", fever_rows(5, first=200))
    kept, dropped = (load_fever(*files, Choices(unrephrased=word)) for word in ("keep", "drop"))
    assert len(kept.editing) == 20
    assert dropped.editing == tuple(claim for claim in kept.editing if claim.rephrases)
    assert kept.counts()["test"] == 5


def test_choices_are_checked():
    with pytest.raises(InputError, match="choice remainder=keep: expected one of drop, train"):
        Choices(remainder="keep")
    with pytest.raises(InputError, match="choice memory=-1: expected 0 or more"):
        Choices(memory=-1)
