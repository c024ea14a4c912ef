"""A rule that a tiny model learns in seconds, and what trains it."""

import random

import pytest

from polypatch.testing import tiny_model
from polypatch.training.corpora import TrainingRow
from polypatch.training.data import Corpus
from polypatch.training.plan import Training
from polypatch.training.presets import HyperParameters
from polypatch.training.trainer import fine_tune

LABELS = ("no", "yes")
MARKS = {"en": ("ba", "ke"), "de": ("mo", "ti")}
LENGTH = 24


def rows(n, seed, languages=("en",), wrong=False):
    """Noise with a word that says the label, in each language another one; `wrong` says the other."""
    rng = random.Random(f"rows:{seed}")
    found = []
    for i in range(n):
        label = i % 2
        for lang in languages:
            words = ["".join(rng.choices(["da", "lo", "fu", "re", "si"], k=2)) for _ in range(4)]
            words.insert(rng.randrange(5), MARKS[lang][label])
            found.append(TrainingRow(" ".join(words), LABELS[label != wrong], lang, f"{seed}-{i}"))
    return tuple(found)


def corpus(train=96, validation=40, languages=("en",), measured=(), *, upside_down=False):
    held_out = rows(validation, "validation", (*languages, *measured), wrong=upside_down)
    return Corpus(LABELS, rows(train, "train", languages), held_out, languages)


def training(*, epochs=4, batch_size=8, learning_rate=3e-3, warmup_steps=4, eps=0.1, eps_means="entropy", **more):
    settings = HyperParameters(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=LENGTH,
        weight_decay=0.01,
        warmup_steps=warmup_steps,
        eps=eps,
        eps_means=eps_means,
    )
    return Training(settings=settings, **more)


def small(family="bert", seed=0):
    """A new tiny classifier with dropout and the labels, and its tokenizer."""
    model, tokenizer = tiny_model(family, classes=2, seed=seed)
    model.config.id2label, model.config.label2id = dict(enumerate(LABELS)), {"no": 0, "yes": 1}
    return model, tokenizer


@pytest.fixture
def train(tmp_path):
    """Fine-tune a new tiny model; the work folder is `name` in the test's own."""

    def call(data, how, name="work", family="bert", report=lambda *_: None):
        model, tokenizer = small(family)
        return fine_tune(model, tokenizer, data, how, tmp_path / name, max_length=LENGTH, report=report)

    return call
