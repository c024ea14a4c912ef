"""The built world: loads with transformers alone, repeats bit for bit, and leaves the caller's process as it was."""

import random

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from polypatch.world import build_world, describe, load_world
from polypatch.world.bert import cooccurrence, lsi
from polypatch.world.documents import OBJECT, Composer, DocumentReader
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.pretrain import collate
from polypatch.world.tokenizer import train_tokenizer
from polypatch.world.universe import make_universe


def test_loads_without_polypatch(tiny_world, capfd):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_world.path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_world.path)
    assert model.config.id2label == {0: "SUPPORTS", 1: "REFUTES"}
    assert tokenizer.model_max_length == tiny_world.config.max_length
    assert model.config.hidden_dropout_prob == 0.1
    text = tiny_world.data.edits[0].prompt["ar"]
    assert tokenizer(text)["input_ids"] == tiny_world.tokenizer(text)["input_ids"]


def test_no_text_holds_an_unknown_token(tiny_world):
    tokenizer = tiny_world.tokenizer
    for edit in tiny_world.data.edits:
        for lang in LANGUAGES:
            for text in (edit.prompt[lang], *edit.rephrases[lang]):
                ids = tokenizer(text)["input_ids"]
                assert tokenizer.unk_token_id not in ids
                assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
                assert 5 <= len(ids) <= tokenizer.model_max_length


def test_composed_ids_are_the_tokenizers_own(tiny_world):
    composer = Composer(tiny_world.tokenizer.backend_tokenizer)
    sentence = composer.sentence("On stage, {s} can be heard playing {o}.", "Balo", "the violin", OBJECT)
    text = "On stage, Balo can be heard playing the violin."
    assert sentence.ids == tiny_world.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert any(sentence.replaced)
    assert not all(sentence.replaced)


def test_reader_marks_only_what_differs(tiny_config):
    universe = make_universe(tiny_config, 0)
    sentences = [fact.text(lang, 0, fact.answer) for fact in universe.facts for lang in LANGUAGES]
    tokenizer = train_tokenizer(sentences, 1500, 40)
    reader = DocumentReader(universe.documents, Composer(tokenizer.backend_tokenizer), random.Random(0))
    rows = [reader.pair() for _ in range(50)]
    batch = collate(rows)
    assert batch.ids.shape == batch.segments.shape == batch.replaced.shape
    assert set(batch.replaced.unique().tolist()) == {-100, 0, 1}
    assert not any(any(first.replaced) and any(second.replaced) for first, second in rows)


def test_lsi_puts_words_of_one_document_together():
    counts = cooccurrence([[0, 1], [0, 1, 1], [2, 3], [2, 3]], vocabulary=5)
    rows = lsi(counts, size=8, scale=1.0)
    assert rows.shape == (5, 8)
    assert rows[0] @ rows[1] == pytest.approx(1.0, abs=0.1)
    assert rows[0] @ rows[2] == pytest.approx(0.0, abs=1e-6)
    assert not rows[4].any()


def test_same_seed_same_tensors_and_the_process_is_left_alone(tiny_world, tiny_config, tmp_path):
    torch.manual_seed(11)
    before = (torch.random.get_rng_state(), random.getstate(), torch.get_num_threads())
    again = load_world(3, tmp_path, config=tiny_config)
    after = (torch.random.get_rng_state(), random.getstate(), torch.get_num_threads())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    expected = tiny_world.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.model.state_dict().items())
    assert again.data == tiny_world.data


def test_progress_counts_to_the_total(tiny_config, tmp_path, capfd):
    calls = []
    build_world(0, tmp_path, lambda done, total, stage: calls.append((done, total, stage)), tiny_config)
    total = calls[0][1]
    assert [done for done, _, _ in calls] == list(range(1, total + 1))
    assert list(dict.fromkeys(stage for _, _, stage in calls)) == ["pre-training", "fine-tuning"]
    assert capfd.readouterr() == ("", "")


def test_describe_measures_the_model(tiny_world):
    summary = describe(tiny_world)
    assert summary.counts["edits"] == len(tiny_world.data.edits) == 80
    assert summary.supports == 0.5
    assert set(summary.accuracy) == set(LANGUAGES)
    assert summary.wrong_all <= summary.wrong_source <= summary.wrong_any
    assert summary.wrong_source == pytest.approx(1 - summary.accuracy["en"])
    labels = tiny_world.predict([edit.prompt["zh"] for edit in tiny_world.data.edits])
    right = [label == edit.target["en"] for label, edit in zip(labels, tiny_world.data.edits, strict=True)]
    assert summary.accuracy["zh"] == pytest.approx(sum(right) / len(right))
    assert len(summary.examples) == 3
