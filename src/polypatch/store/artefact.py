"""The folder on disk that holds edits, described as data, and read without running any of it; `writing` writes it.

::

    edit_config.json     what was edited and how: `FIELDS`; SHA-256 of every other file, and of itself
    edits.safetensors    the tensors of the delta, of one of the kinds in `polypatch.deltas.kinds`
    provenance.jsonl     one line per edit, in order: `ROW`
    report.json          what the edits achieved, the rows of a report; absent where nothing was measured
    memory.jsonl.gz      the texts of the memory; absent where they are in another file, or not kept
    parallel.jsonl.gz    the parallel text that queries were mapped by; likewise
    README.md            the model card, for people and hubs; not read back

**Format 1** had neither checksums, model card, report nor requests, and kept `owners` in the configuration.
**Format 2** knew its model by weights and labels alone. **Format 3** knew its configuration and tokenizer as well, and
no memory. All are read; what is written is format 4, which knows its memory and its data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from polypatch.data.memory import Kept
from polypatch.data.memory_file import (
    MemoryFile,
    memory_file_from_plain,
    memory_from_lines,
    parallel_from_lines,
    unpacked,
)
from polypatch.data.record import edit_from_record
from polypatch.data.source import DataSource, source_from_plain
from polypatch.deltas.kinds import KINDS
from polypatch.errors import ArtefactError, DataError
from polypatch.files import read_plain, sha256, strict_json
from polypatch.outcomes import EditOutcome, EditRecord, outcome_from_plain
from polypatch.store.folder import aside
from polypatch.store.places import CONFIG as CONFIG

if TYPE_CHECKING:  # the history is read without waiting for torch
    from torch import Tensor

FORMAT_VERSION = 4
TENSORS, PROVENANCE, REPORT, CARD = "edits.safetensors", "provenance.jsonl", "report.json", "README.md"
MEMORY, PARALLEL = "memory.jsonl.gz", "parallel.jsonl.gz"

REPLACED = 9
"""So often a reader begins anew where the folder was replaced while it was read."""

Types = type | tuple[type, ...]

_COMMON: dict[str, Types] = {
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
    "settings": dict,
}
_SECOND: dict[str, Types] = {
    **_COMMON,
    "polypatch_version": str,
    "base_revision": (str, type(None)),
    "hidden_size": int,
    "activation": str,
    "labels": list,
    "checksums": dict,
    "checksum": str,
}
_THIRD: dict[str, Types] = {**_SECOND, "base_config": dict, "base_tokenizer": str}
FIELDS: dict[int, dict[str, Types]] = {
    1: {**_COMMON, "owners": list},
    2: _SECOND,
    3: _THIRD,
    4: {**_THIRD, **dict.fromkeys(("memory", "parallel", "data"), (dict, type(None)))},
}
"""Format version -> the fields of `edit_config.json` and their types: all of these and no others."""

_RULES = {"retries": int, "keep_failed": bool, "allow_contradictions": bool, "languages": list}
"""What `settings` may say of the rules the edits were made by, and its types."""

ROW = ("id", "neurons", "request", "outcome", "reverted")
"""The fields of a line of `provenance.jsonl`: the edit's id; its rows in the tensors (none for changed weights); the
edit itself as in `polypatch.data`, null where not known; its `EditOutcome`; when it was reverted, or the empty string.
"""


@dataclass(frozen=True)
class Artefact:
    """What the folder holds.

    Attributes:
        tensors: of the delta.
        owners: the edit id behind each neuron.
        records: the history, in order.
        config: the fields of `edit_config.json` that are not about the files themselves.
        report: rows of `report.json`; None where nothing was measured.
        memory: the texts that further edits must leave alone, or the file they are in; and the parallel text. None
            where they were not kept.
    """

    tensors: Mapping[str, Tensor]
    owners: tuple[str, ...]
    records: tuple[EditRecord, ...]
    config: Mapping[str, Any]
    report: Sequence[Mapping[str, Any]] | None = field(default=None)
    memory: Kept | MemoryFile | None = None

    @property
    def data(self) -> DataSource | None:
        """Where the edits came from; None where that is not known."""
        plain = self.config.get("data")
        return None if plain is None else source_from_plain(plain, CONFIG)

    @property
    def outcomes(self) -> tuple[EditOutcome, ...]:
        """What became of each edit that was not reverted."""
        return tuple(record.outcome for record in self.records if not record.reverted)


def read_artefact(folder: Path, *, follow_links: bool = False, tensors: bool = True) -> Artefact:
    """Read and check the folder. Runs no code from it.

    Args:
        folder: the folder.
        follow_links: accept files that are links, as in a hub's cache.
        tensors: False leaves them and the memory on the disk, for who wants the history only.

    Raises:
        ArtefactError: a file is missing, malformed, not a plain file, or not the one that was written.
    """
    for _ in range(REPLACED):
        place = _present(folder)
        try:
            return _read(place[0], follow_links, tensors)
        except ArtefactError:
            if _present(folder) == place:
                raise
    return _read(folder, follow_links, tensors)


def _present(folder: Path) -> tuple[Path, int]:
    """Where the edits are, and which of the folders of that name it is; after a kill between two renames, the old."""
    with suppress(OSError):
        return folder, folder.stat().st_ino
    with suppress(OSError):
        return aside(folder), aside(folder).stat().st_ino
    return folder, 0


def _read(folder: Path, follow_links: bool, tensors: bool) -> Artefact:
    config = _read_config(folder / CONFIG, follow_links)
    checksums: Mapping[str, str] = config.get("checksums", {})

    def content(name: str) -> bytes:
        raw = read_plain(folder / name, follow_links, ArtefactError)
        if config["format_version"] > 1 and sha256(raw) != checksums.get(name):
            raise ArtefactError(f"{folder / name}: was changed after it was written (another SHA-256 than in {CONFIG})")
        return raw

    loaded = _tensors(folder / TENSORS, content(TENSORS)) if tensors else {}
    owners, records = _read_provenance(folder / PROVENANCE, content(PROVENANCE), config)
    report = strict_json(content(REPORT), f"{folder / REPORT}", ArtefactError) if REPORT in checksums else None
    if not tensors:
        return Artefact(loaded, owners, records, config, report)
    memory = _memory(folder, config, content)
    if memory is not None and PARALLEL in checksums:
        raw = unpacked(content(PARALLEL), config["parallel"], f"{folder / PARALLEL}")
        memory = replace(memory, parallel=parallel_from_lines(raw, f"{folder / PARALLEL}"))
    return Artefact(loaded, owners, records, config, report, memory)


def _memory(folder: Path, config: Mapping[str, Any], content: Callable[[str], bytes]) -> Kept | MemoryFile | None:
    plain = config.get("memory")
    if MEMORY in config.get("checksums", {}) and plain is not None and plain.get("file") == MEMORY:
        where = f"{folder / MEMORY}"
        return memory_from_lines(unpacked(content(MEMORY), plain, where), where)
    return None if plain is None else memory_file_from_plain(plain, f"{folder / CONFIG}")


def _tensors(path: Path, raw: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return dict(load(raw))
    # Beside its own error, the parser lets out what a header's numbers do to Python.
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise ArtefactError(f"{path}: not readable ({error})") from error


def own_checksum(config: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration, over all fields but this one."""
    rest = {name: value for name, value in config.items() if name != "checksum"}
    return sha256(json.dumps(rest, sort_keys=True).encode())


