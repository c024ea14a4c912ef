"""Batches, the cache, and the tiny Marian models."""

import shutil
import sqlite3
import sys
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from polypatch.data.marian import LANGUAGE_TOKENS, MODELS, Marian
from polypatch.data.seq2seq import EXTRA, Decoding, require_extra
from polypatch.data.translate import translate
from polypatch.data.translation_cache import TranslationCache
from polypatch.errors import DataError, InputError

from .tiny_marian import sentences


class Upper:
    """A translator that is easy to check; `fails_at` raises in that batch."""

    def __init__(self, fingerprint="upper", fails_at=None, error=KeyboardInterrupt):
        self.fingerprint, self.fails_at, self.error = fingerprint, fails_at, error
        self.batches = []

    def __call__(self, batch):
        if len(self.batches) == self.fails_at:
            raise self.error
        self.batches.append(batch)
        return [text.upper() for text in batch]


@pytest.fixture
def cache(tmp_path):
    with TranslationCache(tmp_path / "cache.sqlite") as cache:
        yield cache


TEXTS = [f"{'word ' * (i % 7)}number {i}" for i in range(23)]


def test_every_sentence_is_translated_once(cache):
    upper, told = Upper(), []
    made = translate(TEXTS * 2, upper, cache, batch_size=5, progress=lambda *done: told.append(done))
    assert made.texts == {text: text.upper() for text in TEXTS}
    assert (made.new, len(cache)) == (23, 23)
    assert told == [(0, 23), (5, 23), (10, 23), (15, 23), (20, 23), (23, 23)]
    lengths = [len(text) for batch in upper.batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)
    again = Upper()
    assert translate(TEXTS, again, cache).texts == made.texts
    assert again.batches == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("fails_at", [0, 1, 4])
def test_an_interrupt_loses_the_batch_in_flight_and_no_other(tmp_path, fails_at, error):
    path = tmp_path / "cache.sqlite"
    first, second = Upper(fails_at=fails_at, error=error), Upper()
    with TranslationCache(path) as cache, pytest.raises(error):
        translate(TEXTS, first, cache, batch_size=5)
    with TranslationCache(path) as cache:
        assert len(cache) == 5 * fails_at
        made = translate(TEXTS, second, cache, batch_size=5)
    twice = [text for batch in first.batches + second.batches for text in batch]
    assert sorted(twice) == sorted(TEXTS)
    assert made.new == 23 - 5 * fails_at


def test_another_translator_shares_nothing(cache):
    translate(TEXTS, Upper("model at one commit"), cache)
    other = Upper("model at another")
    assert translate(TEXTS, other, cache).new == 23
    assert len(cache) == 46


def test_wrong_numbers(cache):
    with pytest.raises(InputError, match="batch_size is 0"):
        translate(TEXTS, Upper(), cache, batch_size=0)
    short = Upper()
    short.__class__ = type("Short", (Upper,), {"__call__": lambda self, batch: batch[1:]})
    with pytest.raises(InputError, match="22 translations of 23 sentences"):
        translate(TEXTS, short, cache)
    assert len(cache) == 0


