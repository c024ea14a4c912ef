"""A sentence encoder: its vector of a text is what its checkpoint's own files say, whoever stands beside the text."""

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer, T5Config, T5Model

from polypatch.errors import DataError, UnsupportedModelError
from polypatch.sites.encoding.sentence_encoder import load_sentence_encoder
from polypatch.sites.network.sentence_files import SentenceFiles, sentence_files
from sentence_encoders import WIDTH, sentence_encoder, written

TEXTS = ["ba", "bi bo bu be ba bi do du da", "bo be"]
CPU = torch.device("cpu")
POOLING = "pooling_mode_{}_tokens"


def states_of(folder, text, longest=64):
    """What the network itself shows of one text: [T, d]."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        given = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        return model(**given).last_hidden_state[0]


def wanted(folder, pool, texts=TEXTS, longest=64):
    vectors = torch.stack([pool(states_of(folder, text, longest)) for text in texts])
    return functional.normalize(vectors, dim=-1)


def mean(states):
    return states.mean(0)


WAYS = {
    "mean": ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, mean),
    "cls": ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda states: states[0]),
    "max": ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, lambda states: states.amax(0)),
    "width alone": ({"word_embedding_dimension": WIDTH}, mean),
    "several": (
        {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
        lambda states: torch.cat([states[0], states.mean(0)]),
    ),
    "newer": ({"embedding_dimension": WIDTH, "pooling_mode": "cls"}, lambda states: states[0]),
    "newer, several": (
        {"pooling_mode": ["mean", "max"]},
        lambda states: torch.cat([states.mean(0), states.amax(0)]),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_vector_is_pooled_as_the_file_says(way, tmp_path):
    config, pool = WAYS[way]
    encoder = load_sentence_encoder(str(sentence_encoder(tmp_path, pooling=config)))
    found = encoder.vectors(TEXTS, CPU)
    torch.testing.assert_close(found, wanted(tmp_path, pool), atol=1e-5, rtol=1e-4)
    assert encoder.width == found.shape[1]


@pytest.mark.parametrize("family", ["bert", "distilbert", "xlm-roberta", "electra"])
def test_without_files_it_is_the_mean_over_the_tokens(family, tmp_path):
    encoder = load_sentence_encoder(str(sentence_encoder(tmp_path, family=family)))
    assert encoder.files == SentenceFiles()
    torch.testing.assert_close(encoder.vectors(TEXTS, CPU), wanted(tmp_path, mean), atol=1e-5, rtol=1e-4)


def test_a_text_has_the_same_bits_alone_and_among_others_and_is_encoded_once(tmp_path):
    folder = str(sentence_encoder(tmp_path))
    texts = [" ".join(["ba", "bo", "di"] * n) for n in range(1, 12)]
    together = load_sentence_encoder(folder).vectors(texts, CPU)
    one_by_one = load_sentence_encoder(folder)
    for text, vector in zip(texts, together, strict=True):
        assert torch.equal(one_by_one.vectors([text], CPU)[0], vector)
    one_by_one.network[0].forward = None  # it cannot be asked again
    assert torch.equal(one_by_one.vectors(texts[::-1], CPU), together.flip(0))
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(texts)))
    assert not any(parameter.requires_grad for parameter in one_by_one.network.parameters())


def test_a_linear_map_behind_it_is_followed_as_labse_has_it(tmp_path):
    tanh = {"in_features": WIDTH, "out_features": 6, "activation_function": "torch.nn.modules.activation.Tanh"}
    behind, pooling = [("Normalize", "3_Normalize")], {"pooling_mode_cls_token": True}
    folder = sentence_encoder(tmp_path, dense=tanh, behind=behind, pooling=pooling)
    weights = load_file(folder / "2_Dense" / "model.safetensors")

    def pool(states):
        return torch.tanh(weights["linear.weight"] @ states[0] + weights["linear.bias"])

    encoder = load_sentence_encoder(str(folder))
    torch.testing.assert_close(encoder.vectors(TEXTS, CPU), wanted(folder, pool), atol=1e-5, rtol=1e-4)
    assert encoder.width == 6


def test_older_weights_of_a_linear_map_are_read_as_weights_only(tmp_path):
    dense = {"in_features": WIDTH, "out_features": 4, "bias": False, "activation_function": "torch.nn.Identity"}
    folder = sentence_encoder(tmp_path, dense=dense)
    before = load_sentence_encoder(str(folder)).vectors(TEXTS, CPU)
    torch.save(load_file(folder / "2_Dense" / "model.safetensors"), folder / "2_Dense" / "pytorch_model.bin")
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert torch.equal(load_sentence_encoder(str(folder)).vectors(TEXTS, CPU), before)
    torch.save({"linear.weight": Planted()}, folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(DataError, match="neither a checkpoint"):
        load_sentence_encoder(str(folder))
    (folder / "2_Dense" / "pytorch_model.bin").unlink()
    with pytest.raises(DataError, match=r"2_Dense: no model\.safetensors"):
        load_sentence_encoder(str(folder))


class Planted:
    """What would be made by code of somebody else."""


def test_prompt_length_and_lowercase_are_the_checkpoints_own(tmp_path):
    prompts = {"prompts": {"query": "du: ", "passage": "da: "}, "default_prompt_name": "query"}
    folder = sentence_encoder(
        tmp_path / "one",
        within="0_Transformer",
        config_sentence_transformers=prompts,
        sentence_bert_config={"max_seq_length": 5, "do_lower_case": True},
    )
    files = sentence_files(str(folder))
    assert (files.folder, files.prompt, files.max_length, files.lowercase) == ("0_Transformer", "du: ", 5, True)
    said = wanted(folder / "0_Transformer", mean, [f"du: {text}" for text in TEXTS], longest=5)
    encoder = load_sentence_encoder(str(folder))
    torch.testing.assert_close(encoder.vectors([text.upper() for text in TEXTS], CPU), said, atol=1e-5, rtol=1e-4)
    none = {"prompts": {"query": "du: "}, "default_prompt_name": None}
    named = sentence_encoder(tmp_path / "two", config_sentence_transformers=none)
    assert sentence_files(str(named)).prompt == ""


def test_everything_that_a_vector_depends_on_is_in_the_fingerprint(tmp_path):
    asked = {"prompts": {"query": "du: "}, "default_prompt_name": "query"}
    made = {
        "plain": {},
        "weights": {"seed": 6},
        "pooling": {"pooling": {"pooling_mode": "cls"}},
        "prompt": {"config_sentence_transformers": asked},
        "length": {"sentence_bert_config": {"max_seq_length": 5}},
        "linear": {"dense": {"in_features": WIDTH, "out_features": 4}},
    }
    folders = {name: str(sentence_encoder(tmp_path / name, **how)) for name, how in made.items()}
    prints = {name: load_sentence_encoder(folder).fingerprint for name, folder in folders.items()}
    assert len(set(prints.values())) == len(made)
    assert load_sentence_encoder(folders["plain"]).fingerprint == prints["plain"]
    (tmp_path / "plain").rename(tmp_path / "moved")
    assert load_sentence_encoder(str(tmp_path / "moved")).fingerprint == prints["plain"]


def test_a_pooler_that_the_checkpoint_lacks_is_not_made_up(tmp_path):
    """XLM-R's classifiers have none; random weights would be another fingerprint at each load."""
    folder = sentence_encoder(tmp_path, family="xlm-roberta")
    weights = load_file(folder / "model.safetensors")
    assert not any("pooler" in name for name in weights)
    one, other = (load_sentence_encoder(str(folder)).fingerprint for _ in range(2))
    assert one == other


