"""MASSIVE: 60 intents of voice commands, row by row in 50 languages (FitzGerald et al. 2022, CC BY 4.0).

A folder with ``labels.tsv.gz`` (``id  partition  scenario  intent``) and one ``{locale}.tsv.gz`` (``id  utt``) for each
language, plain ``.tsv`` also accepted. The edits are the rows of ``test``; the memory and the locality set ``train``
come from ``train``, the stopping memory and the locality set ``test`` from ``dev``, which is held out and not edited.
``massive-all`` is for long streams: ``dev`` and every seventh row of ``train`` are edited as well, and two more of
every seven take the place of ``dev``. ``massive-dev`` is for choosing settings: every second row of ``dev`` is edited,
the others are held out, and ``test`` is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.files import find_table, read_table, require_table
from polypatch.data.quoting import quoted
from polypatch.data.rows import CorpusRow, Material, Sizes, choose_languages, filled, to_edits
from polypatch.edits import Lang
from polypatch.errors import DataError

_LOCALES = """
af-ZA am-ET ar-SA az-AZ bn-BD ca-ES cy-GB da-DK de-DE el-GR en-US es-ES fa-IR fi-FI fr-FR he-IL hi-IN hu-HU hy-AM id-ID
is-IS it-IT ja-JP jv-ID ka-GE km-KH kn-IN ko-KR lv-LV ml-IN mn-MN ms-MY my-MM nb-NO nl-NL pl-PL pt-PT ro-RO ru-RU sl-SL
sq-AL sv-SE sw-KE ta-IN te-IN th-TH tl-PH tr-TR ur-PK vi-VN zh-CN
"""
LOCALES: Mapping[Lang, str] = {locale.split("-")[0]: locale for locale in _LOCALES.split()}
"""Language to MASSIVE locale; ``zh`` is the simplified ``zh-CN``."""

SIZES = Sizes(
    memory=4000,
    memory_other=350,
    validation=1000,
    validation_other=350,
    locality_train=2000,
    locality_test=1000,
    parallel=5000,
)
"""Sizes for the full ``train`` (11,514 rows) and ``dev`` (2,033)."""

DEV_SIZES = replace(SIZES, validation=500, locality_test=500)
"""Where half of ``dev`` is edited."""

PARTITIONS = ("train", "dev", "test")


def load_massive(
    path: str | PathLike[str],
    *,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    sizes: Sizes | Mapping[str, int] | None = None,
    seed: int = 0,
) -> EditingData:
    """MASSIVE from a folder, sampled as in `assemble`; `languages` None means all that the folder has.

    Raises:
        DataError: a broken or missing file, a missing language, or a set larger than the corpus.
    """
    return assemble(read_massive(path, languages, source), sizes=sizes, seed=seed)


def read_massive(path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Everything in the folder, unsampled, in file order."""
    folder = Path(path)
    columns = ("id", "partition", "scenario", "intent")
    labels = {row[0]: (row[1], row[3]) for row in _unique(require_table(folder, "labels"), columns)}
    tables = {lang: find_table(folder, locale) for lang, locale in LOCALES.items()}
    found = {lang: table for lang, table in tables.items() if table is not None}
    chosen = choose_languages(languages, found, source=source, where=folder)
    texts = {lang: {row[0]: row[1] for row in _unique(found[lang], ("id", "utt"))} for lang in chosen}
    return massive_material(labels, texts, where=folder)


def read_massive_all(
    path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """The same with more rows as edits, some 6,600 of the whole corpus."""
    found = read_massive(path, languages, source)
    parts: dict[int, list[CorpusRow]] = {i: list(found.train[i::7]) for i in range(7)}
    edited = [*found.held_out, *parts[0]]
    return replace(
        found,
        name="massive-all",
        edits=(*found.edits, *to_edits("massive", edited, found.languages)),
        train=[row for i in range(3, 7) for row in parts[i]],
        held_out=[*parts[1], *parts[2]],
    )


def read_massive_dev(
    path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """The same with half of ``dev`` as edits, and nothing of ``test``."""
    found = read_massive(path, languages, source)
    edited, held_out = found.held_out[::2], found.held_out[1::2]
    edits = to_edits("massive", edited, found.languages)
    return replace(found, name="massive-dev", edits=edits, held_out=held_out, sizes=DEV_SIZES)


def massive_material(
    labels: Mapping[str, tuple[str, str]], texts: Mapping[Lang, Mapping[str, str]], *, where: object
) -> Material:
    """Align the languages by row id.

    Args:
        labels: row id to (partition, intent), in file order.
        texts: language (the source first) to row id to utterance.
        where: the folder or hub name, for messages.

    Raises:
        DataError: an unknown partition, or a row without text in one of the languages or without intent.
    """
    languages = tuple(texts)
    parts: dict[str, list[CorpusRow]] = {name: [] for name in PARTITIONS}
    for row_id, (partition, intent) in labels.items():
        if partition not in parts:
            raise DataError(
                f"{where}: row {quoted(row_id)} is in partition {quoted(partition)}, not in {', '.join(PARTITIONS)}"
            )
        try:
            row = CorpusRow(row_id, {lang: texts[lang][row_id] for lang in languages}, intent)
        except KeyError:
            missing = next(lang for lang in languages if row_id not in texts[lang])
            raise DataError(f"{where}: row {quoted(row_id)} has no text in {missing!r}") from None
        parts[partition].append(filled(row, where=where))
    edits = to_edits("massive", parts["test"], languages)
    return Material("massive", languages, edits, train=parts["train"], held_out=parts["dev"], sizes=SIZES)


def _unique(table: Path, columns: tuple[str, ...]) -> list[list[str]]:
    rows = read_table(table, columns)
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        if first.setdefault(row[0], number) != number:
            raise DataError(f"{table} row {number}: id {quoted(row[0])} is already the id of row {first[row[0]]}")
    return rows
