"""build_world: from a seed to a folder with a small BERT that knows a small world."""

from __future__ import annotations

import random
from pathlib import Path

from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

from polypatch.world.bert import cooccurrence, lsi, new_bert, start_embeddings, start_weights
from polypatch.world.cache import keep, world_path
from polypatch.world.config import WorldConfig
from polypatch.world.documents import Composer, Document, DocumentReader, vocabulary_sentences
from polypatch.world.finetune import finetune, steps_of
from polypatch.world.pretrain import Objectives, pretrain
from polypatch.world.shipped import shipped_folder
from polypatch.world.stages import OnTrainingStep, alone, save, ticker
from polypatch.world.tokenizer import train_tokenizer
from polypatch.world.universe import Universe, make_universe


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
    keep(folder, lambda path: save(*_make(seed, config, progress), path))
    return folder


def _make(
    seed: int, config: WorldConfig, progress: OnTrainingStep | None
) -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    """The whole recipe."""
    universe = make_universe(config, seed)
    claims = universe.splits.train
    stage = ticker(progress, config.pretrain_steps + steps_of(len(claims), config))
    tokenizer = train_tokenizer(vocabulary_sentences(universe.facts), config.vocabulary, config.max_length)
    composer = Composer(tokenizer.backend_tokenizer)
    reader = DocumentReader(universe.documents, composer, random.Random(f"reader {seed}"))
    with alone(seed) as generator:
        model = _start(universe, composer, config, len(tokenizer))
        objectives = Objectives(model)
        pretrain(objectives, reader, config, generator, stage("pre-training"))
        finetune(objectives, claims, reader, composer, config, generator, stage("fine-tuning"))
    return model.eval(), tokenizer


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
