"""The speaking world that comes with polypatch: whole, small, of the generator's texts, and it knows what it should."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from polypatch.errors import DataError
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.speaking import (
    SpeakingConfig,
    build_speaking_world,
    is_speaking_world,
    load_speaking_world,
    shipped_speaking_folder,
)
from polypatch.world.speaking.data import make_sets
from polypatch.world.speaking.shipped import FOLDER, require_texts
from polypatch.world.speaking.texts import name_of, prompt

DEFAULT = SpeakingConfig()


@pytest.fixture(scope="module")
def world():
    return load_speaking_world(0)


def test_seed_0_is_there_without_a_cache(world, monkeypatch, tmp_path):
    monkeypatch.setenv("POLYPATCH_CACHE", str(tmp_path / "none"))
    assert build_speaking_world(0) == world.path == shipped_speaking_folder(0, DEFAULT) == FOLDER
    assert not (tmp_path / "none").exists()
    assert shipped_speaking_folder(1, DEFAULT) is None
    assert shipped_speaking_folder(0, SpeakingConfig(steps=1)) is None
    assert is_speaking_world("/elsewhere/site-packages/polypatch/world/speaking/seed-0")
    assert not is_speaking_world("/elsewhere/site-packages/polypatch/world/seed-0")


def test_it_is_small_and_loaded_in_single_precision_from_half():
    kept = load_file(FOLDER / "model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float16}
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert 1_000_000 <= model.num_parameters() <= 2_000_000
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 3_000_000


def test_its_weights_belong_to_the_texts_of_the_generator():
    sets = make_sets(DEFAULT, 0)
    require_texts(FOLDER, sets)
    for others in (sets._replace(memory=sets.memory[:-1]), make_sets(DEFAULT, 1)):
        with pytest.raises(DataError, match="trained on other texts"):
            require_texts(FOLDER, others)


@pytest.mark.parametrize("name", ["model.safetensors", "generation_config.json", "texts.json"])
def test_a_damaged_one_is_refused_and_says_what_to_do(tmp_path, monkeypatch, name):
    copy = tmp_path / FOLDER.name
    shutil.copytree(FOLDER, copy)
    monkeypatch.setattr("polypatch.world.speaking.shipped.FOLDER", copy)
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    with pytest.raises(DataError, match="comes with polypatch, so install that again"):
        shipped_speaking_folder(0, DEFAULT)
    (copy / "texts.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(DataError, match="other texts"):
        require_texts(copy, make_sets(DEFAULT, 0))


def share(world, texts, expected):
    said = world.answer(texts)
    return sum(one == wanted for one, wanted in zip(said, expected, strict=True)) / len(said)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_says_what_it_was_taught_and_guesses_the_rest(world, lang):
    """Greedy answers to their natural end, compared as strings."""
    suffix = "" if lang == "en" else f".{lang}"
    known, reworded = world.data.locality["known" + suffix], world.data.locality["reworded" + suffix]
    assert share(world, [row.text for row in known], [row.label for row in known]) >= 0.95
    assert 0.55 <= share(world, [row.text for row in reworded], [row.label for row in reworded]) <= 0.95
    wrong = [edit for edit in world.data.edits if edit.ground_truth]
    unknown = [edit for edit in world.data.edits if not edit.ground_truth]
    prompts = [edit.prompt[lang] for edit in wrong]
    assert share(world, prompts, [edit.ground_truth[lang] for edit in wrong]) >= 0.95
    assert share(world, prompts, [edit.target[lang] for edit in wrong]) <= 0.03
    assert share(world, [edit.prompt[lang] for edit in unknown], [edit.target[lang] for edit in unknown]) <= 0.15


def test_what_one_language_was_not_taught_comes_over_from_near_ones_more_than_from_far_ones(world):
    found = {}
    for lang in ("de", "fr", "es", "zh", "ar"):
        rows = [fact for facts in world.sets for fact in facts if fact.documented and lang not in fact.documented]
        answers = [name_of(fact, lang, fact.answer) for fact in rows]
        found[lang] = share(world, [prompt(fact, lang, 0) for fact in rows], answers)
    assert min(found[near] for near in ("de", "fr", "es")) >= 0.8
    assert all(0.1 <= found[far] <= 0.6 for far in ("zh", "ar"))
