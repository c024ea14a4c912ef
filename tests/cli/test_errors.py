"""What newcomers do wrong: every time one line that says what and where, exit code 2, no traceback."""

import json

import pytest
from transformers import BertConfig, BertModel, ViTConfig, ViTForImageClassification

from polypatch.data import write_jsonl
from polypatch.testing import tiny_edits


@pytest.fixture
def edit(polypatch, checkpoint, files, tmp_path):
    def refused(*more, model=checkpoint, data=f"jsonl:{files / 'edits.jsonl'}"):
        given = () if data is None else ("--data", data)
        given += () if "--memory" in more else ("--no-memory", "--recipe", "polypatch-linear")  # the default needs one
        message = polypatch("edit", model, *given, "--out", tmp_path / "deep" / "run", "--quiet", *more).refused()
        assert not (tmp_path / "deep").exists()  # a mistake leaves nothing behind
        return message

    return refused


def test_no_data(edit):
    assert "--data is missing" in edit(data=None)


def test_an_unknown_data_format(edit):
    message = edit(data="xlsx:edits.xlsx")
    assert "'xlsx'" in message
    assert "jsonl" in message


def test_data_without_a_place(edit):
    assert "jsonl:PLACE" in edit(data="jsonl")


def test_a_missing_file(edit, tmp_path):
    assert f"{tmp_path / 'gone.jsonl'}: no such file" in edit(data=f"jsonl:{tmp_path / 'gone.jsonl'}")


def test_a_missing_folder(edit, tmp_path):
    assert "no such folder" in edit(data=f"massive:{tmp_path / 'gone'}")


