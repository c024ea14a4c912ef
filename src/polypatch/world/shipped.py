"""The world of seed 0 comes with polypatch, so that it is the same world on every machine.

A world that is trained anew knows other things on another processor: rounding differs, and training lets it grow. So
the weights of seed 0 lie in the package, in half precision, with the checksum of the texts that they were trained on.
`scripts/ship_world.py` made the folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from polypatch.errors import DataError
from polypatch.world.cache import cache_root, verify
from polypatch.world.config import WorldConfig
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.universe import Universe

SEED = 0
FOLDER = Path(__file__).parent / f"seed-{SEED}"
TEXTS = "texts.json"
_DEFAULT = WorldConfig()


def shipped_folder(seed: int, config: WorldConfig) -> Path | None:
    """The folder of the world that comes with polypatch, whole; None for any other.

    Raises:
        DataError: a file of it is damaged or missing.
    """
    return whole(FOLDER) if seed == SEED and config == _DEFAULT else None


def whole(folder: Path) -> Path:
    """The folder, which comes with polypatch, checked.

    Raises:
        DataError: a file of it is damaged or missing.
    """
    try:
        verify(folder)
    except DataError as damage:
        raise DataError(f"{damage}; it comes with polypatch, so install that again") from None
    return folder


def require_texts(folder: Path, universe: Universe) -> None:
    """Check that the shipped weights belong to the texts that the generator makes now.

    Raises:
        DataError: they were trained on others.
    """
    require_checksum(folder, texts_checksum(universe))


def require_checksum(folder: Path, checksum: str) -> None:
    """Check that the texts of a shipped folder are those of this checksum.

    Raises:
        DataError: they are others.
    """
    known = json.loads((folder / TEXTS).read_text(encoding="utf-8"))["sha256"]
    if known != checksum:
        raise DataError(
            f"{folder}: these weights were trained on other texts than the generator makes now; install polypatch "
            "again, or, if you changed the generator, build a world of your own (polypatch world build --cache-dir DIR)"
        )


def texts_checksum(universe: Universe) -> str:
    """SHA-256 over what a seed decides: every document, and every claim with its label, in every language."""
    digest = hashlib.sha256()
    for fact, lang in universe.documents:
        digest.update(f"{lang}\t{fact.text(lang, 0, fact.stated)}\n".encode())
    for name, claims in universe.splits._asdict().items():
        for claim in claims:
            texts = (claim.text(lang) for lang in LANGUAGES)
            digest.update("\t".join((name, claim.label, *texts, "\n")).encode())
    return digest.hexdigest()


def is_world(name: str) -> bool:
    """Whether a model's name is the folder of a world: the shipped one, here or elsewhere, or one in the cache."""
    return Path(name).parts[-3:] == FOLDER.parts[-3:] or Path(name).is_relative_to(cache_root() / "world")
