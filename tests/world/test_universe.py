"""The text of the world: balance, counts, disjointness, determinism, every language present."""

import random
from dataclasses import replace

import pytest

from polypatch.data.base import EditingData
from polypatch.world import WorldConfig
from polypatch.world.claims import LABELS, Claim, wrong_answers
from polypatch.world.lexicon import LANGUAGES, OBJECTS, RELATIONS
from polypatch.world.names import invent_names
from polypatch.world.universe import editing_data, make_universe
from polypatch.world.wordings import ENGLISH_WORDINGS, WORDINGS

FULL = WorldConfig()


@pytest.fixture(scope="module", params=[0, 1, 2])
def data(request) -> EditingData:
    return editing_data(make_universe(FULL, request.param).splits, FULL)


def test_lexicon_has_every_language_and_no_two_words_alike():
    for rows in OBJECTS.values():
        for lang in LANGUAGES:
            forms = [row[lang] for row in rows]
            assert len(set(forms)) == len(forms)
            assert all(forms)
    assert {relation.objects for relation in RELATIONS} == set(OBJECTS)


@pytest.mark.parametrize("relation", [relation.name for relation in RELATIONS])
def test_every_wording_names_subject_and_object_once(relation):
    for lang in LANGUAGES:
        wordings = WORDINGS[relation][lang]
        assert len(set(wordings)) == len(wordings) == (ENGLISH_WORDINGS if lang == "en" else 2)
        assert all(wording.count("{s}") == wording.count("{o}") == 1 for wording in wordings)


def test_names_differ_in_every_script():
    names = invent_names(400, random.Random(0), {"Rome"})
    for lang in LANGUAGES:
        assert len({name[lang] for name in names}) == 400


def test_counts_and_balance(data):
    assert len(data.edits) >= 1500
    supports = sum(edit.target["en"] == LABELS[0] for edit in data.edits) / len(data.edits)
    assert 0.45 <= supports <= 0.55
    assert len({edit.id for edit in data.edits}) == len(data.edits)
    assert data.edits[0].id == "world-0001"


def test_every_edit_speaks_every_language(data):
    for edit in data.edits:
        assert edit.languages == LANGUAGES
        assert len(set(edit.rephrases["en"])) == 2
        assert all(len(edit.rephrases[lang]) == 1 for lang in LANGUAGES[1:])
        assert all(edit.prompt[lang] not in edit.rephrases[lang] for lang in LANGUAGES)


def test_rephrases_are_trained_on_nowhere(data):
    for lang in LANGUAGES:
        rephrases = {text for edit in data.edits for text in edit.rephrases[lang]}
        prompts = {edit.prompt[lang] for edit in data.edits}
        assert rephrases.isdisjoint(prompts)
        assert rephrases.isdisjoint(data.memory[lang])
        assert rephrases.isdisjoint(data.validation[lang])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_sets_share_no_text(data, lang):
    suffix = "" if lang == "en" else f".{lang}"
    sets = [
        {edit.prompt[lang] for edit in data.edits},
        set(data.memory[lang]),
        set(data.validation[lang]),
        {row.text for row in data.locality["train" + suffix]},
        {row.text for row in data.locality["test" + suffix]},
    ]
    assert all(sets)
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_memory_is_parallel(data):
    assert len({len(texts) for texts in data.memory.values()}) == 1
    assert set(data.memory) == set(data.validation) == set(LANGUAGES)


def test_no_contradiction_within_the_edits(data):
    for lang in LANGUAGES:
        assert len({edit.prompt[lang] for edit in data.edits}) == len(data.edits)


def test_same_seed_same_world_other_seed_other_world():
    state = random.getstate()
    first, second = make_universe(FULL, 5), make_universe(FULL, 5)
    assert first == second
    assert make_universe(FULL, 6) != first
    assert random.getstate() == state


def test_shares_are_near_the_config():
    facts = make_universe(FULL, 0).facts
    changed = sum(fact.stated != fact.answer for fact in facts) / len(facts)
    undocumented = sum(not fact.documented for fact in facts) / len(facts)
    assert changed == pytest.approx(FULL.outdated, abs=0.001)
    assert undocumented == pytest.approx(FULL.undocumented * (1 - FULL.outdated), abs=0.04)


def test_changed_facts_are_contradicted_with_the_old_object():
    config = replace(FULL, outdated=1.0, exceptions=0.0)
    fact = make_universe(config, 0).facts[0]
    assert wrong_answers(fact, 1, [0, 1, 2], 0.0, random.Random(0)) == [fact.stated]
    assert Claim(fact, fact.stated, 0).label == "REFUTES"


def test_no_document_states_a_fact_of_the_test_set():
    universe = make_universe(FULL, 0)
    tested = {(claim.fact.subject["en"], claim.fact.relation) for claim in universe.splits.test}
    documented = {(document.fact.subject["en"], document.fact.relation) for document in universe.documents}
    assert tested.isdisjoint(documented)
    assert len(tested) == FULL.test_facts


def test_changed_facts_are_edits_only():
    splits = make_universe(FULL, 0).splits
    assert any(claim.fact.changed for claim in splits.edit)
    assert not any(claim.fact.changed for claims in splits[:2] + splits[3:] for claim in claims)
