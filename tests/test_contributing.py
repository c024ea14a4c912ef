"""CONTRIBUTING's additions from outside the package are run as they stand there: its files, its laws, its commands."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import polypatch as pp
from polypatch.errors import ArtefactError
from polypatch.sites.readouts.readout import READOUTS
from polypatch.testing import tiny_model

PAGE = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCE = Path(pp.__file__).parent
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
(COMMANDS,) = (
    block for block in re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL) if "mine" in block
)
TABLES = {"shift.py": "KINDS", "shift_tuning.py": "ROWS", "toml_edits.py": "FORMATS", "either_order.py": "READOUTS"}
EDITS = """
[[edit]]
text = "ba be bi"
label = "class-0"

[[edit]]
prompt = {en = "do du da", de = "fo fu fa"}
target_new = "class-1"
"""


@pytest.fixture
def outside(tmp_path):
    """A folder with the files of the page, and what its commands speak of."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "edits.toml").write_text(EDITS, encoding="utf-8")
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "my-model")
    tokenizer.save_pretrained(tmp_path / "my-model")
    return tmp_path


def run(folder, command, code=0):
    """What a command prints, on both streams."""
    words = shlex.split(command)
    ran = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    return ran.stdout + ran.stderr


def test_each_addition_is_one_file_and_one_row():
    assert {*TABLES, "laws.py", "mine.py"} == set(FILES)
    for name, table in TABLES.items():
        assert re.findall(r"^([A-Z]+)\[", FILES[name], flags=re.MULTILINE) == [table]


def test_the_map_has_every_room_and_no_other():
    (table,) = re.findall(r"^\| in `src/polypatch/` \| \|\n(.*?)\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)
    named = {name for row in table.splitlines() for name in re.findall(r"`([\w.]+)/?`", row.split("|")[1])}
    there = {path.name for path in SOURCE.iterdir() if not path.name.startswith("_") and path.suffix in ("", ".py")}
    assert named == there


def test_the_names_on_the_page_exist():
    """Said at once, and not by the slow test alone."""
    imports = re.findall(r"^from (polypatch[\w.]*) import (.*)$", "\n".join(FILES.values()), flags=re.MULTILINE)
    assert len(imports) > 10
    for module, names in imports:
        assert all(hasattr(importlib.import_module(module), name) for name in names.split(", ")), (module, names)


@pytest.mark.slow
def test_the_page_does_what_it_says(outside):
    said = {command: run(outside, command) for command in COMMANDS.strip().splitlines()}
    laws, recipes, data, edit, log, asked = said.values()
    assert laws == ""
    assert re.search(r"shift\s.*ShiftTuning", recipes)
    assert "toml:FILE" in data
    assert "2" in edit
    assert "ba-be-bi-" in log
    assert "class-1" in asked
    config = json.loads((outside / "run" / "edits" / "edit_config.json").read_text(encoding="utf-8"))
    assert config["delta"] == "shift"
    assert config["settings"]["recipe"]["editor"] == {"name": "ShiftTuning", "learning_rate": 0.1, "max_steps": 200}


WITHOUT = {
    "shift.py": "delta",
    "shift_tuning.py": "no recipe is called 'shift'",
    "toml_edits.py": "edits.toml",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT)
def test_without_its_row_an_addition_is_not_there(outside, name):
    """And is refused by name: nothing is looked up but in the tables."""
    path = outside / name
    path.write_text(re.sub(r"^[A-Z]+\[.*", "", FILES[name], flags=re.MULTILINE), encoding="utf-8")
    edit = next(command for command in COMMANDS.splitlines() if " edit " in command)
    assert WITHOUT[name] in run(outside, edit, code=2)


def test_edits_are_opened_with_the_readout_that_they_were_made_with(tmp_path, monkeypatch):
    """A question of two rows: both must be said, and a folder of such edits is no other model's."""
    monkeypatch.setitem(READOUTS, "either-order", None)  # taken out again at the end
    exec(compile(FILES["either_order.py"], "either_order.py", "exec"), {})
    model, tokenizer = tiny_model("bert")
    pairs = [((f"ba {i}", f"be bi {i}"), f"class-{i % 3}") for i in range(3)]
    asked = pp.Encoding(readout="either-order")
    with pytest.warns(pp.PolypatchWarning):
        edited = pp.edit(model, pairs, tokenizer=tokenizer, memory=[("bo", "du")] * 5, encoding=asked)
    assert [edited.predict(pair) for pair, _ in pairs] == [label for _, label in pairs]
    assert [edited.predict(pair[::-1]) for pair, _ in pairs] == [label for _, label in pairs]
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    assert loaded.readout.kind == "either-order"
    loaded.unload()
    monkeypatch.delitem(READOUTS, "either-order")
    with pytest.raises(ArtefactError, match="readout 'either-order'"):
        pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
