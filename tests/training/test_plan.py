"""A dry run's numbers against hand arithmetic, and its memory against what autograd keeps."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from polypatch.errors import InputError
from polypatch.testing.tiny import FAMILIES
from polypatch.training.memory import estimate
from polypatch.training.models import longest_input, parameters_of, start_config
from polypatch.training.plan import Training, plan
from polypatch.training.presets import PRESETS

from .conftest import LABELS, training


def mbert_parameters(classes, vocabulary=119_547):
    """BERT-base by hand: h = 768, f = 3072, 12 layers, 512 positions, 2 segments, a pooler and a head."""
    h, f = 768, 3072
    embeddings = (vocabulary + 512 + 2) * h + 2 * h
    attention = 4 * (h * h + h) + 2 * h
    feed_forward = (h * f + f) + (f * h + h) + 2 * h
    return embeddings + 12 * (attention + feed_forward) + (h * h + h) + (h * classes + classes)


@pytest.mark.parametrize(("classes", "known"), [(2, 177_854_978), (3, 177_855_747)])
def test_mbert_s_parameters(classes, known):
    assert mbert_parameters(classes) == known
    assert parameters_of(start_config("mbert", [str(i) for i in range(classes)])) == known


def test_uncased_mbert_s_parameters():
    assert parameters_of(start_config("mbert-uncased", LABELS)) == mbert_parameters(2, 105_879)


@pytest.mark.parametrize(
    ("name", "per_epoch", "steps", "parameters", "activations"),
    [
        # 83,972 / 128 = 656.03; 392,702 / 64 = 6,135.97. A layer keeps per token 4 (8·768 + 2·3072) + 2·768 bytes, and
        # 12 · 32 or 12 · 128 times 13 bytes of attention; 12 layers, 4,096 or 8,192 tokens.
        ("xfever", 657, 13_140, 177_854_978, 4_096 * 12 * (50_688 + 4_992)),
        ("xnli", 6_136, 18_408, 177_855_747, 8_192 * 12 * (50_688 + 19_968)),
    ],
)
def test_the_full_presets_on_mbert(name, per_epoch, steps, parameters, activations):
    preset = PRESETS[name]
    config = start_config("mbert", preset.labels)
    found = plan(config, preset.train_rows, Training(settings=preset.settings), preset.settings.max_length)
    assert (found.steps_per_epoch, found.steps, found.warmup_steps) == (per_epoch, steps, 500)
    assert found.parameters == parameters
    assert found.memory.weights == found.memory.gradients == 4 * parameters
    assert found.memory.adam == 8 * parameters
    assert found.memory.activations == activations
    assert found.memory.total == 16 * parameters + activations


def test_mixed_precision_halves_the_activations_and_copies_the_weights():
    config = start_config("mbert", LABELS)
    full, half = (estimate(config, 1000, batch=8, length=64, half=half) for half in (False, True))
    assert half.weights == 6000
    assert (half.gradients, half.adam) == (full.gradients, full.adam)
    assert 0.5 < half.activations / full.activations < 0.56  # masks stay bytes


def kept_by_autograd(config, batch, length):
    """Bytes of the tensors that a forward pass keeps for its backward pass, parameters apart."""
    model = AutoModelForSequenceClassification.from_config(config).train()
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    ids = torch.full((batch, length), 5)
    mask = torch.ones_like(ids)
    mask[0, -1] = 0
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = (storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(input_ids=ids, attention_mask=mask).logits.sum()
    assert loss.requires_grad
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_activations_are_what_autograd_keeps(family, figure):
    config = AutoConfig.for_model(family, num_labels=3)
    config.hidden_size, config.num_hidden_layers, config.num_attention_heads = 64, 6, 4
    config.intermediate_size = config.hidden_dim = 256
    config.embedding_size, config.vocab_size, config.max_position_embeddings = 64, 100, 140
    for length in (32, 128):
        found = estimate(config, 0, batch=4, length=length).activations
        ratio = found / kept_by_autograd(config, 4, length)
        figure(f"activations, estimated over kept, {family}, {length} tokens", ratio)
        assert 0.85 < ratio < 1.1


def test_a_warm_up_as_long_as_the_training():
    with pytest.raises(InputError, match=r"warmup_steps 500 of 40 steps.*--set warmup_steps=4"):
        plan(start_config("new:small", LABELS), 80, training(warmup_steps=500), 24)


def test_max_steps_end_the_schedule():
    assert plan(start_config("new:small", LABELS), 80, training(max_steps=7), 24).steps == 7


def test_devices_and_accumulation_share_a_batch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert training(batch_size=64, accumulate=2).device_batch() == 8
    with pytest.raises(InputError, match="4 devices"):
        training(batch_size=6).device_batch()


@pytest.mark.parametrize("more", [{"precision": "fp8"}, {"accumulate": 0}, {"patience": -1}, {"max_steps": 0}])
def test_trainings_that_cannot_be(more):
    with pytest.raises(InputError, match=next(iter(more))):
        training(**more)


def test_how_long_an_input_may_be():
    """RoBERTa counts positions from behind the padding's."""
    config = AutoConfig.for_model("xlm-roberta")
    config.max_position_embeddings = 514
    assert longest_input(config) == 512
    assert longest_input(AutoConfig.for_model("bert")) == 512
