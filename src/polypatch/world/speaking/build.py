"""build_speaking_world: from a seed to a folder with a small decoder that knows a small world."""

from __future__ import annotations

import random
from pathlib import Path

from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from polypatch._version import __version__
from polypatch.world.cache import cache_root, keep, recipe_hash
from polypatch.world.facts import make_facts
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.decoder import new_decoder, start
from polypatch.world.speaking.shipped import CACHE, shipped_speaking_folder
from polypatch.world.speaking.texts import spaced_texts
from polypatch.world.speaking.tokenizer import train_tokenizer
from polypatch.world.speaking.train import Teacher, train
from polypatch.world.stages import OnTrainingStep, alone, save, ticker


def speaking_world_path(seed: int, config: SpeakingConfig, cache_dir: str | Path | None = None) -> Path:
    """Where the speaking world of `seed` and `config` lives, built or not."""
    root = Path(cache_dir) if cache_dir is not None else cache_root()
    return root / CACHE / f"{__version__}-{recipe_hash(config, Path(__file__).parent)}-seed{seed}"


def build_speaking_world(
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: OnTrainingStep | None = None,
    config: SpeakingConfig | None = None,
) -> Path:
    """Build the speaking world of `seed` unless the cache holds it whole; a damaged one is built again.

    That of seed 0 comes with polypatch: it is built only where a `cache_dir` is named. Takes about two minutes of one
    core. The folder loads with `AutoModelForCausalLM` and `AutoTokenizer`. Same seed, same tensors, on the same
    versions of torch and of the machine's maths library.

    Raises:
        DataError: the cache cannot be written to, or the world that comes with polypatch is damaged.
    """
    config = config or SpeakingConfig()
    if cache_dir is None and (here := shipped_speaking_folder(seed, config)):
        return here
    folder = speaking_world_path(seed, config, cache_dir)
    keep(folder, lambda path: save(*_make(seed, config, progress), path))
    return folder


def _make(
    seed: int, config: SpeakingConfig, progress: OnTrainingStep | None
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """The whole recipe."""
    facts = make_facts(config.facts, random.Random(seed))
    tokenizer = train_tokenizer(spaced_texts(facts), config.vocabulary, config.max_length)
    teacher = Teacher(facts, tokenizer, random.Random(f"teacher {seed}"))
    with alone(seed):
        model = new_decoder(config, len(tokenizer))
        start(model, teacher.pages())
        train(model, teacher, config, ticker(progress, config.steps)("training"))
    return model.eval(), tokenizer
