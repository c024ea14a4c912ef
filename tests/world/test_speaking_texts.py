"""The speaking world's text: what is asked in which language, what the tokenizer gives back, who is in which set."""

import random

import pytest

from polypatch.world.lexicon import LANGUAGES, RELATIONS
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.data import editing_data, make_sets
from polypatch.world.speaking.prompts import PROMPTS, TAUGHT
from polypatch.world.speaking.texts import Knowledge, knowledge, name_of, prompts, sentences, spaced_texts
from polypatch.world.speaking.tokenizer import train_tokenizer
from polypatch.world.universe import make_universe
from polypatch.world.wordings import WORDINGS

FULL = SpeakingConfig()


@pytest.fixture(scope="module")
def sets():
    return make_sets(FULL, 0)


@pytest.fixture(scope="module")
def facts(sets):
    return [fact for some in sets for fact in some]


@pytest.fixture(scope="module")
def data(sets):
    return editing_data(sets)


@pytest.fixture(scope="module")
def tokenizer(facts):
    return train_tokenizer(spaced_texts(tuple(facts)), FULL.vocabulary, FULL.max_length)


@pytest.mark.parametrize("relation", [relation.name for relation in RELATIONS])
def test_every_prompt_names_the_subject_once_and_has_two_wordings_that_are_never_taught(relation):
    assert tuple(PROMPTS[relation]) == LANGUAGES
    for asked in PROMPTS[relation].values():
        assert len(set(asked)) == len(asked) == TAUGHT + 2
        assert all(one.count("{s}") == 1 and "{o}" not in one for one in asked)


def test_no_text_that_is_trained_on_begins_as_a_rephrase_does():
    for relation, by_language in PROMPTS.items():
        for lang, asked in by_language.items():
            taught = [*asked[:TAUGHT], *WORDINGS[relation][lang]]
            assert not [(one, other) for one in asked[TAUGHT:] for other in taught if other.startswith(one)]


def test_texts_come_back_as_they_were_and_hold_no_unknown_token(facts, tokenizer):
    for fact in facts[::7]:
        for lang in LANGUAGES:
            for text in (*prompts(fact, lang), *sentences(fact, lang), name_of(fact, lang, fact.answer)):
                ids = tokenizer(text)["input_ids"]
                assert tokenizer.decode(ids, skip_special_tokens=True) == text
                assert tokenizer.unk_token_id not in ids
                assert len(ids) <= FULL.max_length


def test_an_answer_follows_its_prompt_and_no_token_crosses_the_border(facts, tokenizer):
    for fact in facts[::7]:
        for lang in LANGUAGES:
            answer = name_of(fact, lang, fact.answer)
            for text in prompts(fact, lang):
                asked = tokenizer(text)["input_ids"]
                whole = tokenizer(f"{text} {answer}")["input_ids"]
                assert whole[: len(asked)] == asked
                assert tokenizer.decode(whole[len(asked) :]) == answer
                if lang == "zh":  # written with a space or without
                    assert tokenizer(text + answer)["input_ids"] == whole


def test_chinese_is_written_without_spaces(facts):
    texts = [text for fact in facts for text in (*prompts(fact, "zh"), *sentences(fact, "zh"))]
    assert not [text for text in texts if " " in text]


def test_the_subjects_are_those_of_the_classifiers_world(facts):
    others = make_universe(FULL.facts.__class__(), 0).facts
    assert {fact.subject["ar"] for fact in facts} == {fact.subject["ar"] for fact in others}


def test_edits_correct_what_is_wrong_or_unknown(sets, data):
    assert len(data.edits) == len(sets.edits) >= 350
    for fact, edit in zip(sets.edits, data.edits, strict=True):
        assert edit.languages == tuple(edit.target) == LANGUAGES
        assert bool(edit.ground_truth) == (knowledge(fact) is Knowledge.WRONG)
        assert all(edit.ground_truth.get(lang) != edit.target[lang] for lang in LANGUAGES)
        assert all(len(edit.rephrases[lang]) == 2 for lang in LANGUAGES)
    assert {knowledge(fact) for fact in sets.edits} == {Knowledge.WRONG, Knowledge.UNKNOWN}
    assert {knowledge(fact) for facts in sets[1:] for fact in facts} == {Knowledge.KNOWN}


def test_memory_is_aligned_and_no_set_shares_a_text_with_another(data):
    for texts in (data.memory, data.validation, data.parallel):
        assert tuple(texts) == LANGUAGES
        assert len({len(column) for column in texts.values()}) == 1
    for lang in LANGUAGES:
        suffix = "" if lang == "en" else f".{lang}"
        kept = [
            {text for edit in data.edits for text in (edit.prompt[lang], *edit.rephrases[lang])},
            set(data.memory[lang]),
            set(data.validation[lang]),
            {row.text for row in data.locality["known" + suffix]},
            {row.text for row in data.locality["reworded" + suffix]},
            set(data.held_out[lang]),
        ]
        assert all(kept)
        assert len(set.union(*kept)) == sum(map(len, kept))
        assert set(data.parallel[lang]) <= set(data.memory[lang])


def test_a_locality_set_asks_for_what_is_documented_in_its_language(sets, data):
    for lang in LANGUAGES:
        documented = [fact for fact in sets.locality if lang in fact.documented]
        rows = data.locality["known" if lang == "en" else f"known.{lang}"]
        assert [row.label for row in rows] == [name_of(f, lang, f.answer) for f in documented for _ in range(TAUGHT)]
    assert len(data.locality["known.zh"]) < len(data.locality["known"])


def test_same_seed_same_texts_other_seed_others():
    state = random.getstate()
    assert make_sets(FULL, 5) == make_sets(FULL, 5) != make_sets(FULL, 6)
    assert random.getstate() == state
