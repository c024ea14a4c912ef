"""The embedded default: a generated six-language world and the small BERT that knows it, built offline in minutes."""

from polypatch.world.build import build_world
from polypatch.world.cache import cache_root, world_path
from polypatch.world.config import WorldConfig
from polypatch.world.describe import WorldSummary, describe
from polypatch.world.load import World, load_world
from polypatch.world.named import name_of_world, world_named
from polypatch.world.shipped import is_world, shipped_folder
from polypatch.world.stages import OnTrainingStep

__all__ = [
    "OnTrainingStep",
    "World",
    "WorldConfig",
    "WorldSummary",
    "build_world",
    "cache_root",
    "describe",
    "is_world",
    "load_world",
    "name_of_world",
    "shipped_folder",
    "world_named",
    "world_path",
]
