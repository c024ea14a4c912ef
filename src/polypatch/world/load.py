"""load_world: the built world as objects, with the base row measured on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from polypatch.arguments import is_number
from polypatch.data.base import EditingData
from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.world.build import build_world
from polypatch.world.config import WorldConfig
from polypatch.world.shipped import FOLDER, require_texts
from polypatch.world.stages import OnTrainingStep
from polypatch.world.tokenizer import silent
from polypatch.world.universe import editing_data, make_universe


@dataclass(frozen=True)
class World:
    """One world, ready for an experiment.

    Attributes:
        path: the folder that holds model and tokenizer.
        model: the fine-tuned classifier, in evaluation mode.
        tokenizer: its tokenizer; `model_max_length` is set.
        data: the edits, and the texts around them.
        seed, config: what made it.
    """

    path: Path
    model: BertForSequenceClassification
    tokenizer: PreTrainedTokenizerFast
    data: EditingData
    seed: int = 0
    config: WorldConfig = field(default_factory=WorldConfig)

    def predict(self, texts: Sequence[Text]) -> list[str]:
        """The model's label for each text."""
        labels: Mapping[int, str] = self.model.config.id2label
        return [labels[index] for index in _argmax(self, texts)]


def load_world(
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: OnTrainingStep | None = None,
    config: WorldConfig | None = None,
) -> World:
    """The world of `seed`: seed 0 from the package, others from the cache, else built now (about a minute and a half).

    A damaged cache is built again, and the log says so.

    Raises:
        InputError: a seed that is no whole number.
        DataError: the world that comes with polypatch is damaged, or belongs to other texts.
    """
    if not is_number(seed):
        raise InputError(f"seed is a whole number, not {seed!r}")
    config = config or WorldConfig()
    folder = build_world(seed, cache_dir, progress, config)
    with silent():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype="float32", trust_remote_code=False
        ).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    universe = make_universe(config, seed)
    if folder == FOLDER:
        require_texts(folder, universe)
    data = editing_data(universe.splits, config)
    return World(path=folder, model=model.eval(), tokenizer=tokenizer, data=data, seed=seed, config=config)


@torch.no_grad()
def _argmax(world: World, texts: Sequence[Text]) -> list[int]:
    found: list[int] = []
    for start in range(0, len(texts), 256):
        chunk = list(texts[start : start + 256])
        inputs = world.tokenizer(chunk, padding=True, truncation=True, return_tensors="pt")
        found += world.model(**inputs).logits.argmax(dim=1).tolist()
    return found
