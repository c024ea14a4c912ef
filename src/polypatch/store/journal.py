"""The journal of a run: every edit on disk the moment it is made, so that a kill loses at most the one in flight.

One SQLite file in WAL mode, every transaction forced to disk. An edit's row holds the edit, its outcome and what it
left in the model; a run that is resumed takes those over instead of learning them again, and goes on. The rows are
chained, so that one that was changed, moved or doubled is found. One process at a time writes: a lock beside the file,
which dies with its process.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.errors import DataError, JournalError
from polypatch.files import sha256, strict_json
from polypatch.outcomes import EditRecord, TrajectoryPoint, outcome_from_plain
from polypatch.store.identity import Identity

if TYPE_CHECKING:  # the history is read without waiting for torch
    from torch import Tensor

NAME = "journal.sqlite"
VERSION = 2
"""Version 1 did not chain its rows. It is not read: such a run is begun anew."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    checksum TEXT NOT NULL    -- SHA-256 of both
) STRICT;
CREATE TABLE IF NOT EXISTS edits (
    fold INTEGER NOT NULL,
    place INTEGER NOT NULL,
    entry TEXT NOT NULL,      -- JSON: request, outcome, trajectory point
    tensors BLOB,             -- safetensors; NULL where there were none, or a later edit of the fold replaced them
    replaces INTEGER NOT NULL,-- whether the tensors stand for all earlier ones of the fold, which were let go
    kept TEXT NOT NULL,       -- SHA-256 of the tensors as they were written; empty where there were none
    chain TEXT NOT NULL,      -- SHA-256 of the chain of the row before and of all that stands in this one
    PRIMARY KEY (fold, place)
) STRICT;
"""


@dataclass(frozen=True)
class Entry:
    """One edit of the journal.

    Attributes:
        record: the edit and its outcome.
        tensors: what it left in the model; None where it left nothing, or a later edit replaced it.
        point: the trajectory measured right after it, if any.
    """

    record: EditRecord
    tensors: Mapping[str, Tensor] | None
    point: TrajectoryPoint | None = None


class Journal:
    """The journal in one folder.

    Args:
        folder: of the run; made if it is not there.
        identity: what the run is: model, data, recipe, stream. A journal of another run is not continued.
        resume: continue the journal that is there.
        overwrite: throw the journal that is there away.

    Raises:
        JournalError: in use by another process; there is one already and neither flag is set; there is one of another
            run, or a broken one; the folder cannot be written to.
    """

    def __init__(self, folder: Path, identity: Identity, *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = folder / NAME
        with _refusals(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".journal.lock")
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise JournalError(f"{folder}: another process is at work here; wait for it, or stop it") from None
            try:
                self._open(identity, resume, overwrite)
            except BaseException:
                self.close()
                raise

    def _open(self, identity: Identity, resume: bool, overwrite: bool) -> None:
        if overwrite:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        there = self.path.exists()
        if there and not resume:
            raise JournalError(f"{self.path}: a run was begun here; go on with it by --resume, or take another folder")
        self._db = _connect(self.path)
        tables = _tables(self._db)
        if tables and "facts" not in tables:
            raise JournalError(f"{self.path}: a database, but no journal of polypatch; take another folder")
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
        if there:
            _require_sound(self.path, self._db)
        known = _facts(self.path, self._db)
        if not known:
            with self._db:  # all of them or none
                facts = {**identity.texts(), "version": str(VERSION)}
                rows = [(name, value, _sum(name, value)) for name, value in facts.items()]
                self._db.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
        else:
            identity.require(known, self.path, "repeat the first command, or take another folder", JournalError)

    def add(self, fold: int, entry: Entry, *, replaces: bool) -> None:
        """Put one edit on disk; returns when it is there.

        Args:
            fold: which part of the stream.
            entry: the edit.
            replaces: its tensors stand for all earlier ones of the fold, which are let go.

        Raises:
            JournalError: the disk refuses (full, read-only); the edits before are safe.
        """
        from safetensors.torch import save

        text = _text(entry)
        raw = None if entry.tensors is None else save(dict(entry.tensors))
        kept = "" if raw is None else sha256(raw)
        with _refusals(self.path), self._db:
            row = self._db.execute("SELECT chain, place + 1 FROM edits WHERE fold = ? ORDER BY place DESC", (fold,))
            before, place = row.fetchone() or ("", 0)
            chain = _chain(before, fold, place, text, kept, replaces)
            values = (fold, place, text, raw, int(replaces), kept, chain)
            self._db.execute("INSERT INTO edits VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            if replaces and raw is not None:
                self._db.execute("UPDATE edits SET tensors = NULL WHERE fold = ? AND place < ?", (fold, place))

    def entries(self, fold: int) -> list[Entry]:
        """The edits of a fold, in order."""
        return _entries(self.path, self._db, fold)

    def note(self, name: str, value: str) -> None:
        """Keep a further fact, unless there is one of that name; notes are not compared when the run is resumed."""
        with _refusals(self.path), self._db:
            self._db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", (name, value, _sum(name, value)))

    def close(self) -> None:
        """Let go of file and lock."""
        with suppress(AttributeError, sqlite3.Error):
            self._db.close()
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(folder: Path, *, tensors: bool = True) -> tuple[dict[str, str], dict[int, list[Entry]]]:
    """The facts and notes, and the entries by fold, of a run's journal, also while the run goes on.

    Args:
        folder: of the run.
        tensors: False leaves them on the disk: every entry's are None.

    Raises:
        JournalError: there is none, it is broken, or of another version.
    """
    path = folder / NAME
    if not path.is_file():
        raise JournalError(f"{path}: no journal; give the folder of a run of polypatch edit")
    with _refusals(path):
        db = _connect(path)
        try:
            _require_sound(path, db)
            tables = _tables(db)
            facts = _facts(path, db) if "facts" in tables else {}
            if not facts:
                begun = "the run was stopped before its first edit; go on with it by --resume"
                raise JournalError(f"{path}: {'is damaged' if tables - {'facts', 'edits'} else begun}")
            folds = [fold for (fold,) in db.execute("SELECT DISTINCT fold FROM edits ORDER BY fold")]
            return facts, {fold: _entries(path, db, fold, tensors) for fold in folds}
        finally:
            db.close()


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10)


def _require_sound(path: Path, db: sqlite3.Connection) -> None:
    """Refuse a damaged file: a row's checksum does not show where another row is gone."""
    (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise JournalError(f"{path}: is damaged ({found}); start the run anew")


def _facts(path: Path, db: sqlite3.Connection) -> dict[str, str]:
    """Facts and notes.

    Raises:
        JournalError: of another version; one was changed.
    """
    version = db.execute("SELECT value FROM facts WHERE name = 'version'").fetchone()
    if version not in (None, (str(VERSION),)):
        raise JournalError(f"{path}: journal version {version[0]}; this polypatch reads {VERSION}; start the run anew")
    rows = db.execute("SELECT name, value, checksum FROM facts").fetchall()
    for name, value, checksum in rows:
        if checksum != _sum(name, value):
            raise JournalError(f"{path}: {name} was changed after it was written; start the run anew")
    return {name: value for name, value, _ in rows}


def _entries(path: Path, db: sqlite3.Connection, fold: int, tensors: bool = True) -> list[Entry]:
    found, before = [], ""
    blob = "tensors" if tensors else "NULL"
    with _refusals(path):
        columns = f"place, entry, {blob}, tensors IS NULL, replaces, kept, chain"
        rows = db.execute(f"SELECT {columns} FROM edits WHERE fold = ? ORDER BY place", (fold,)).fetchall()
        # Which rows' tensors no later row stands for: those must be there.
        latest = max((i for i, (*_, replaces, kept, _) in enumerate(rows) if replaces and kept), default=0)
        for i, (place, text, raw, gone, replaces, kept, chain) in enumerate(rows):
            where = f"{path} fold {fold} edit {place}"
            whole = place == i and chain == _chain(before, fold, place, text, kept, replaces)
            there = bool(gone) is (not kept or i < latest) and (raw is None or sha256(raw) == kept)
            if not (whole and there):
                raise JournalError(f"{where}: was changed after it was written; start the run anew")
            before = chain
            found.append(_entry(where, text, raw))
    return found


def _chain(before: str, fold: int, place: int, text: str, kept: str, replaces: object) -> str:
    """What stands for a row and for all rows before it."""
    return _sum(before, str(fold), str(place), text, kept, str(bool(replaces)))


def _sum(*parts: str) -> str:
    return sha256(json.dumps(parts).encode())


def _text(entry: Entry) -> str:
    record = entry.record
    assert record.edit is not None  # what a run does not know it cannot have made
    point = None if entry.point is None else dataclasses.asdict(entry.point)
    plain = {"request": record_from_edit(record.edit), "outcome": dataclasses.asdict(record.outcome), "point": point}
    return json.dumps(plain, ensure_ascii=False)


def _entry(where: str, text: str, raw: bytes | None) -> Entry:
    if raw is not None:
        from safetensors.torch import load
    try:
        plain = strict_json(text.encode(), where, JournalError)
        outcome = outcome_from_plain(plain["outcome"]["edit_id"], plain["outcome"])
        record = EditRecord(edit_from_record(plain["request"], default_id=outcome.edit_id), outcome)
        point = None if plain["point"] is None else TrajectoryPoint(**plain["point"])
        return Entry(record, None if raw is None else load(raw), point)
    except (DataError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise JournalError(f"{where}: not readable ({error}); start the run anew") from error


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Inside the block what disk or database refuse is a `JournalError`."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where a damaged schema is quoted in the message
        raise JournalError(f"{path}: {error}; what was written before is safe") from error
    except OSError as error:
        raise JournalError(f"{path.parent}: cannot be written to ({error.strerror or error})") from error
