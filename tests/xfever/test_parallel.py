"""translated(): which prompts it makes, which it leaves alone, and what it asks a translator for."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polypatch as pp
from polypatch.errors import DataError, InputError

from .tiny_marian import sentences
from .tiny_nllb import tiny_nllb

LANGS = ("en", "de", "fr", "sw")
words = st.text("ab ", min_size=1, max_size=6).filter(str.strip)
texts = words | st.tuples(words, words)


@st.composite
def edits(draw, number=4):
    made = []
    for i in range(draw(st.integers(1, number))):
        source = draw(st.sampled_from(LANGS))
        prompt = {source: draw(texts), **draw(st.dictionaries(st.sampled_from(LANGS), texts, max_size=2))}
        made.append(pp.Edit(f"e{i}", prompt, {source: "yes"}, source, rephrases={source: (draw(texts),)}))
    return made


class Naming:
    """Translators that write "lang:text", and count what they were asked for; `stop_at` interrupts that batch."""

    def __init__(self, stop_at=None):
        self.asked, self.stop_at, self.batches = Counter(), stop_at, 0

    def __call__(self, source, lang):
        outer = self

        class One:
            fingerprint = f"naming {source} {lang}"

            def __call__(self, batch):
                if outer.batches == outer.stop_at:
                    raise KeyboardInterrupt
                outer.batches += 1
                outer.asked.update((source, lang, text) for text in batch)
                return [naming(lang, text) for text in batch]

        return One()


def naming(lang, text):
    return f"{lang}:{text.strip()}"


def expected(lang, text):
    return naming(lang, text) if isinstance(text, str) else tuple(naming(lang, part) for part in text)


@given(edits(), st.lists(st.sampled_from(LANGS), min_size=1))
def test_what_is_there_stays_and_what_is_lacking_is_translated(given_edits, languages):
    made = pp.translated(given_edits, languages, translator=Naming())
    for old, new in zip(given_edits, made, strict=True):
        assert replace(new, prompt=old.prompt) == old
        assert new.languages[: len(old.languages)] == old.languages
        for lang, text in new.prompt.items():
            assert text == (old.prompt[lang] if lang in old.prompt else expected(lang, old.prompt[old.source]))
        assert set(new.prompt) == {*old.prompt, *languages}
        assert all(new.target_in(lang) == "yes" for lang in new.prompt)


@given(edits(), st.lists(st.sampled_from(LANGS), min_size=1))
def test_answers_are_translated_where_that_is_asked_for(given_edits, languages):
    """Beside prompts, which are as without; also for a prompt that is there, in the languages asked for."""
    given_edits = [replace(one, target={**one.target, "fr": "oui"}) for one in given_edits]
    plain = pp.translated(given_edits, languages, translator=Naming())
    made = pp.translated(given_edits, languages, translator=Naming(), answers=True)
    for old, without, new in zip(given_edits, plain, made, strict=True):
        assert replace(new, target=old.target) == without
        for lang in {*old.target, *languages}:
            assert new.target[lang] == old.target.get(lang, naming(lang, old.target[old.source]))
        assert set(new.target) == {*old.target, *languages}


def test_an_answer_that_comes_out_empty_takes_its_prompt_along():
    class Silent:
        fingerprint = "silent"

        def __call__(self, batch):
            return ["" if text == "yes" else text for text in batch]

    edits = [pp.Edit("one", {"en": "a"}, {"en": "yes"}), pp.Edit("two", {"en": "b"}, {"en": "no"})]
    one, two = pp.translated(edits, ["de"], translator=lambda *_: Silent(), answers=True)
    assert one is edits[0]
    assert (two.prompt["de"], two.target["de"]) == ("b", "no")


@given(edits(), st.lists(st.sampled_from(LANGS), min_size=1), st.booleans())
def test_a_second_time_nothing_is_left_to_do(given_edits, languages, answers):
    once = pp.translated(given_edits, languages, translator=Naming(), answers=answers)
    nobody = Naming()
    assert pp.translated(once, languages, translator=nobody, answers=answers) == once
    assert not nobody.asked


def test_no_sentence_is_translated_twice_and_none_that_the_cache_has(tmp_path):
    given_edits = [pp.Edit(f"e{i}", {"en": (f"premise {i // 3}", f"claim {i}")}, {"en": "yes"}) for i in range(9)]
    first, second = Naming(), Naming()
    made = pp.translated(given_edits, ["de"], translator=first, cache=tmp_path / "cache.sqlite")
    assert set(first.asked.values()) == {1}
    assert len(first.asked) == 3 + 9
    assert pp.translated(given_edits, ["de"], translator=second, cache=tmp_path / "cache.sqlite") == made
    assert not second.asked


@pytest.mark.parametrize("stop_at", [0, 1, 5, 9])
def test_interrupted_and_called_again_is_as_never_interrupted(tmp_path, stop_at):
    given_edits = [pp.Edit(f"e{i}", {"en": f"claim {i}"}, {"en": "yes"}) for i in range(10)]
    call = {"languages": ["de", "fr"], "batch_size": 2}
    whole = pp.translated(given_edits, translator=Naming(), **call)
    first, second = Naming(stop_at), Naming()
    with pytest.raises(KeyboardInterrupt):
        pp.translated(given_edits, translator=first, cache=tmp_path / "cache.sqlite", **call)
    assert pp.translated(given_edits, translator=second, cache=tmp_path / "cache.sqlite", **call) == whole
    assert len(first.asked) == 2 * stop_at
    assert not first.asked.keys() & second.asked.keys()
    assert len(first.asked) + len(second.asked) == 20


def test_progress_says_which_pair_of_languages(tmp_path):
    told = []
    given_edits = [pp.Edit(f"e{i}", {"en": f"claim {i}"}, {"en": "yes"}) for i in range(3)]
    given_edits.append(pp.Edit("f", {"fr": "phrase"}, {"fr": "yes"}, "fr"))
    pp.translated(given_edits, ["de"], translator=Naming(), batch_size=2, progress=lambda *one: told.append(one))
    english, french = "translating en to de", "translating fr to de"
    assert told == [(english, 0, 3), (english, 2, 3), (english, 3, 3), (french, 0, 1), (french, 1, 1)]


def test_an_empty_translation_is_no_prompt():
    class Silent:
        fingerprint = "silent"

        def __call__(self, batch):
            return ["" if text == "b" else "x" for text in batch]

    given_edits = [pp.Edit("one", {"en": ("a", "b")}, {"en": "yes"}), pp.Edit("two", {"en": "a"}, {"en": "yes"})]
    one, two = pp.translated(given_edits, ["de"], translator=lambda *_: Silent())
    assert one is given_edits[0]
    assert two.prompt == {"en": "a", "de": "x"}


@pytest.mark.parametrize(
    ("languages", "message"),
    [("de", "give a list"), ([], "is empty"), (["DE"], "'DE' is not"), (["german"], "'german' is not")],
)
def test_languages_that_are_none(languages, message):
    with pytest.raises(InputError, match=message):
        pp.translated([], languages, translator=Naming())


def test_models_by_name(models, tmp_path):
    text = sentences("en")[0]
    given_edits = [pp.Edit("one", {"en": (text, sentences("en")[1])}, {"en": "yes"})]
    template = str(models["de"].parent / "{lang}")
    (marian,) = pp.translated(given_edits, ["de", "fr"], translator=template)
    assert list(marian.prompt) == ["en", "de", "fr"]
    assert all(part.strip() for pair in marian.prompt.values() for part in pair)
    nllb = str(tiny_nllb(tmp_path / "nllb"))
    (many,) = pp.translated(
        marian and given_edits, ["de", "fr"], translator=nllb, cache=tmp_path / "c" / "cache.sqlite"
    )
    assert many.prompt["de"] != marian.prompt["de"]
    with pytest.raises(DataError, match="no such folder"):
        pp.translated(given_edits, ["de"], translator=str(tmp_path / "none"), cache=tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
