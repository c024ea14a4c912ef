"""The built speaking world: loads with transformers alone, ends its answers by itself, repeats bit for bit."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from polypatch.errors import InputError
from polypatch.world import is_world
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.speaking import (
    SpeakingConfig,
    SpeakingWorld,
    build_speaking_world,
    describe_speaking,
    is_speaking_world,
    load_speaking_world,
    speaking_world_path,
)
from polypatch.world.speaking.describe import ROWS
from polypatch.world.speaking.prompts import TAUGHT
from polypatch.world.speaking.texts import name_of, prompts
from polypatch.world.speaking.tokenizer import train_tokenizer
from polypatch.world.speaking.train import Exercise, loss_of

TINY = SpeakingConfig(
    facts=replace(SpeakingConfig().facts, persons=6, films=3, companies=3),
    vocabulary=1200,
    hidden=32,
    heads=2,
    layers=2,
    steps=4,
    batch=8,
    locality_facts=8,
    validation_facts=4,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return load_speaking_world(3, tmp_path_factory.mktemp("cache"), config=TINY)


def test_it_loads_without_polypatch_and_generates_greedily_to_its_end(world):
    model = AutoModelForCausalLM.from_pretrained(world.path)
    tokenizer = AutoTokenizer.from_pretrained(world.path)
    settings = model.generation_config
    assert not settings.do_sample
    assert (settings.bos_token_id, settings.eos_token_id, settings.pad_token_id) == (
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    )
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    ids = tokenizer(world.data.edits[0].prompt["ar"])["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] != tokenizer.eos_token_id


def test_same_seed_same_tensors_and_the_process_is_left_alone(world, tmp_path):
    torch.manual_seed(11)
    before = (torch.random.get_rng_state(), random.getstate(), torch.get_num_threads())
    calls = []
    again = load_speaking_world(3, tmp_path, lambda done, total, stage: calls.append((done, total, stage)), TINY)
    after = (torch.random.get_rng_state(), random.getstate(), torch.get_num_threads())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert calls == [(done, TINY.steps, "training") for done in range(1, TINY.steps + 1)]
    expected = world.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.model.state_dict().items())
    assert again.data == world.data


def test_a_built_world_is_kept_apart_and_not_built_again(world, monkeypatch, tmp_path):
    calls = []
    cache = world.path.parent.parent
    assert build_speaking_world(3, cache, lambda *call: calls.append(call), TINY) == world.path
    assert calls == []
    assert speaking_world_path(3, TINY, cache) == world.path != speaking_world_path(3, SpeakingConfig(), cache)
    monkeypatch.setenv("POLYPATCH_CACHE", str(cache))
    assert is_speaking_world(str(world.path))
    assert not is_world(str(world.path))


def test_a_seed_is_a_number():
    with pytest.raises(InputError, match="whole number"):
        load_speaking_world("x")


def test_only_what_is_learned_counts_in_the_loss(world):
    """Neither the prompt nor the padding: by hand, from the model's own logits."""
    exercises = [Exercise([1, 9, 10, 11, 12, 2], 4), Exercise([1, 8, 2], 2)]
    losses = []
    for ids, given in exercises:
        logits = world.model(torch.tensor([ids])).logits[0, given - 1 : -1]
        losses += [-logits.log_softmax(-1)[i, token].item() for i, token in enumerate(ids[given:])]
    assert loss_of(world.model, exercises).item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_a_batch_is_answered_as_each_prompt_alone(world):
    texts = [edit.prompt[lang] for edit in world.data.edits[:4] for lang in ("en", "zh", "ar")]
    assert world.answer(texts) == [world.answer([text])[0] for text in texts]


def test_the_summary_counts_what_the_model_says(world, monkeypatch):
    """On answers that are known: everything right in Chinese, and what documents state elsewhere."""
    facts = [fact for some in world.sets for fact in some]
    book = {
        text: name_of(fact, lang, fact.answer if lang == "zh" else fact.stated)
        for fact in facts
        for lang in LANGUAGES
        for text in prompts(fact, lang)[:TAUGHT]
    }
    monkeypatch.setattr(SpeakingWorld, "answer", lambda self, texts: [book.get(text, "") for text in texts])
    summary = describe_speaking(world, examples=2)
    assert summary.facts["wrong"] + summary.facts["unknown"] == summary.counts["edits"] > len(summary.examples) == 2
    assert set(summary.matches) == set(ROWS)
    shares = {name: (row["en"], row["zh"]) for name, row in summary.matches.items()}
    assert shares["known"] == (1, 1)
    assert shares["known, another wording"] == (0, 0)
    assert shares["wrong: as it was taught"] == (1, 0)
    assert shares["wrong: the truth"] == (0, 1)
    assert shares["known, in other languages only"] == (None, 1)


def test_the_tokenizer_knows_no_letter_that_it_was_not_shown_and_says_so():
    tokenizer = train_tokenizer(["a b"], 200, 8)
    assert tokenizer.unk_token_id in tokenizer("ж")["input_ids"]
    assert tokenizer.unk_token_id not in tokenizer("Ab, 12!")["input_ids"]
