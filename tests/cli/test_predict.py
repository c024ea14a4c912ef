"""polypatch predict: a file of texts in, their answers out."""

import csv
import json

import pytest

from polypatch.edited_model import EditedModel
from polypatch.testing import tiny_texts

TEXTS = tiny_texts(7, seed=3)


@pytest.fixture
def asked(edited):
    """What the edited model says to the texts."""
    model = EditedModel.from_pretrained(edited / "edits")
    shares = model.predict_proba(TEXTS)
    labels = model.predict(TEXTS)
    model.unload()
    return labels, shares.max(1)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return tmp_path / "texts.txt"


def test_every_text_is_answered_in_order(polypatch, edited, file, asked):
    rows = polypatch("predict", edited, file, "--json", "--quiet").json()
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == asked[0]
    assert [row["probability"] for row in rows] == pytest.approx(asked[1], abs=1e-5)


def test_a_text_that_stands_there_twice_is_answered_twice(polypatch, edited, tmp_path):
    """Each row of the file has its row of answers: whoever puts the two side by side gets the right ones."""
    texts = [TEXTS[0], TEXTS[1], TEXTS[0]]
    rows = [{"lang": "en", "text": text, "label": f"class-{i}"} for i, text in enumerate(texts)]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "t.txt").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "t.csv").write_text("text\n" + "\n".join(texts), encoding="utf-8")
    for name in ("t.jsonl", "t.txt", "t.csv"):
        said = polypatch("predict", edited, tmp_path / name, "--json", "--quiet").json()
        assert [row["text"] for row in said] == texts


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
def test_answers_go_into_a_file(polypatch, edited, file, asked, tmp_path, suffix):
    out = tmp_path / f"answers{suffix}"
    said = polypatch("predict", edited, file, "--out", out, "--quiet")
    assert said.out == f"7 texts; the answers are in {out}\n"
    content = out.read_text(encoding="utf-8")
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in content.splitlines()]
    else:
        rows = list(csv.DictReader(content.splitlines(), delimiter="\t" if suffix == ".tsv" else ","))
    assert [(row["lang"], row["text"], row["label"]) for row in rows] == [
        ("en", text, label) for text, label in zip(TEXTS, asked[0], strict=True)
    ]


def test_labels_in_the_file_are_counted(polypatch, edited, asked, tmp_path):
    rows = [("text", "lang", "label"), *((text, "de", label) for text, label in zip(TEXTS[:3], asked[0], strict=False))]
    (tmp_path / "t.csv").write_text("".join(f"{','.join(row)}\n" for row in rows), encoding="utf-8")
    assert "3 texts; 3 of 3 are labelled so" in polypatch("predict", edited, tmp_path / "t.csv", "--quiet").out


def test_a_model_without_edits_and_all_its_classes(polypatch, checkpoint, file):
    rows = polypatch("predict", checkpoint, file, "--json", "--all-classes", "--quiet").json()
    for row in rows:
        assert sum(row["classes"].values()) == pytest.approx(1, abs=1e-4)
        assert max(row["classes"], key=row["classes"].get) == row["label"]


def test_mistakes(polypatch, edited, file, tmp_path):
    assert ".csv" in polypatch("predict", edited, file, "--out", tmp_path / "a.xlsx").refused()
    assert "needs room" in polypatch("predict", edited, file, "--all-classes").refused()
    assert "no such file" in polypatch("predict", edited, tmp_path / "gone.txt", "--quiet").refused()
    assert "no such folder" in polypatch("predict", tmp_path / "gone" / "edits", file, "--quiet").refused()
