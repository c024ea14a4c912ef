"""load_speaking_world: the built world as objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerFast

from polypatch.arguments import is_number
from polypatch.data.base import EditingData
from polypatch.errors import InputError
from polypatch.world.speaking.build import build_speaking_world
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.data import Sets, editing_data, make_sets
from polypatch.world.speaking.shipped import FOLDER, require_texts
from polypatch.world.stages import OnTrainingStep
from polypatch.world.tokenizer import silent

_LONGEST = 16
"""Tokens of an answer at most: twice as many as the longest name has."""


@dataclass(frozen=True)
class SpeakingWorld:
    """One world that speaks, ready for an experiment.

    Attributes:
        path: the folder that holds model and tokenizer.
        model: the decoder, in evaluation mode.
        tokenizer: its tokenizer; a text begins with ``<s>``, and an answer ends with ``</s>``.
        data: the edits, and the texts around them.
        sets: the facts that the data speak of.
        seed, config: what made it.
    """

    path: Path
    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    data: EditingData
    sets: Sets
    seed: int = 0
    config: SpeakingConfig = field(default_factory=SpeakingConfig)

    @torch.no_grad()
    def answer(self, prompts: Sequence[str]) -> list[str]:
        """What the model answers to each prompt: greedy, to its natural end."""
        answers: list[str] = []
        for first in range(0, len(prompts), 256):
            asked = self.tokenizer(list(prompts[first : first + 256]), padding=True, return_tensors="pt")
            said = self.model.generate(**asked, max_new_tokens=_LONGEST, do_sample=False)
            new = said[:, asked["input_ids"].shape[1] :]
            answers += self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return answers


def load_speaking_world(
    seed: int = 0,
    cache_dir: str | Path | None = None,
    progress: OnTrainingStep | None = None,
    config: SpeakingConfig | None = None,
) -> SpeakingWorld:
    """The speaking world of `seed`: seed 0 from the package, others from the cache, else built now (minutes).

    A damaged cache is built again, and the log says so.

    Raises:
        InputError: a seed that is no whole number.
        DataError: the world that comes with polypatch is damaged, or belongs to other texts.
    """
    if not is_number(seed):
        raise InputError(f"seed is a whole number, not {seed!r}")
    config = config or SpeakingConfig()
    folder = build_speaking_world(seed, cache_dir, progress, config)
    with silent():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", trust_remote_code=False).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    sets = make_sets(config, seed)
    if folder == FOLDER:
        require_texts(folder, sets)
    return SpeakingWorld(folder, model, tokenizer, editing_data(sets), sets, seed, config)