REFUSED = {
    "a step": ({"behind": [("WordWeights", "2")]}, UnsupportedModelError, "WordWeights"),
    "last token": ({"pooling": {"pooling_mode_lasttoken": True}}, UnsupportedModelError, "pooling_mode_lasttoken"),
    "newer last token": ({"pooling": {"pooling_mode": "lasttoken"}}, UnsupportedModelError, "lasttoken"),
    "nothing": ({"pooling": {"pooling_mode_mean_tokens": False}}, UnsupportedModelError, "by nothing"),
    "prompt left out": (
        {
            "pooling": {"include_prompt": False},
            "config_sentence_transformers": {"prompts": {"a": "x "}, "default_prompt_name": "a"},
        },
        UnsupportedModelError,
        "include_prompt is false",
    ),
    "activation": (
        {"dense": {"in_features": WIDTH, "out_features": 4, "activation_function": "os.system"}},
        UnsupportedModelError,
        "activation_function 'system'",
    ),
    "other size": ({"dense": {"in_features": WIDTH + 1, "out_features": 4}}, DataError, "size mismatch"),
    "no object": ({"pooling": ["mean"]}, DataError, "should be a JSON object"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_cannot_follow_is_refused(what, tmp_path):
    how, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        load_sentence_encoder(str(sentence_encoder(tmp_path, **how)))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no config\.json"):
        load_sentence_encoder(str(tmp_path))
    with pytest.raises(DataError, match="neither a checkpoint folder nor a model the hub can give"):
        load_sentence_encoder(str(tmp_path / "nowhere"))
    folder = sentence_encoder(tmp_path / "broken")
    (folder / "modules.json").write_text("[", encoding="utf-8")
    with pytest.raises(DataError, match="not readable as JSON"):
        load_sentence_encoder(str(folder))
    two = sentence_encoder(tmp_path / "two")
    config = T5Config(vocab_size=300, d_model=WIDTH, d_ff=8, num_layers=1, num_heads=2, d_kv=4)
    T5Model(config).save_pretrained(two)
    with pytest.raises(UnsupportedModelError, match="an encoder and a decoder"):
        load_sentence_encoder(str(two))
    lacking = sentence_encoder(tmp_path / "lacking")
    written(lacking / "config.json", {**AutoModel.from_pretrained(lacking).config.to_dict(), "num_hidden_layers": 2})
    with pytest.raises(UnsupportedModelError, match=r"the checkpoint lacks encoder\.layer\.1"):
        load_sentence_encoder(str(lacking))
