"""The speaking world of seed 0 comes with polypatch, as the classifier's does; `scripts/ship_world.py` made it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from polypatch.world.cache import cache_root
from polypatch.world.facts import Fact
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.shipped import SEED, require_checksum, whole
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.data import Sets
from polypatch.world.speaking.texts import name_of, prompts, sentences

FOLDER: Final = Path(__file__).parent / f"seed-{SEED}"
CACHE: Final = "speaking-world"
"""The folder of the cache that holds speaking worlds."""
_DEFAULT: Final = SpeakingConfig()


def shipped_speaking_folder(seed: int, config: SpeakingConfig) -> Path | None:
    """The folder of the speaking world that comes with polypatch, whole; None for any other.

    Raises:
        DataError: a file of it is damaged or missing.
    """
    return whole(FOLDER) if seed == SEED and config == _DEFAULT else None


def require_texts(folder: Path, sets: Sets) -> None:
    """Check that the shipped weights belong to the texts that the generator makes now.

    Raises:
        DataError: they were trained on others.
    """
    require_checksum(folder, texts_checksum(sets))


def texts_checksum(sets: Sets) -> str:
    """SHA-256 over what a seed decides: every fact's use, prompts, answers and sentences, in every language."""
    digest = hashlib.sha256()
    for use, facts in sets._asdict().items():
        for fact in facts:
            digest.update(f"{use}\t{' '.join(fact.documented)}\n".encode())
            for lang in LANGUAGES:
                digest.update("\t".join((*_said(fact, lang), "\n")).encode())
    return digest.hexdigest()


def _said(fact: Fact, lang: str) -> tuple[str, ...]:
    answers = (name_of(fact, lang, fact.stated), name_of(fact, lang, fact.answer))
    return *prompts(fact, lang), *sentences(fact, lang), *answers


def is_speaking_world(name: str) -> bool:
    """Whether a model's name is the folder of a speaking world: the shipped one, here or elsewhere, or a cached one."""
    return Path(name).parts[-4:] == FOLDER.parts[-4:] or Path(name).is_relative_to(cache_root() / CACHE)
