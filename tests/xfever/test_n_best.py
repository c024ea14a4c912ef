"""Several translations of a sentence, how sure the model is of each, and what of it a cache keeps."""

import copy
import math
import sqlite3

import pytest
import torch

import polypatch as pp
from polypatch.data.marian import Marian
from polypatch.data.multilingual import Multilingual
from polypatch.data.scored import ScoredText, ordered
from polypatch.data.seq2seq import Checkpoint
from polypatch.data.translate import translate, translate_scored
from polypatch.data.translation_cache import TranslationCache
from polypatch.errors import DataError, InputError, PolypatchWarning

from .tiny_marian import sentences
from .tiny_nllb import tiny_nllb

TEXTS = sentences("en")[:7]


@pytest.fixture(scope="module")
def translators(models, tmp_path_factory):
    """Marian, NLLB, and the tokens before an output that they did not choose."""
    nllb = Checkpoint(str(tiny_nllb(tmp_path_factory.mktemp("many") / "nllb")))
    return {"marian": (Marian("de", str(models["de"])), 1), "nllb": (Multilingual(nllb, "en", "de"), 2)}


@pytest.fixture(params=["marian", "nllb"])
def translator(request, translators):
    return translators[request.param]


@pytest.fixture
def cache(tmp_path):
    with TranslationCache(tmp_path / "cache.sqlite") as cache:
        yield cache


def outputs(one, text, count, **changes):
    """What its search finds of one text: the settings, the inputs, all that `generate` says."""
    settings = copy.deepcopy(one._settings)
    settings.num_beams = settings.num_return_sequences = count
    settings.update(**changes)
    inputs = one.checkpoint.tokenizer([text], return_tensors="pt")
    said = one.checkpoint.model.generate(
        **inputs, generation_config=settings, return_dict_in_generate=True, output_scores=True
    )
    return inputs, said


@torch.no_grad()
def by_hand(one, inputs, ids, given):
    """exp(mean log p) of an output's tokens, read token by token."""
    logs = []
    for place in range(given, len(ids)):
        said = one.checkpoint.model(**inputs, decoder_input_ids=ids[None, :place]).logits[0, -1]
        logs.append(float(said.double().log_softmax(-1)[ids[place]]))
        if ids[place] == one.checkpoint.model.generation_config.eos_token_id:
            break
    return math.exp(sum(logs) / len(logs))


@pytest.mark.parametrize("at_once", [1, 2**26])
def test_confidence_is_the_geometric_mean_of_the_tokens_probabilities(translator, at_once, monkeypatch):
    one, given = translator
    monkeypatch.setattr("polypatch.data.seq2seq._AT_ONCE", at_once)
    for text in TEXTS[:3]:
        inputs, said = outputs(one, text, 3)
        expected = [by_hand(one, inputs, ids, given) for ids in said.sequences]
        assert one.checkpoint.confidence([text], said.sequences, given) == pytest.approx(expected, rel=1e-4)
        assert all(0 < value < 1 for value in expected)


def test_confidence_is_what_the_search_itself_reports(translators, monkeypatch):
    """Where it was free to end: a bound that forces the end reports that as certain."""
    one, given = translators["marian"]
    monkeypatch.setattr(one.checkpoint.model.generation_config, "forced_eos_token_id", None)
    for text in TEXTS[:3]:
        _, said = outputs(one, text, 3, forced_eos_token_id=None, max_length=30)
        scores = one.checkpoint.model.compute_transition_scores(said.sequences, said.scores, said.beam_indices)
        own = (said.beam_indices >= 0)[:, : scores.shape[1]]
        expected = (scores.sum(1) / own.sum(1)).exp().tolist()
        assert one.checkpoint.confidence([text], said.sequences, given) == pytest.approx(expected, rel=1e-4)
        assert said.sequences_scores.exp().tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_first_is_the_translation_whatever_the_number(translator, count):
    one, _ = translator
    found = one.n_best(TEXTS, count)
    assert [row[0].text for row in found] == one(TEXTS)
    assert all(1 <= len(row) <= count for row in found)
    assert [row[0].confidence for row in found] == pytest.approx([r[0].confidence for r in one.n_best(TEXTS, 1)])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_other_texts_follow_the_surest_first(translator, cache, count):
    one, _ = translator
    plain = translate(TEXTS, one, cache).texts
    found = translate_scored(TEXTS, one, cache, count=count, certain=True, batch_size=3)
    assert set(found) == set(TEXTS)
    for text, (first, *others) in found.items():
        assert first.text == plain[text]
        values = [other.confidence for other in others]
        assert values == sorted(values, reverse=True)
        words = [" ".join(one.text.split()) for one in (first, *others)]
        assert len(set(words)) == len(words) <= count
        assert all(words)
    assert count == 1 or any(len(row) > 1 for row in found.values())


