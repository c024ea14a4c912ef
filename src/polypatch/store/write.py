"""Writes a folder of edits, whole or not at all, and reads it back before it gets its name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polypatch.data.memory import Kept
from polypatch.data.memory_file import counted, memory_lines, packed, parallel_lines
from polypatch.data.record import record_from_edit
from polypatch.deltas.kinds import standing_alone
from polypatch.errors import ArtefactError, PolypatchError
from polypatch.files import sha256, write_synced
from polypatch.outcomes import EditRecord
from polypatch.store.artefact import (
    CARD,
    CONFIG,
    FIELDS,
    FORMAT_VERSION,
    MEMORY,
    PARALLEL,
    PROVENANCE,
    REPORT,
    TENSORS,
    Artefact,
    own_checksum,
    read_artefact,
)
from polypatch.store.card import model_card
from polypatch.store.folder import replacing

if TYPE_CHECKING:
    from torch import Tensor


def write_artefact(folder: Path, artefact: Artefact, loads: Callable[[Artefact], object] | None = None) -> Path:
    """Write the folder; it is either absent, the old one, or the whole new one.

    What was written is read back before it gets its name, so that a folder that is there can be read.

    Args:
        folder: where. A link is followed.
        artefact: what.
        loads: tries whether what was read back can be loaded, and raises where it cannot; where it is not given, an
            empty delta does, if the kind can do without a model.

    Raises:
        ArtefactError: `folder` exists and holds something else, the disk refuses, another process does not get ready,
            or what was written cannot be read back; the old folder is there.
    """
    with replacing(folder, _replaceable, ArtefactError) as staging:
        for name, content in _contents(folder, artefact).items():
            write_synced(staging / name, content)
        _require_readable(folder, staging, artefact, loads)
    return folder


def _contents(folder: Path, artefact: Artefact) -> dict[str, bytes]:
    """Every file by name, the configuration with the checksums of the others.

    Raises:
        ArtefactError: something that no file can hold: a number that is not finite, half a character.
    """
    from safetensors.torch import save

    for name, tensor in artefact.tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ArtefactError(f"{folder}: {name} holds numbers that are not finite; nothing was saved")
    try:
        files = {TENSORS: save(dict(artefact.tensors), metadata={"format": "pt"})}
        rows = (_row(record, artefact.owners) for record in artefact.records)
        files[PROVENANCE] = b"".join(_json(row) for row in rows)
        if artefact.report is not None:
            files[REPORT] = _json(list(artefact.report), indent=2)
        texts, said = _texts(artefact)
        files |= texts
        config = {"data": None} | {
            name: artefact.config[name] for name in FIELDS[FORMAT_VERSION] if name in artefact.config
        }
        config |= said
        config |= {"format_version": FORMAT_VERSION, "checksums": {name: sha256(raw) for name, raw in files.items()}}
        config.pop("checksum", None)
        config["checksum"] = own_checksum(config)
        files[CONFIG] = _json(config, indent=2)
        files[CARD] = model_card(config, artefact.records, artefact.report).encode()
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"{folder}: cannot be written down ({error}); nothing was saved") from error
    return files


def _texts(artefact: Artefact) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the texts that go with the edits; and what the configuration says of them.

    That is how many they are and how large; or, of a memory that stays in a file of its own, which file.
    """
    memory = artefact.memory
    files: dict[str, bytes] = {}
    said: dict[str, Any] = {"memory": None, "parallel": None}

    def add(field: str, name: str, raw: bytes, texts: Mapping[str, int]) -> None:
        files[name] = packed(raw)
        said[field] = {"file": name, "bytes": len(files[name]), "unpacked": len(raw), "texts": dict(texts)}

    if isinstance(memory, Kept):
        add("memory", MEMORY, memory_lines(memory), counted(memory))
    elif memory is not None:
        said["memory"] = memory.to_plain()
    if memory is not None and (parallel := memory.parallel) is not None:
        add("parallel", PARALLEL, parallel_lines(parallel), {lang: len(texts) for lang, texts in parallel.items()})
    return files, said


def _json(plain: object, indent: int | None = None) -> bytes:
    return f"{json.dumps(plain, indent=indent, ensure_ascii=False, allow_nan=False)}\n".encode()


def _row(record: EditRecord, owners: Sequence[str]) -> dict[str, Any]:
    name = record.outcome.edit_id
    return {
        "id": name,
        "neurons": [i for i, owner in enumerate(owners) if owner == name],
        "request": None if record.edit is None else record_from_edit(record.edit),
        "outcome": {k: v for k, v in dataclasses.asdict(record.outcome).items() if k != "edit_id"},
        "reverted": record.reverted,
    }


def _replaceable(folder: Path) -> str:
    return "" if (folder / CONFIG).is_file() else "exists and holds no saved edits; refusing to replace it"


def _require_readable(
    folder: Path, staging: Path, artefact: Artefact, loads: Callable[[Artefact], object] | None
) -> None:
    """Refuse to give a name to what cannot be read, or says something else than what was to be written."""
    try:
        back = read_artefact(staging)
        if back.owners != tuple(artefact.owners) or not _same(back.tensors, artefact.tensors):
            raise ArtefactError("other tensors or owners")
        (loads or _load_alone)(back)
    except (PolypatchError, ValueError, TypeError) as error:
        said = str(error).replace(f"{staging}/", "")
        raise ArtefactError(
            f"{folder}: what was to be saved cannot be read back ({said}); nothing was saved"
        ) from error


def _load_alone(back: Artefact) -> None:
    delta = standing_alone(back.config, back.tensors)
    if delta is not None:
        delta.load_tensors(back.tensors, back.owners)


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(tensor.equal(other[name].cpu()) for name, tensor in one.items())
