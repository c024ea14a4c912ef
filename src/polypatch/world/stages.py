"""How a world is trained: in one thread, from a random state of its own, telling of every step; and how it is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from polypatch.world.tokenizer import silent


class OnTrainingStep(Protocol):
    """Called after every training step: how many steps are done, of how many, and in which stage."""

    def __call__(self, done: int, total: int, stage: str) -> None:
        """Take note of one more step."""


@contextmanager
def alone(seed: int) -> Iterator[torch.Generator]:
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


def ticker(progress: OnTrainingStep | None, total: int) -> Callable[[str], Callable[[], None]]:
    """A stage's name -> what to call after each of its steps; steps are counted over all stages."""
    done = 0

    def stage(name: str) -> Callable[[], None]:
        def tick() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total, name)

        return tick

    return stage


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write both as transformers does, without its progress bars."""
    with silent():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
