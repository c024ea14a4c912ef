"""The embedded default: a generated six-language world and the small BERT that knows it, built offline in minutes."""

from polypatch.world.build import Progress, build_world
from polypatch.world.cache import cache_root, world_path
from polypatch.world.config import WorldConfig
from polypatch.world.describe import WorldSummary, describe
from polypatch.world.load import World, load_world

__all__ = [
    "Progress",
    "World",
    "WorldConfig",
    "WorldSummary",
    "build_world",
    "cache_root",
    "describe",
    "load_world",
    "world_path",
]
