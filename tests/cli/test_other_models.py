"""A decoder, and an encoder whose answer is a mean, by the verbs: edited, asked, and not merged."""

import json
import warnings

import pytest

from polypatch.errors import PolypatchWarning
from polypatch.testing import tiny_model, tiny_texts


@pytest.mark.parametrize("build", ["llama", "eurobert"])
def test_any_classifier_is_edited_by_the_verbs(polypatch, files, tmp_path, build):
    model, tokenizer = tiny_model(build)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    (tmp_path / "memory.txt").write_text("\n".join(tiny_texts(30)))
    edit = ("edit", tmp_path / "base", "--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", tmp_path / "memory.txt")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", PolypatchWarning)
        ran = polypatch(*edit, "--recipe", "polypatch-linear", "--out", tmp_path / "run", "--quiet")
        asked = polypatch("try", tmp_path / "run", "ba be bi", "--json")
    assert ran.code == asked.code == 0
    assert any("full forward passes" in str(one.message) for one in said) == (build == "eurobert")
    assert json.loads((tmp_path / "run" / "report.json").read_text())
    why = {"llama": "gated or of experts", "eurobert": "reads several positions"}[build]
    assert why in polypatch("merge", tmp_path / "run", "--out", tmp_path / "merged").refused()