def test_two_runs_share_a_file(tmp_path):
    def work(part):
        with TranslationCache(tmp_path / "cache.sqlite") as cache:
            translate(part, Upper(), cache, batch_size=1)

    threads = [threading.Thread(target=work, args=(TEXTS[i::2] + TEXTS[:5],)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with TranslationCache(tmp_path / "cache.sqlite") as cache:
        assert cache.get("upper", TEXTS) == {text: text.upper() for text in TEXTS}


def test_a_file_that_another_run_sets_up_meanwhile(tmp_path, monkeypatch):
    """It opens the same new file, from beginning to end, after the first statement of ours."""
    path, connect = tmp_path / "cache.sqlite", sqlite3.connect

    class Overtaken(sqlite3.Connection):
        def execute(self, *words):
            row = super().execute(*words).fetchone()
            with monkeypatch.context() as patched:
                patched.setattr(sqlite3, "connect", connect)
                with TranslationCache(path) as other:
                    other.put("upper", {"a": "A"})
            return SimpleNamespace(fetchone=lambda: row)

    monkeypatch.setattr(sqlite3, "connect", partial(connect, factory=Overtaken))
    TranslationCache(path).close()
    monkeypatch.undo()
    with TranslationCache(path) as cache:
        assert cache.get("upper", ["a"]) == {"a": "A"}


def test_a_new_file_that_another_run_is_writing_is_waited_for(tmp_path, monkeypatch):
    """SQLite itself does not wait where a file changes its mode."""
    other = sqlite3.connect(tmp_path / "cache.sqlite")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("polypatch.data.translation_cache.time.sleep", lambda _: other.rollback())
    with TranslationCache(tmp_path / "cache.sqlite") as cache:
        cache.put("upper", {"a": "A"})
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("polypatch.data.translation_cache._PATIENCE", 0.0)
    with pytest.raises(DataError, match="database is locked"), TranslationCache(tmp_path / "cache.sqlite"):
        pass
    other.close()


def test_what_is_no_cache(tmp_path):
    (tmp_path / "text").write_text("not a database, and longer than a header of SQLite" * 9, encoding="utf-8")
    with pytest.raises(DataError, match="file is not a database"):
        TranslationCache(tmp_path / "text")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(DataError, match="another program's database"):
        TranslationCache(tmp_path / "other.sqlite")
    with pytest.raises(DataError, match="text"):
        TranslationCache(tmp_path / "text" / "cache.sqlite")


def test_batches_are_durable(tmp_path):
    with TranslationCache(tmp_path / "c.sqlite") as cache:
        assert cache._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cache._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_marian_translates_alike_in_any_batch(models, cache):
    marian = Marian("de", str(models["de"]))
    texts = sentences("en")[:24]
    whole = translate(texts, marian, cache, batch_size=24).texts
    assert all(whole.values())
    assert len(set(whole.values())) > 1
    alone = {text: marian([text])[0].strip() for text in texts}
    assert alone == whole


def test_the_language_token_is_put_before_where_the_model_knows_it(models):
    for lang in ("de", "zh", "ar"):
        assert Marian(lang, str(models[lang]))._prefix == (f"{LANGUAGE_TOKENS[lang]} " if lang != "de" else "")
        assert Marian(lang, str(models[lang]), decoding=Decoding(language_token=False))._prefix == ""
    # a model without the token gets none, whatever the language
    assert Marian("zh", str(models["fr"]))._prefix == ""


def test_decoding_is_bounded_and_part_of_the_key(models):
    marian = Marian("fr", str(models["fr"]), decoding=Decoding(num_beams=3, max_tokens=5))
    settings = marian._settings
    assert (settings.num_beams, settings.max_length, settings.do_sample) == (3, 6, False)
    assert Marian("fr", str(models["fr"]))._settings.num_beams == 2  # the checkpoint's own
    keys = {
        Marian("fr", str(models["fr"]), decoding=decoding).fingerprint
        for decoding in (Decoding(), Decoding(num_beams=3), Decoding(max_tokens=9))
    }
    assert len(keys) == 3


def test_the_key_is_the_files_and_not_their_place(models, tmp_path):
    own = Marian("es", str(models["es"])).fingerprint
    moved = shutil.copytree(models["es"], tmp_path / "moved")
    (moved / "README.md").write_text("notes", encoding="utf-8")
    assert Marian("es", str(moved)).fingerprint == own
    (moved / "generation_config.json").write_text("{}", encoding="utf-8")
    assert Marian("es", str(moved)).fingerprint != own


def test_a_missing_extra_says_what_to_install(monkeypatch):
    for name in EXTRA:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            patch.setattr("importlib.util.find_spec", lambda asked, name=name: None if asked == name else True)
            with pytest.raises(InputError, match=rf"needs {name}: pip install 'polypatch\[translate\]'"):
                require_extra()


def test_models_that_cannot_be_had(models, tmp_path, checkpoint_of_another_kind, monkeypatch):
    assert set(MODELS) == {"de", "fr", "es", "zh", "ar"}
    with pytest.raises(InputError, match=r"no translation model is known for 'fi' .*name one"):
        Marian("fi")
    with pytest.raises(DataError, match="none: no such folder"):
        Marian("de", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"field 'model_type': 'bert'; translation needs a 'marian' model"):
        Marian("de", str(checkpoint_of_another_kind))
    with pytest.raises(DataError, match=r"config.json: no such file"):
        Marian("de", str(tmp_path))
    with pytest.raises(InputError, match="device 'tpu': not there"):
        Marian("de", str(models["de"]), device="tpu")
    broken = shutil.copytree(models["de"], tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(DataError, match="broken: neither a translation model's folder nor a model the hub can give"):
        Marian("de", str(broken))(["A claim."])
    monkeypatch.setattr("polypatch.data.seq2seq.hf_hub_download", refuse)
    with pytest.raises(DataError, match=r"Helsinki-NLP/opus-mt-en-de: neither .* no network"):
        Marian("de")


def test_a_hub_model_is_known_by_its_commit(models, tmp_path, monkeypatch):
    snapshot = shutil.copytree(models["de"], tmp_path / "snapshots" / "0123abc")
    monkeypatch.setattr("polypatch.data.seq2seq.hf_hub_download", lambda *_, **__: str(snapshot / "config.json"))
    marian = Marian("de")
    assert marian.fingerprint.startswith("Helsinki-NLP/opus-mt-en-de@0123abc ")
    assert marian.checkpoint.revision == "0123abc"


def refuse(*_, **__):
    raise OSError("no network")


@pytest.fixture
def checkpoint_of_another_kind(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    return folder