def test_what_is_another_text():
    found = [ScoredText(" a  b ", 0.2), ScoredText("c", 0.4), ScoredText("a b", 0.9), ScoredText("", 0.8)]
    assert ordered([*found, ScoredText("d", 0.6), ScoredText("c ", 0.7)]) == (
        ScoredText("a  b", 0.2),
        ScoredText("c", 0.7),
        ScoredText("d", 0.6),
    )
    assert ordered(found, "c") == (ScoredText("c", 0.4), ScoredText("a b", 0.9))
    assert ordered(found, "kept") == (ScoredText("kept"), ScoredText("a b", 0.9), ScoredText("c", 0.4))
    assert ordered([ScoredText("", 0.1), ScoredText("x", 0.1)])[0].text == ""


class Watched:
    """A translator, and every (sentence, number) that it was asked for."""

    def __init__(self, one):
        self.one, self.fingerprint, self.asked = one, one.fingerprint, []

    def __call__(self, batch):
        self.asked += [(text, 0) for text in batch]
        return self.one(batch)

    def n_best(self, batch, count):
        self.asked += [(text, count) for text in batch]
        return self.one.n_best(batch, count)


def test_nothing_is_translated_twice(translators, tmp_path):
    watched = Watched(translators["marian"][0])
    for part in (TEXTS[:4], TEXTS):
        with TranslationCache(tmp_path / "c.sqlite") as cache:
            first = translate_scored(part, watched, cache, count=3, batch_size=2)
    assert sorted(watched.asked) == sorted((text, 3) for text in TEXTS)
    with TranslationCache(tmp_path / "c.sqlite") as cache:
        assert translate_scored(TEXTS, watched, cache, count=3) == first
        one = translate_scored(TEXTS, watched, cache, certain=True)
        assert one == {text: row[:1] for text, row in first.items()}
        assert translate(TEXTS, watched, cache).texts == {text: row[0].text for text, row in first.items()}
    assert len(watched.asked) == len(TEXTS)


def test_a_number_gives_the_same_texts_whatever_was_asked_for_before(translators, tmp_path):
    one, _ = translators["marian"]
    found = {}
    for counts in ((2,), (4, 2), (1, 2)):
        with TranslationCache(tmp_path / f"{len(found)}.sqlite") as cache:
            for count in counts:
                found[counts] = translate_scored(TEXTS, one, cache, count=count, batch_size=7)
    assert len({str(rows) for rows in found.values()}) == 1


def test_a_cache_without_confidences_is_gone_on_with(translators, tmp_path):
    """Such as an older polypatch left: its texts stay, and get a confidence where one is needed."""
    watched, path = Watched(translators["marian"][0]), tmp_path / "old.sqlite"
    plain = dict(zip(TEXTS, translators["marian"][0](TEXTS), strict=True))
    old = sqlite3.connect(path)
    old.executescript(
        "PRAGMA application_id=0x70706D74; CREATE TABLE translations (translator TEXT NOT NULL, sentence TEXT NOT NULL,"
        " translation TEXT NOT NULL, PRIMARY KEY (translator, sentence)) STRICT, WITHOUT ROWID"
    )
    kept = {**plain, TEXTS[0]: "by hand"}
    old.executemany("INSERT INTO translations VALUES (?, ?, ?)", [(watched.fingerprint, *row) for row in kept.items()])
    old.commit()
    old.close()
    with TranslationCache(path) as cache:
        assert translate_scored(TEXTS, watched, cache) == {text: (ScoredText(kept[text]),) for text in TEXTS}
        assert watched.asked == []
        found = translate_scored(TEXTS, watched, cache, certain=True)
    assert {text: row[0].text for text, row in found.items()} == kept
    assert found[TEXTS[0]][0].confidence is None
    assert all(row[0].confidence for text, row in found.items() if text != TEXTS[0])
    assert len(watched.asked) == len(TEXTS)


