"""Where a classifier can be edited is found by structure: the layer, its finish, the place that the answer reads."""

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy, Finish, Place
from polypatch.sites.discovery.discover import anatomy_of, discover
from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import traced
from polypatch.sites.layers.resume import resume
from polypatch.testing.tiny_config import tiny_config


def built(model_type, seed=0, **entries):
    config = tiny_config(model_type)
    for name, value in entries.items():
        setattr(config, name, value)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


FOUND = {
    "bert": ("bert.encoder.layer.1.output.dense", False, "gelu", Finish.ADD_THEN_NORM, Place.FIRST, False, 1),
    "modernbert": ("model.layers.1.mlp", True, "gelu", Finish.ADD, Place.FIRST, True, 1),
    "xlm": ("transformer.ffns.1.lin2", False, "gelu", Finish.ADD_THEN_NORM, Place.FIRST, False, 1),
    "gpt2": ("transformer.h.1.mlp.c_proj", False, "gelu_new", Finish.ADD, Place.LAST, True, 1),
    "qwen2": ("model.layers.1.mlp", True, "silu", Finish.ADD, Place.LAST, True, 1),
    "gptj": ("transformer.h.1.mlp.fc_out", False, "gelu_new", Finish.ADD, Place.LAST, True, 1),
    "gemma2": ("model.layers.1.mlp", True, "gelu_pytorch_tanh", Finish.NORM_THEN_ADD, Place.LAST, True, 1),
    "mixtral": ("model.layers.1.mlp", True, "silu", Finish.ADD, Place.LAST, True, 1),
    "opt": ("model.decoder.layers.1.fc2", False, "relu", Finish.ADD, Place.LAST, True, 1),
    "bart": ("model.decoder.layers.1.fc2", False, "gelu", Finish.ADD_THEN_NORM, Place.LAST, False, 1),
    "albert": (
        "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn_output",
        False,
        "gelu_new",
        Finish.ADD_THEN_NORM,
        Place.FIRST,
        False,
        2,
    ),
    "eurobert": ("model.layers.1.mlp", True, "silu", Finish.ADD, Place.SEVERAL, True, 1),
}


@pytest.mark.parametrize("model_type", FOUND)
def test_the_parts_of_a_layer_are_found(model_type):
    """Post-norm, pre-norm, parallel, sandwich, gated, experts, one list, a decoder of two, shared layers, a mean."""
    anatomy = discover(built(model_type))
    whole = anatomy.reader == anatomy.writer
    found = (anatomy.writer, whole, anatomy.activation, anatomy.finish, anatomy.place, anatomy.residual, anatomy.calls)
    assert found == FOUND[model_type]


def test_a_scaled_layer_is_found_with_its_scale():
    """MiniCPM adds scale_depth / √layers times what the layer computes."""
    model = built("minicpm3")
    assert discover(model).scale == pytest.approx(model.config.scale_depth / 2**0.5, abs=1e-6)


@pytest.mark.parametrize("model_type", ["bert", "canine", "electra", "t5", "funnel", "gemma2", "qwen3_next"])
def test_the_head_is_the_model_s_own(model_type):
    """From the last layer's output on: the pooler, the last norm, the classifier, whatever they are called."""
    model = built(model_type)
    anatomy = discover(model)
    head, probe = resume(model, anatomy), probe_of(model, seed=3)
    trace = traced(model, probe.batch(torch.device("cpu")))
    place = 0 if anatomy.place is Place.FIRST else -1
    with torch.no_grad():
        logits = head(trace.last(anatomy.layer).tensor[:, place].repeat(3, 1))
    assert float((logits - trace.answer).abs().max()) < 1e-6 * float(trace.answer.abs().max())


def test_the_head_reads_the_weights_that_the_model_has_now():
    """Its shells share them: a model that is trained, moved or edited on is not answered for with what it was."""
    model = built("llama")
    anatomy = discover(model)
    head, hidden = resume(model, anatomy), torch.randn(2, 32)
    with torch.no_grad():
        before = head(hidden)
        model.score.weight.mul_(2)
        assert torch.equal(head(hidden), 2 * before)
    model.double()
    with torch.no_grad():
        assert head(hidden.double()).dtype is torch.float64


def test_a_look_leaves_the_model_as_it_was():
    model = built("bert").train()
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modules = [id(module) for module in model.modules()]
    resume(model, discover(model))
    assert all(module.training for module in model.modules())
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    assert modules == [id(module) for module in model.modules()]
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_a_model_is_looked_at_again_when_it_is_another():
    """Once per build: other modules or another pooling are another model."""
    model = built("modernbert")
    assert anatomy_of(model) is anatomy_of(model)
    assert anatomy_of(model).place is Place.FIRST
    model.config.classifier_pooling = "mean"
    assert anatomy_of(model).place is Place.SEVERAL
    before = anatomy_of(model)
    model.classifier = torch.nn.Linear(32, 3)
    assert anatomy_of(model) is not before


def test_what_cannot_be_found_is_refused_with_what_was_tried():
    with pytest.raises(
        UnsupportedModelError, match=r"layers\.3: what .*mamba writes is no function of one position.*anatomy="
    ):
        discover(built("zamba"))


def test_a_model_without_padding_is_refused_with_the_fix():
    with pytest.raises(UnsupportedModelError, match=r"two texts at once.*set model\.config\.pad_token_id"):
        discover(built("gpt2", pad_token_id=None))


def test_an_answer_that_several_positions_give_has_no_head():
    model = built("eurobert")
    with pytest.raises(UnsupportedModelError, match="reads several positions"):
        resume(model, discover(model))


def test_a_place_by_hand_that_is_wrong_is_refused():
    """A user's anatomy is not believed either."""
    model = built("bert")
    right = discover(model)
    wrong = Anatomy(**{**{name: getattr(right, name) for name in Anatomy.__slots__}, "place": Place.LAST})
    with pytest.raises(UnsupportedModelError, match="does not run on its output at one position"):
        resume(model, wrong)


def test_every_type_of_the_issue_has_a_small_configuration():
    kinds = {kind.model_type for kind in AutoModelForSequenceClassification._model_mapping}
    assert len(kinds) > 120
    for model_type in sorted(kinds):
        assert isinstance(tiny_config(model_type), transformers.PreTrainedConfig)