def _read_config(path: Path, follow_links: bool) -> dict[str, Any]:
    config: dict[str, Any] = strict_json(read_plain(path, follow_links, ArtefactError), str(path), ArtefactError)
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int or version not in FIELDS:
        known = ", ".join(map(str, FIELDS))
        raise ArtefactError(f"{path}: format_version is {version!r}; this polypatch reads {known}")
    fields = FIELDS[version]
    for name, kind in fields.items():
        value = config.get(name, ...)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise ArtefactError(f"{path}: {name} is missing or not of type {kind}")
    if unknown := sorted(config.keys() - fields.keys()):
        raise ArtefactError(f"{path}: {unknown[0]!r} is no field of format {version}")
    if version > 1 and config["checksum"] != own_checksum(config):
        raise ArtefactError(f"{path}: was changed after it was written (its checksum is another)")
    _require_sense(path, config)
    if config.get("data") is not None:
        source_from_plain(config["data"], str(path))
    return config


def _require_sense(path: Path, config: Mapping[str, Any]) -> None:
    """Check what types alone do not say."""
    for name in ("owners", "sampled_languages", "labels"):
        if not all(isinstance(item, str) for item in config.get(name, ())):
            raise ArtefactError(f"{path}: {name} must be a list of strings")
    if config["delta"] not in KINDS:
        raise ArtefactError(f"{path}: delta should be one of {', '.join(KINDS)}, is {config['delta']!r}")
    if config["scope"] not in KINDS[config["delta"]].scopes:
        raise ArtefactError(f"{path}: scope {config['scope']!r} does not belong to {config['delta']}")
    for name in ("max_length", "hidden_size"):
        if not 1 <= config.get(name, 1) < 2**31:
            raise ArtefactError(f"{path}: {name} should be at least 1 and below 2 to the 31, is {config[name]}")
    rules = config["settings"].get("rules", {})
    fits = isinstance(rules, dict) and all(type(value) is _RULES.get(name) for name, value in rules.items())
    if not fits or rules.get("retries", 0) < 0 or not all(isinstance(one, str) for one in rules.get("languages", ())):
        raise ArtefactError(f"{path}: settings.rules should hold {', '.join(_RULES)}, is {rules!r}")


def _read_provenance(
    path: Path, raw: bytes, config: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[EditRecord, ...]]:
    try:
        # Not splitlines(): U+2028 and its like are characters of real sentences.
        lines = [line for line in raw.decode().split("\n") if line]
        rows = [strict_json(line.encode(), f"{path} row {i}", ArtefactError) for i, line in enumerate(lines, start=1)]
        old = config["format_version"] == 1
        records = tuple(_record_1(row) if old else _record(row) for row in rows)
        if len({record.outcome.edit_id for record in records}) != len(records):
            raise ArtefactError(f"{path}: an edit occurs twice")
        return tuple(config["owners"]) if old else _owners(path, rows), records
    except (DataError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{path}: not readable as outcomes of edits ({error})") from error


def _record_1(row: Mapping[str, Any]) -> EditRecord:
    return EditRecord(None, outcome_from_plain(row["edit_id"], row))


def _record(row: Mapping[str, Any]) -> EditRecord:
    request, reverted = row["request"], row["reverted"]
    edit = None if request is None else edit_from_record(request, default_id=row["id"])
    if not isinstance(reverted, str) or (edit is not None and edit.id != row["id"]):
        raise ValueError(f"edit {row['id']!r}: reverted or the request's id is not what it should be")
    return EditRecord(edit, outcome_from_plain(row["id"], row["outcome"]), reverted)


def _owners(path: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    by_neuron = {neuron: row["id"] for row in rows for neuron in row["neurons"]}
    count = sum(len(row["neurons"]) for row in rows)
    if sorted(by_neuron) != list(range(count)) or not all(type(neuron) is int for neuron in by_neuron):
        raise ArtefactError(f"{path}: the neurons of the edits are not 0 to {count - 1}, each once")
    return tuple(by_neuron[i] for i in range(count))
