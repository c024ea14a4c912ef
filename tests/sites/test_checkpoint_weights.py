"""A checkpoint with weights, labels or files that would make every later number meaningless is refused by name."""

import json

import pytest
import torch

from polypatch.errors import DataError
from polypatch.sites import load_checkpoint
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES


def save(folder, family="bert", spoil=None):
    """A tiny classifier on disk, some of its numbers replaced."""
    model, tokenizer = tiny_model(family)
    for name, places in (spoil or {}).items():
        with torch.no_grad():
            for place, value in places.items():
                model.get_parameter(name).view(-1)[place] = value
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused_with_its_tensor(tmp_path, family, value):
    name = next(name for name, _ in tiny_model(family)[0].named_parameters() if name.endswith("bias"))
    save(tmp_path, family, {name: {3: value}})
    with pytest.raises(DataError) as caught:
        load_checkpoint(tmp_path)
    assert f"{tmp_path}: 1 of the " in str(caught.value)
    assert f"numbers in '{name}' are NaN or infinite" in str(caught.value)


def test_all_of_them_are_counted(tmp_path):
    spoil = {0: float("nan"), 7: float("inf"), 95: float("-inf")}
    save(tmp_path, spoil={"classifier.weight": spoil})
    with pytest.raises(DataError, match=r"3 of the 96 numbers in 'classifier\.weight'.*undamaged checkpoint"):
        load_checkpoint(tmp_path)


def test_large_and_tiny_numbers_are_numbers(tmp_path):
    largest = torch.finfo(torch.float32).max
    save(tmp_path, spoil={"classifier.bias": {0: largest, 1: -largest, 2: 1e-45}})
    loaded, _ = load_checkpoint(tmp_path)
    assert loaded.classifier.bias.tolist()[:2] == [largest, -largest]


def configured(folder, **changes):
    """The saved classifier with other values in its config.json."""
    save(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a", "1": "b", "5": "c"}}, r"the classes are \[0, 1, 5\]; number them 0 to 2"),
        ({"id2label": {"1": "a", "2": "b", "3": "c"}}, r"the classes are \[1, 2, 3\]"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}, "label2id": {}}, "classes 0 and 2 are both called 'a'"),
        ({"id2label": {"0": "1", "1": 1, "2": "c"}, "label2id": {}}, "classes 0 and 1 are both called 1"),
        ({"id2label": {"0": "a", "1": None, "2": "c"}}, "class 1 is called 'None'; give it a name"),
        ({"id2label": {"0": "a", "1": "b", "2": " "}}, "class 2 is called ' '"),
        ({"id2label": {"0": ["a"], "1": "b", "2": "c"}}, "class 0 is called"),
        ({"label2id": {"class-0": 2, "class-1": 1, "class-2": 0}}, "'class-0' is class 0, but class 2 in 'label2id'"),
    ],
)
def test_a_label_map_that_does_not_say_which_class_is_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"config\.json: field 'id2label': .*{message}"):
        load_checkpoint(configured(tmp_path, **changes))


@pytest.mark.parametrize("ids", [None, {}, {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}])
def test_a_label2id_that_nobody_filled_in_is_harmless(tmp_path, ids):
    loaded, _ = load_checkpoint(configured(tmp_path, label2id=ids))
    assert loaded.config.id2label == {0: "class-0", 1: "class-1", 2: "class-2"}


@pytest.mark.parametrize(
    "changes",
    [
        {"id2label": ["a", "b", "c"]},
        {"hidden_size": "wide"},
        {"hidden_act": "none"},
        {"num_attention_heads": 0},
        {"vocab_size": -1},
        {"pad_token_id": 10**6},
        {"layer_norm_eps": None},
        {"model_type": 5},
    ],
)
def test_a_configuration_that_makes_no_model_is_refused(tmp_path, changes):
    with pytest.raises(DataError, match="neither a checkpoint folder nor a model") as caught:
        load_checkpoint(configured(tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["null", "5", "[", "[" * 100_000, '{"a":' * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_json_that_is_no_configuration_is_refused(tmp_path, name, content):
    save(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="neither a checkpoint folder nor a model") as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)
