"""The world that speaks: the same universe as questions, answers and plain text, and a small decoder that knows it."""

from polypatch.world.speaking.build import build_speaking_world, speaking_world_path
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.describe import SpeakingSummary, describe_speaking
from polypatch.world.speaking.load import SpeakingWorld, load_speaking_world
from polypatch.world.speaking.shipped import is_speaking_world, shipped_speaking_folder

__all__ = [
    "SpeakingConfig",
    "SpeakingSummary",
    "SpeakingWorld",
    "build_speaking_world",
    "describe_speaking",
    "is_speaking_world",
    "load_speaking_world",
    "shipped_speaking_folder",
    "speaking_world_path",
]