def test_an_empty_file(edit, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    assert "holds no edits" in edit(data=f"jsonl:{tmp_path / 'empty.jsonl'}")


def test_a_line_that_is_not_json(edit, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a", "target_new": "class-0"}\n{"prompt"\n')
    assert "row 2" in edit(data=f"jsonl:{tmp_path / 'bad.jsonl'}")


def test_a_language_the_data_have_not(edit):
    message = edit("--languages", "en,fr")
    assert "'fr'" in message
    assert "de, en, sw" in message


def test_an_evaluation_language_the_data_have_not(edit):
    assert "'fr'" in edit("--eval-languages", "fr")


def test_a_language_that_is_both(edit):
    assert "de" in edit("--languages", "en,de", "--eval-languages", "de")


def test_a_memory_language_without_memory(edit):
    assert "'de'" in edit("--memory-languages", "de")


def test_a_memory_file_that_is_not_there(edit, tmp_path):
    assert "gone.txt" in edit("--memory", tmp_path / "gone.txt")


@pytest.mark.parametrize("line", ["hello", '{"lang": "en"}', '{"lang": "en", "text": 3}', '["en", "a"]'])
def test_a_memory_file_in_another_form(edit, tmp_path, line):
    (tmp_path / "memory.jsonl").write_text(f"{line}\n")
    assert "row 1" in edit("--memory", tmp_path / "memory.jsonl")


def test_an_empty_memory_file(edit, tmp_path):
    (tmp_path / "memory.txt").write_text("\n\n")
    assert "holds no texts" in edit("--memory", tmp_path / "memory.txt")


def test_a_label_the_model_has_not(edit, tmp_path):
    write_jsonl(tiny_edits(4, classes=30), tmp_path / "other.jsonl")
    assert "no label" in edit(data=f"jsonl:{tmp_path / 'other.jsonl'}")


def test_an_unknown_recipe(edit):
    assert "mpn-all" in edit("--recipe", "romeo")


def test_an_unknown_setting(edit):
    message = edit("--recipe", "mpn-all", "--set", "lerning_rate=1")
    assert "'lerning_rate'" in message
    assert "learning_rate" in message


@pytest.mark.parametrize(
    "given", ["learning_rate", "learning_rate=", "=3", "learning_rate=fast", "max_steps=1.5", "use_validation=maybe"]
)
def test_a_malformed_setting(edit, given):
    assert given.partition("=")[2] in edit("--recipe", "mpn-all", "--set", given)


def test_a_value_that_the_editor_refuses(edit):
    assert "'all'" in edit("--recipe", "fine-tuning", "--set", "scope=all")


@pytest.mark.parametrize("given", ["memory", "memory=many", "mem=3"])
def test_a_malformed_size(edit, given):
    assert "mem" in edit("--size", given)


def test_more_folds_than_edits(edit):
    assert "7 folds" in edit("--folds", 7)


def test_a_model_that_is_not_there(edit, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert "config.json" in edit(model=tmp_path / "nothing")


@pytest.mark.parametrize("name", ["./my-model", "/no/my-model", "a/b/my-model"])
def test_a_model_folder_that_is_not_there_is_not_looked_for_on_the_hub(edit, name):
    assert f"{name}: no such folder" in edit(model=name)


def test_a_model_without_a_classification_head(edit, checkpoint, tmp_path):
    BertModel(BertConfig.from_pretrained(checkpoint)).save_pretrained(tmp_path / "headless")
    assert "no trained classification head" in edit(model=tmp_path / "headless")


def test_a_model_of_another_kind(edit, tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    ViTForImageClassification(ViTConfig(**sizes, image_size=8, patch_size=4)).save_pretrained(tmp_path / "vit")
    assert "'vit'" in edit(model=tmp_path / "vit")


def test_the_world_with_other_data(edit):
    assert "its name for both" in edit(model="world")


def test_a_folder_that_cannot_be_written(polypatch, tmp_path):
    (tmp_path / "file").touch()
    ran = polypatch("edit", "no-model", "--data", "jsonl:x", "--out", tmp_path / "file" / "run")
    assert "cannot be written to" in ran.refused()  # said before the model was looked for


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("edti",), "edti"),
        (("edit",), "MODEL"),
        (("edit", "world"), "--out"),
        (("edit", "world", "--out", "x", "--fold", "2"), "--fold"),
        (("edit", "world", "--out", "x", "--limit", "0"), "--limit"),
        (("edit", "world", "--out", "x", "--seed", "one"), "--seed"),
        (("world", "destroy"), "destroy"),
    ],
)
def test_a_slip_of_the_keyboard(polypatch, argv, said):
    message = polypatch(*argv).refused()
    assert said in message
    assert "--help" in message


READERS = {
    "eval": (),
    "try": (),
    "ls": (),
    "explain": ("a text",),
    "log": (),
    "revert": ("tiny-1",),
    "save": ("somewhere",),
    "merge": ("--dry-run",),
    "check": ("--probe", "texts.txt"),
}


@pytest.mark.parametrize("verb", READERS)
def test_a_run_that_is_not_there(polypatch, tmp_path, verb):
    assert "gone" in polypatch(verb, tmp_path / "gone", *READERS[verb]).refused()


@pytest.mark.parametrize("verb", READERS)
def test_a_folder_without_edits(polypatch, tmp_path, verb):
    assert "no saved edits" in polypatch(verb, tmp_path, *READERS[verb]).refused()


def test_a_damaged_folder_of_edits(polypatch, edited, tmp_path):
    config = json.loads((edited / "edits" / "edit_config.json").read_text())
    (tmp_path / "edit_config.json").write_text(json.dumps({**config, "seed": "x"}))
    assert "seed" in polypatch("ls", tmp_path).refused()


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"lang": "en", "text": "\\ud800"}',
        '{"lang": "EN/../x", "text": "a"}',
        '{"lang": "", "text": "a"}',
        '{"lang": "en", "lang": "de", "text": "a"}',
        '{"lang": "en", "text": NaN}',
        '{"lang": "en", "text": " "}',
        "[]",
    ],
    ids=["deep", "surrogate", "path", "no language", "twice", "NaN", "blank", "list"],
)
def test_a_row_of_a_memory_that_cannot_be_read_is_named(tmp_path, line):
    from polypatch.data.memory import read_memory
    from polypatch.errors import DataError

    path = tmp_path / "memory.jsonl"
    path.write_text(f'{{"lang": "en", "text": "fine"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match="row 2"):
        read_memory(path, "en")


@pytest.mark.parametrize(
    "words",
    [("ls",), ("log",), ("revert", "--all"), ("merge", "--dry-run"), ("save", "saved"), ("edit", "--out")],
    ids=lambda words: words[0],
)
def test_a_name_that_no_disk_can_have_is_one_line(polypatch, edited, words):
    name = "x" * 300
    argv = ("edit", "world", "--out", name) if words[0] == "edit" else (words[0], name, *words[1:])
    assert "File name too long" in polypatch(*argv).refused()


def test_a_place_that_is_a_file_is_one_line(polypatch, edited, tmp_path):
    """For results, for edits, for a checkpoint, and for cached queries."""
    file = tmp_path / "file"
    file.write_text("mine")
    for words in (
        ("save", edited, file / "edits"),
        ("merge", edited, "--out", file / "merged", "-q", "--json"),
        ("merge", edited, "--out", file, "--overwrite", "-q"),
        ("revert", edited, "--all", "--out", file / "rest"),
        ("edit", "world", "--limit", 1, "--out", file, "-q"),
        ("edit", "world", "--limit", 1, "--out", file / "run", "-q"),
        ("edit", "world", "--limit", 1, "--out", tmp_path / "run", "--cache", file, "-q"),
    ):
        polypatch(*words).refused()
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
