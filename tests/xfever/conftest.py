"""Tiny translation models, made once; a made FEVER; and how often each sentence was translated."""

from collections import Counter

import pytest

from cli.conftest import polypatch  # noqa: F401
from polypatch.data.marian import Marian

from .tiny_marian import fever_rows, tiny_marian, write_rows

LANGUAGES = ("de", "fr", "es", "zh", "ar")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Language to checkpoint folder."""
    place = tmp_path_factory.mktemp("marian")
    for i, lang in enumerate(LANGUAGES):
        tiny_marian(place / lang, lang, seed=i)
    return {lang: place / lang for lang in LANGUAGES}


@pytest.fixture
def fever(tmp_path):
    """Files of 200 and 30 claims, so 20 edits."""
    train = write_rows(tmp_path / "train.jsonl", fever_rows(200))
    return train, write_rows(tmp_path / "dev.jsonl", fever_rows(30, first=200))


@pytest.fixture
def argv(fever, models, tmp_path):
    """A command line for some of the languages."""

    def line(out, *more, languages=LANGUAGES):
        named = [word for lang in languages for word in ("--model", f"{lang}={models[lang]}")]
        files = ("--train", fever[0], "--dev", fever[1], "--out", out)
        return ("data", "xfever-edit", *files, "--languages", ",".join(languages), *named, "--quiet", *more)

    return line


@pytest.fixture
def calls(monkeypatch):
    """Counts (language, sentence) over everything that is translated; `stop_at` interrupts before that batch."""
    own = Marian.__call__

    class Calls(Counter):
        batches = 0
        stop_at = None

    seen = Calls()

    def counted(self, batch):
        if seen.batches == seen.stop_at:
            seen.stop_at = None
            raise KeyboardInterrupt
        made = own(self, batch)
        seen.batches += 1
        seen.update((self.lang, sentence) for sentence in batch)
        return made

    monkeypatch.setattr(Marian, "__call__", counted)
    return seen
