"""Translations on disk by sentence: every batch is safe the moment it is made, and none is made twice.

One SQLite file in WAL mode, every batch one transaction that is forced to disk. Its key is what determines a
translation: the translator's fingerprint and the sentence; of several translations with their confidence also how many
were asked for. Several runs may share the file. Files of an older polypatch have no confidences, and are gone on with.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from polypatch.data.scored import ScoredText
from polypatch.errors import DataError

_MARK = 0x70706D74
"""SQLite's application id of our files: another program's database is not written to."""
_VERSION = 1
"""SQLite's user version of our files; 0 had no table of several translations. A later one is not written to."""
_PATIENCE = 30.0
"""Seconds to wait for another run that uses the file."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS translations (
    translator TEXT NOT NULL,
    sentence TEXT NOT NULL,
    translation TEXT NOT NULL,
    PRIMARY KEY (translator, sentence)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scored (
    translator TEXT NOT NULL,
    sentence TEXT NOT NULL,
    asked INTEGER NOT NULL,
    found TEXT NOT NULL,
    PRIMARY KEY (translator, sentence, asked)
) STRICT, WITHOUT ROWID;
"""


class TranslationCache:
    """The cache in one file, made if it is not there; a context manager.

    Args:
        path: the file.

    Raises:
        DataError: the file is something else, or of a later polypatch; the disk refuses.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        with self._refusals():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_PATIENCE)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        # One statement sees one state of the file: between two, another run may set up the same new file.
        mark, version, tables = self._db.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) "
            "FROM pragma_application_id, pragma_user_version"
        ).fetchone()
        if mark != _MARK and tables:
            raise DataError(f"{self.path}: another program's database, not a cache of translations; name another file")
        if mark == _MARK and version > _VERSION:
            raise DataError(
                f"{self.path}: a cache of translations of version {version}, and this polypatch writes {_VERSION}; "
                "name another file, or take the polypatch that made it"
            )
        until = time.monotonic() + _PATIENCE
        while not self._set_up(last=time.monotonic() > until):
            time.sleep(0.01)

    def _set_up(self, *, last: bool) -> bool:
        """Mode, mark and table. False: another run is at it, and SQLite does not wait where a file changes its mode."""
        try:
            # FULL, because in WAL mode the default leaves the last batches to a power cut.
            self._db.executescript(
                f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA application_id={_MARK}; "
                f"PRAGMA user_version={_VERSION}; {_SCHEMA}"
            )
        except sqlite3.OperationalError as error:
            if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def get(self, translator: str, sentences: Iterable[str]) -> dict[str, str]:
        """Those of `sentences` that are known, with their translations."""
        query = "SELECT translation FROM translations WHERE translator = ? AND sentence = ?"
        found: dict[str, str] = {}
        with self._refusals():
            for sentence in sentences:
                row = self._db.execute(query, (translator, sentence)).fetchone()
                if row is not None:
                    found[sentence] = row[0]
        return found

    def put(self, translator: str, translations: Mapping[str, str]) -> None:
        """Keep a batch; returns when it is on disk. A translation that is there already stays."""
        rows = [(translator, sentence, translation) for sentence, translation in translations.items()]
        with self._refusals(), self._db:
            self._db.executemany("INSERT OR IGNORE INTO translations VALUES (?, ?, ?)", rows)

    def scored(self, translator: str, sentences: Iterable[str], asked: int) -> dict[str, list[ScoredText]]:
        """Those of `sentences` of which so many translations were asked for, with what was found, as it was found."""
        query = "SELECT found FROM scored WHERE translator = ? AND sentence = ? AND asked = ?"
        rows: dict[str, list[ScoredText]] = {}
        with self._refusals():
            for sentence in sentences:
                row = self._db.execute(query, (translator, sentence, asked)).fetchone()
                if row is not None:
                    rows[sentence] = [ScoredText(*one) for one in json.loads(row[0])]
        return rows

    def put_scored(self, translator: str, found: Mapping[str, Sequence[ScoredText]], asked: int) -> None:
        """Keep a batch of several translations each, as `put` does; the first of each is its translation."""
        rows = [
            (translator, sentence, number, json.dumps(texts[:number]))
            for sentence, texts in found.items()
            if texts[0].confidence is not None  # else there is nothing to know beside the text
            for number in sorted({1, asked})  # the first is what is found where one is asked for
        ]
        first = [(translator, sentence, texts[0].text.strip()) for sentence, texts in found.items()]
        with self._refusals(), self._db:
            self._db.executemany("INSERT OR IGNORE INTO translations VALUES (?, ?, ?)", first)
            self._db.executemany("INSERT OR IGNORE INTO scored VALUES (?, ?, ?, ?)", rows)

    def __len__(self) -> int:
        with self._refusals():
            (count,) = self._db.execute("SELECT count(*) FROM translations").fetchone()
        return int(count)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> TranslationCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Inside the block what disk or database refuse is a `DataError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: {error}; give another file (kept batches are safe)") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror or error})") from error
