"""build_world: from a seed to a folder with a small BERT that knows a small world."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

from polypatch.errors import DataError
from polypatch.world.bert import cooccurrence, lsi, new_bert, start_embeddings, start_weights
from polypatch.world.cache import put, verify, world_path
from polypatch.world.config import WorldConfig
from polypatch.world.documents import Composer, Document, DocumentReader, vocabulary_sentences
from polypatch.world.finetune import finetune, steps_of
from polypatch.world.pretrain import Objectives, pretrain
from polypatch.world.shipped import shipped_folder
from polypatch.world.tokenizer import silent, train_tokenizer
from polypatch.world.universe import Universe, make_universe

_LOG = logging.getLogger(__name__)


class OnTrainingStep(Protocol):
    """Called after every training step: how many steps are done, of how many, and in which stage."""

    def __call__(self, done: int, total: int, stage: str) -> None:
        """Take note of one more step."""


def build_world(
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: OnTrainingStep | None = None,
    config: WorldConfig | None = None,
) -> Path:
    """Build the world of `seed` unless the cache holds it whole; a damaged one is built again.

    The world of seed 0 comes with polypatch: it is built only where a `cache_dir` is named. The log names what was
    damaged. Takes about a minute and a half of one core. The folder loads with
    `AutoModelForSequenceClassification` and `AutoTokenizer`. Same seed, same tensors, on the same versions of torch and
    of the machine's maths library.

    Raises:
        DataError: the cache cannot be written to, or the world that comes with polypatch is damaged.
    """
    config = config or WorldConfig()
    if cache_dir is None and (here := shipped_folder(seed, config)):
        return here
    folder = world_path(seed, config, cache_dir)
    try:
        verify(folder)
    except DataError as damage:
        if folder.exists():
            _LOG.warning("the cached world is built again: %s", damage)
        put(folder, lambda path: _make(seed, config, progress).save(path))
    return folder


class _Trained:
    """A model and its tokenizer, ready to save."""

    def __init__(self, model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model = model
        self.tokenizer = tokenizer

    def save(self, folder: Path) -> None:
        """Write both as transformers does."""
        with silent():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


@contextmanager
def _alone(seed: int) -> Iterator[torch.Generator]:
    """One torch thread and a random state of our own; both are given back to the caller afterwards.

    One thread, because sums over two come out in another order, and because these matrices are too small to share.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.default_generator.manual_seed(seed)
            yield torch.default_generator
    finally:
        torch.set_num_threads(threads)


def _ticker(progress: OnTrainingStep | None, total: int) -> Callable[[str], Callable[[], None]]:
    done = 0

    def stage(name: str) -> Callable[[], None]:
        def tick() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total, name)

        return tick

    return stage


def _make(seed: int, config: WorldConfig, progress: OnTrainingStep | None) -> _Trained:
    """The whole recipe."""
    universe = make_universe(config, seed)
    claims = universe.splits.train
    stage = _ticker(progress, config.pretrain_steps + steps_of(len(claims), config))
    tokenizer = train_tokenizer(vocabulary_sentences(universe.facts), config.vocabulary, config.max_length)
    composer = Composer(tokenizer.backend_tokenizer)
    reader = DocumentReader(universe.documents, composer, random.Random(f"reader {seed}"))
    with _alone(seed) as generator:
        model = _start(universe, composer, config, len(tokenizer))
        objectives = Objectives(model)
        pretrain(objectives, reader, config, generator, stage("pre-training"))
        finetune(objectives, claims, reader, composer, config, generator, stage("fine-tuning"))
    return _Trained(model.eval(), tokenizer)


def _start(
    universe: Universe, composer: Composer, config: WorldConfig, vocabulary: int
) -> BertForSequenceClassification:
    """A new BERT with both starts; a parallel document of the LSI is all that is documented of one subject."""
    model = new_bert(config, vocabulary)
    pages: dict[str, list[int]] = {}
    for document in universe.documents:
        pages.setdefault(document.fact.subject["en"], []).extend(_first_wording(document, composer))
    start_embeddings(model, lsi(cooccurrence(pages.values(), vocabulary), config.hidden, scale=1.0))
    start_weights(model)
    return model


def _first_wording(document: Document, composer: Composer) -> list[int]:
    return composer.ids(document.fact.text(document.lang, 0, document.fact.stated))
