"""The two embedded worlds by their names: one is classified, one speaks."""

from __future__ import annotations

from pathlib import Path

from polypatch.data.source import SPEAKING_WORLD, WORLD
from polypatch.world.load import World, load_world
from polypatch.world.shipped import is_world
from polypatch.world.speaking import SpeakingWorld, is_speaking_world, load_speaking_world
from polypatch.world.stages import OnTrainingStep


def world_named(
    name: str, seed: int = 0, cache_dir: str | Path | None = None, progress: OnTrainingStep | None = None
) -> World | SpeakingWorld:
    """The world called ``world``, or ``speaking-world``; see `load_world` and `load_speaking_world`."""
    return (load_speaking_world if name == SPEAKING_WORLD else load_world)(seed, cache_dir, progress)


def name_of_world(folder: str) -> str | None:
    """The name of the world whose model is in a folder; None where it is another model."""
    if folder in (WORLD, SPEAKING_WORLD):
        return folder
    return SPEAKING_WORLD if is_speaking_world(folder) else WORLD if is_world(folder) else None
