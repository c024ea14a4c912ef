"""The folder on disk that holds edits, described as data.

::

    edit_config.json     format version, recipe, seed, site, base model and its fingerprint, settings
    edits.safetensors    the tensors of the delta
    provenance.jsonl     one line per edit: its outcome; ``owners`` in the configuration maps neurons to edits
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from polypatch.errors import ArtefactError
from polypatch.outcomes import EditOutcome

FORMAT_VERSION = 1
CONFIG, TENSORS, PROVENANCE = "edit_config.json", "edits.safetensors", "provenance.jsonl"

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "format_version": int,
    "recipe": str,
    "seed": int,
    "sampled_languages": list,
    "delta": str,
    "scope": (str, type(None)),
    "site": str,
    "base_model": str,
    "base_fingerprint": str,
    "max_length": int,
    "owners": list,
    "settings": dict,
}


@dataclass(frozen=True)
class Artefact:
    """What the folder holds."""

    tensors: Mapping[str, Tensor]
    owners: tuple[str, ...]
    outcomes: tuple[EditOutcome, ...]
    config: Mapping[str, Any]


def write_artefact(folder: Path, artefact: Artefact) -> Path:
    """Write the folder; it is either absent, the old one, or the whole new one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = {"format_version": FORMAT_VERSION, **artefact.config, "owners": list(artefact.owners)}
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        (staging / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (staging / TENSORS).write_bytes(save(dict(artefact.tensors), metadata={"format": "pt"}))
        lines = (json.dumps(dataclasses.asdict(o), ensure_ascii=False) for o in artefact.outcomes)
        (staging / PROVENANCE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        staging.chmod(0o755)
        _put_in_place(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return folder


def read_artefact(folder: Path) -> Artefact:
    """Read and check the folder. Runs no code from it.

    Raises:
        ArtefactError: a file is missing or malformed, or written by a later format.
    """
    config = _read_config(folder / CONFIG)
    try:
        tensors = load((folder / TENSORS).read_bytes())
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{folder / TENSORS}: not readable ({error})") from error
    return Artefact(tensors, tuple(config["owners"]), _read_outcomes(folder / PROVENANCE), config)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path}: not a readable configuration of saved edits ({error})") from error
    if not isinstance(config, dict) or config.get("format_version") != FORMAT_VERSION:
        raise ArtefactError(f"{path}: format_version should be {FORMAT_VERSION}; this version reads no other")
    for name, kind in _FIELDS.items():
        if not isinstance(config.get(name, ...), kind):
            raise ArtefactError(f"{path}: {name} is missing or not of type {kind}")
    _require_sense(path, config)
    return config


def _require_sense(path: Path, config: Mapping[str, Any]) -> None:
    """Check what types alone do not say."""
    if not all(isinstance(owner, str) for owner in (*config["owners"], *config["sampled_languages"])):
        raise ArtefactError(f"{path}: owners and sampled_languages must be lists of strings")
    if config["delta"] not in ("patches", "weights"):
        raise ArtefactError(f"{path}: delta should be 'patches' or 'weights', is {config['delta']!r}")
    if config["scope"] not in ((None,) if config["delta"] == "patches" else ("ffn", "layer")):
        raise ArtefactError(f"{path}: scope {config['scope']!r} does not belong to {config['delta']}")
    if config["max_length"] < 1:
        raise ArtefactError(f"{path}: max_length should be at least 1, is {config['max_length']}")


def _read_outcomes(path: Path) -> tuple[EditOutcome, ...]:
    try:
        # Not splitlines(): U+2028 and its like are characters of real sentences.
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return tuple(EditOutcome(**{**row, "languages": tuple(row["languages"])}) for row in rows)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtefactError(f"{path}: not readable as outcomes of edits ({error})") from error


def _put_in_place(staging: Path, folder: Path) -> None:
    """Rename, moving an older folder aside first; a kill in between leaves both, never a mixture."""
    if not folder.exists():
        staging.rename(folder)
        return
    if not (folder / CONFIG).is_file():
        raise ArtefactError(f"{folder}: exists and holds no saved edits; refusing to replace it")
    aside = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    folder.rename(aside)
    staging.rename(folder)
    shutil.rmtree(aside)
