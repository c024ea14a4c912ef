"""XNLI: premise and hypothesis in 15 languages (Conneau et al. 2018, CC BY-NC 4.0).

A folder with ``{split}.labels.tsv.gz`` (header ``label  genre``) and ``{split}-{lang}.tsv.gz`` (no header: premise,
hypothesis and, in some files, the label again) for the splits ``dev`` and ``test``. The edits are the rows of ``test``.
There are no rephrases, so no MLG. XNLI's own files hold no training rows. Where the folder also has MultiNLI's as the
split ``train`` (English, or what else was translated), they give the memory and the locality set ``train``, as in the
paper; else memory, stopping memory and the locality set ``test`` are all cut from ``dev``, no two of them sharing a
premise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.files import find_table, read_lines, read_table, require_table
from polypatch.data.quoting import quoted
from polypatch.data.rows import CorpusRow, Material, Sizes, choose_languages, filled, to_edits
from polypatch.edits import Lang
from polypatch.errors import DataError

LABELS = ("entailment", "neutral", "contradiction")
"""The classes in the order of their ids 0, 1, 2."""

LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")

SIZES = Sizes(memory=1000, memory_other=350, validation=450, validation_other=350, locality_test=1000)
"""Sizes for ``dev`` (2,490 rows)."""

WITH_TRAIN = Sizes(
    memory=40_000, memory_other=350, validation=1200, validation_other=350, locality_train=10_000, locality_test=1200
)
"""Sizes where MultiNLI's 392,702 rows are there: Transformer-Patcher's memory, and all of ``dev``."""

TextPair = tuple[str, str]


def load_xnli(
    path: str | PathLike[str],
    *,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    sizes: Sizes | Mapping[str, int] | None = None,
    seed: int = 0,
) -> EditingData:
    """XNLI from a folder, sampled as in `assemble`; `languages` None means all that the folder has.

    Raises:
        DataError: a broken or missing file, a missing language, languages that are not aligned, or a set larger than
            the corpus.
    """
    return assemble(read_xnli(path, languages, source), sizes=sizes, seed=seed)


def read_xnli(path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Everything in the folder, unsampled, in file order."""
    folder = Path(path)
    splits = ("dev", "test", *(["train"] if find_table(folder, "train.labels") is not None else []))
    labels = {split: read_labels(require_table(folder, f"{split}.labels")) for split in splits}
    has = sorted({file.name.removeprefix("test-").split(".")[0] for file in folder.glob("test-*.tsv*")})
    chosen = choose_languages(languages, has, source=source, where=folder)
    pairs = {
        split: {
            lang: read_pairs(require_table(folder, f"{split}-{lang}"), labels[split])
            for lang in chosen
            # Nobody has translated all of MultiNLI into every language.
            if split != "train" or lang == source or find_table(folder, f"{split}-{lang}") is not None
        }
        for split in labels
    }
    return xnli_material(labels, pairs, where=folder)


def xnli_material(
    labels: Mapping[str, Sequence[str]], pairs: Mapping[str, Mapping[Lang, Sequence[TextPair]]], *, where: object
) -> Material:
    """Align the languages by position.

    Args:
        labels: split (``dev``, ``test``, perhaps ``train``) to the label of each row.
        pairs: split to language (the source first) to (premise, hypothesis) of each row.
        where: the folder or hub name, for messages.

    Raises:
        DataError: a language with more or fewer rows than there are labels, an unknown label, or an empty text.
    """
    rows = {split: aligned(split, labels[split], pairs[split], where) for split in labels}
    languages = tuple(pairs["test"])
    edits = to_edits("xnli", rows["test"], languages)
    if "train" not in rows:
        return Material("xnli", languages, edits, held_out=rows["dev"], sizes=SIZES)
    return Material("xnli", languages, edits, train=rows["train"], held_out=rows["dev"], sizes=WITH_TRAIN)


def aligned(
    split: str, labels: Sequence[str], pairs: Mapping[Lang, Sequence[TextPair]], where: object
) -> list[CorpusRow]:
    """The rows of one split, a label and a pair per language each.

    Raises:
        DataError: a language with more or fewer rows than there are labels, an unknown label, or an empty text.
    """
    for lang, column in pairs.items():
        if len(column) != len(labels):
            raise DataError(f"{where}: {split} has {len(labels)} labels but {len(column)} rows in {lang!r}")
    unknown = next((number for number, label in enumerate(labels, start=1) if label not in LABELS), None)
    if unknown is not None:
        raise DataError(
            f"{where}: {split} row {unknown}: label {quoted(labels[unknown - 1])} is not one of {', '.join(LABELS)}"
        )
    prefix = "" if split == "test" else f"{split}-"
    return [
        filled(CorpusRow(f"{prefix}{i + 1}", {lang: column[i] for lang, column in pairs.items()}, label), where=where)
        for i, label in enumerate(labels)
    ]


def read_labels(table: Path) -> list[str]:
    """The labels of one split."""
    return [row[0] for row in read_table(table, ("label", "genre"))]


def read_pairs(table: Path, labels: Sequence[str]) -> list[TextPair]:
    """The pairs of one file. Where it repeats the labels they must agree: the cheapest proof that rows are aligned."""
    rows = [line.split("\t") for line in read_lines(table)]
    for number, row in enumerate(rows, start=1):
        if len(row) not in (2, 3):
            raise DataError(f"{table} row {number}: {len(row)} fields, expected premise, hypothesis[, label]")
        gold = labels[number - 1] if number <= len(labels) else None
        if len(row) == 3 and gold not in (None, row[2]):
            raise DataError(
                f"{table} row {number}: label {quoted(row[2])}, but the labels file says {gold!r}; not aligned"
            )
    return [(row[0], row[1]) for row in rows]
