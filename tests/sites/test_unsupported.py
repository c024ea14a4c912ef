"""What is not supported is refused with a typed error that says what was looked for."""

import json
import re

import pytest
import transformers
from torch import nn

from polypatch.errors import DataError, UnsupportedModelError
from polypatch.sites import FeedForwardSite, FrozenTail, load_checkpoint
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES


def small(architecture, **changes):
    config = architecture.config_class(**changes)
    config.num_hidden_layers, config.vocab_size = 1, 50
    return architecture(config)


BERT = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.mark.parametrize(
    ("model", "looked_for"),
    [
        (lambda: nn.Linear(2, 2), "Linear has no head that answers"),
        (lambda: small(transformers.BertModel, **BERT), "BertModel has no head that answers"),
        (lambda: small(transformers.BertForTokenClassification, **BERT), "head.*AutoModelForSequenceClassification"),
        (
            lambda: small(transformers.BertForSequenceClassification, **BERT, chunk_size_feed_forward=4),
            "chunk_size_feed_forward",
        ),
    ],
    ids=["no transformer", "no head", "another head", "chunked FFN"],
)
def test_what_is_not_supported_is_named(model, looked_for):
    with pytest.raises(UnsupportedModelError, match=looked_for):
        FeedForwardSite(model())


@pytest.fixture
def saved(tmp_path):
    """A tiny classifier on disk."""
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_comes_back(tmp_path, family):
    """Saved and loaded: the same fingerprint, eval mode, and a tail that agrees."""
    model, tokenizer = tiny_model(family)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, its_tokenizer = load_checkpoint(tmp_path)
    assert not loaded.training
    one, two = (FrozenTail(FeedForwardSite(m), t) for m, t in ((model, tokenizer), (loaded, its_tokenizer)))
    assert one.fingerprint == two.fingerprint
    assert one.readout.labels == {0: "class-0", 1: "class-1", 2: "class-2"}


def test_a_folder_without_a_head_is_refused(saved, tmp_path):
    """transformers fills missing weights with noise and only logs it; a random head would be edited for nothing."""
    folder = tmp_path / "headless"
    model, tokenizer = tiny_model("bert")
    model.bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(UnsupportedModelError, match=r"no trained classification head.*classifier"):
        load_checkpoint(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"config\.json"):
        load_checkpoint(tmp_path)


def test_a_file_is_refused(saved):
    with pytest.raises(DataError, match=r"config\.json"):
        load_checkpoint(saved / "model.safetensors")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither a checkpoint folder nor a model"):
        load_checkpoint(tmp_path / "nowhere")


def test_what_is_no_classifier_of_texts_is_refused_on_disk(tmp_path):
    transformers.ViTForImageClassification(transformers.ViTConfig(**BERT, num_hidden_layers=1)).save_pretrained(
        tmp_path
    )
    with pytest.raises(UnsupportedModelError, match=r"no sequence classifier of model_type 'vit'"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "noise"])
def test_a_broken_checkpoint_is_refused(saved, name, damage):
    """Cut, emptied, removed or overwritten: a typed error, never a traceback out of a parser."""
    path = saved / name
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"\xff\x00" * 50}[damage])
    with pytest.raises(DataError, match=re.escape(str(saved))):
        load_checkpoint(saved)


def test_a_checkpoint_of_another_width_is_refused(saved):
    """Weights that do not fit the configuration are another kind of missing weight."""
    config = json.loads((saved / "config.json").read_text())
    config["id2label"]["3"], config["label2id"]["class-3"] = "class-3", 3
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModelError, match=r"lacks.*classifier"):
        load_checkpoint(saved)


def test_a_checkpoint_without_a_tokenizer_is_refused(saved):
    for path in saved.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(DataError, match=re.escape(str(saved))):
        load_checkpoint(saved)