def test_a_cache_of_a_later_version_is_refused(tmp_path):
    TranslationCache(tmp_path / "c.sqlite").close()
    later = sqlite3.connect(tmp_path / "c.sqlite")
    later.execute("PRAGMA user_version=2")
    later.close()
    with pytest.raises(DataError, match=r"c\.sqlite: a cache of translations of version 2, .* writes 1; name another"):
        TranslationCache(tmp_path / "c.sqlite")


class Saying:
    """A translator of one language that writes these."""

    fingerprint = "saying"

    def __init__(self, **found):
        self.found = {text.replace("_", " "): rows for text, rows in found.items()}

    def __call__(self, batch):
        return [row[0].text for row in self.n_best(batch, 1)]

    def n_best(self, batch, count):
        return [[ScoredText(*row) for row in self.found[text][:count]] for text in batch]


def made(edit, renderings=1, min_confidence=0.0, answers=False, **found):
    (one,) = pp.translated(
        [edit],
        ["de"],
        translator=lambda *_: Saying(**found),
        renderings=renderings,
        min_confidence=min_confidence,
        answers=answers,
    )
    return one


ROWS = (("eins", 0.9), ("zwei", 0.3), (" zwei", 0.6), ("drei", 0.5))


def test_the_best_is_the_prompt_and_others_are_renderings():
    edit = pp.Edit("one", {"en": "a", "fr": "un"}, {"en": "yes"}, rephrases={"de": ("drei",)})
    assert made(edit, a=ROWS).renderings == {}
    several = made(edit, 4, a=ROWS)
    assert several.prompt == {"en": "a", "fr": "un", "de": "eins"}
    assert several.renderings == {"de": ("zwei",)}  # a rephrase stays held out
    assert [(one.lang, one.text) for one in several.examples_in("de")] == [("de", "eins"), ("de#2", "zwei")]
    assert made(several, 4, a=()) == several


def test_parts_of_a_pair_go_together():
    edit = pp.Edit("one", {"en": ("a", "b")}, {"en": "yes"})
    pair = made(edit, 3, a=(("x", 0.9), ("y", 0.8), ("z", 0.4)), b=(("u", 0.7), ("v", 0.6)))
    assert pair.prompt["de"] == ("x", "u")
    assert pair.renderings == {"de": (("y", "v"), ("z", "u"))}
    sure = made(edit, 3, 0.5, a=(("x", 0.9), ("y", 0.8), ("z", 0.4)), b=(("u", 0.7), ("v", 0.6)))
    assert sure.renderings == {"de": (("y", "v"),)}


def test_what_is_not_sure_enough_is_left_out_and_counted():
    edit = pp.Edit("one", {"en": "a"}, {"en": "yes"})
    assert made(edit, 4, 0.55, a=ROWS).renderings == {"de": ("zwei",)}
    with pytest.warns(PolypatchWarning, match="not used, as their confidence is below 0.95: de 1"):
        assert made(edit, 4, 0.95, a=ROWS) == edit
    assert made(edit, 1, 0.9, a=ROWS).prompt["de"] == "eins"
    with pytest.warns(PolypatchWarning, match="below 0.5: de 1"):
        assert made(edit, 1, 0.5, answers=True, a=ROWS, yes=(("ja", 0.4),)) == edit
    both = made(edit, 2, 0.5, answers=True, a=ROWS, yes=(("ja", 0.6), ("doch", 0.5)))
    assert (both.target["de"], both.renderings) == ("ja", {})


def test_what_cannot_be():
    class Plain:
        fingerprint = "plain"

        def __call__(self, batch):
            return batch

    edit = pp.Edit("one", {"en": "a"}, {"en": "yes"})
    for more in ({"renderings": 2}, {"min_confidence": 0.1}):
        with pytest.raises(InputError, match="plain: this translator has no n_best"):
            pp.translated([edit], ["de"], translator=lambda *_: Plain(), **more)
    for more in ({"renderings": 0}, {"min_confidence": 1.1}, {"min_confidence": -0.1}, {"renderings": 1.5}):
        (name,) = more
        with pytest.raises(InputError, match=f"TranslationSettings: {name} must be"):
            pp.translated([edit], ["de"], translator=lambda *_: Plain(), **more)
    Plain.n_best = lambda self, batch, count: [[ScoredText("a")], [ScoredText("b")]]
    with pytest.raises(InputError, match="2 translations of 1 sentences"):
        pp.translated([edit], ["de"], translator=lambda *_: Plain(), renderings=2)
