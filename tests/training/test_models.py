"""What a training starts from."""

import pytest
import torch
from transformers import BertModel, ViTConfig, ViTForImageClassification

from polypatch.errors import DataError, InputError, UnsupportedModelError
from polypatch.testing import tiny_model
from polypatch.training.models import start_model

from .conftest import LABELS, corpus

DATA = corpus(16, 8)


def saved(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_new_small_model():
    before = torch.get_rng_state()
    (one, tokenizer, length), (two, _, _) = (start_model("new:small", DATA, max_length=20, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert length == tokenizer.model_max_length == one.config.max_position_embeddings == 20
    assert one.config.id2label == {0: "no", 1: "yes"}
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    other, _, _ = start_model("new:small", DATA, max_length=20, seed=4)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    assert "[UNK]" not in tokenizer.tokenize(DATA.train[0].text)


def test_an_encoder_without_a_head(tmp_path):
    model, tokenizer = tiny_model("bert")
    name = saved(tmp_path, model.bert, tokenizer)
    assert isinstance(model.bert, BertModel)
    one, _, length = start_model(name, DATA, max_length=500, seed=0)
    two, _, _ = start_model(name, DATA, max_length=500, seed=0)
    assert torch.equal(one.bert.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)
    assert one.classifier.weight.shape == (2, 32)
    assert torch.equal(one.classifier.weight, two.classifier.weight)
    assert [one.config.id2label[i] for i in range(2)] == list(LABELS)
    assert length == 64  # what it can read


def test_a_head_with_another_number_of_classes_is_new(tmp_path):
    name = saved(tmp_path, *tiny_model("distilbert", classes=5))
    model, _, _ = start_model(name, DATA, max_length=24, seed=0)
    assert model.classifier.weight.shape[0] == 2


def test_a_head_for_the_same_labels_goes_on(tmp_path):
    model, tokenizer = tiny_model("bert", classes=2)
    model.config.id2label, model.config.label2id = dict(enumerate(LABELS)), {"no": 0, "yes": 1}
    again, _, _ = start_model(saved(tmp_path, model, tokenizer), DATA, max_length=24, seed=0)
    assert torch.equal(again.classifier.weight, model.classifier.weight)


def test_a_head_for_other_labels(tmp_path):
    name = saved(tmp_path, *tiny_model("bert", classes=2))
    with pytest.raises(InputError, match="class-0, class-1, not no, yes"):
        start_model(name, DATA, max_length=24, seed=0)


def test_another_architecture(tmp_path):
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ViTForImageClassification(config).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="'vit'"):
        start_model(str(tmp_path), DATA, max_length=24, seed=0)


def test_an_encoder_that_lacks_a_layer(tmp_path):
    model, tokenizer = tiny_model("bert", layers=1, classes=2)
    name = saved(tmp_path, model, tokenizer)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(UnsupportedModelError, match="lacks weights of the encoder"):
        start_model(name, DATA, max_length=24, seed=0)


def test_no_tokenizer(tmp_path):
    model, _ = tiny_model("bert", classes=2)
    model.save_pretrained(tmp_path)
    with pytest.raises((DataError, InputError)):
        start_model(str(tmp_path), DATA, max_length=24, seed=0)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="neither a checkpoint folder"):
        start_model(str(tmp_path), DATA, max_length=24, seed=0)
