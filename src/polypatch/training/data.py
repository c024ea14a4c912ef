"""What a training reads: training and validation rows, split where no validation rows are given, labels checked."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from polypatch.data.quoting import listed, quoted
from polypatch.edits import Lang, Text
from polypatch.errors import DataError, InputError
from polypatch.training.corpora import TrainingRow, read_part


@dataclass(frozen=True)
class Corpus:
    """The rows of one training.

    Attributes:
        labels: the classes in the order of their ids.
        train: training rows.
        validation: validation rows, those of languages that are only measured included.
        languages: trained languages, the first being the source; the best checkpoint is chosen by these.
    """

    labels: tuple[str, ...]
    train: tuple[TrainingRow, ...]
    validation: tuple[TrainingRow, ...]
    languages: tuple[Lang, ...]

    @property
    def measured(self) -> tuple[Lang, ...]:
        """The validation rows' languages, the trained ones first."""
        return tuple(dict.fromkeys((*self.languages, *(row.lang for row in self.validation))))

    @property
    def fingerprint(self) -> str:
        """A hash of everything: a run is resumed on the same rows or not at all."""
        digest = hashlib.sha256(repr((self.labels, self.languages)).encode())
        for row in (*self.train, "|", *self.validation):
            digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()

    @property
    def shared_texts(self) -> int:
        """Validation rows whose text is also trained on, which flatter the accuracy."""
        seen = {row.text for row in self.train}
        return sum(row.text in seen for row in self.validation)

    def texts(self) -> list[str]:
        """The training texts, pairs as two."""
        return [part for row in self.train for part in (row.text if isinstance(row.text, tuple) else (row.text,))]


@dataclass(frozen=True, slots=True)
class Split:
    """A share of one part to train on; the rest validates.

    Raises:
        InputError: the share is not between 0 and 1.
    """

    share: float
    part: str = "train"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"--split {self.share}: the share to train on lies between 0 and 1, such as 0.8")

    @classmethod
    def read(cls, given: str) -> Split:
        """``0.8`` or ``dev=0.8``."""
        part, equals, share = given.rpartition("=")
        try:
            return cls(float(share), part.strip() if equals else "train")
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"--split {given}: expected [PART=]SHARE, such as 0.8 or dev=0.8") from None


def read_corpus(
    data: str,
    labels: Sequence[str] | None,
    *,
    validation: str | None = None,
    split: Split | None = None,
    languages: Sequence[Lang] = (),
    eval_languages: Sequence[Lang] = (),
    seed: int = 0,
) -> Corpus:
    """Training and validation rows.

    Args:
        data: as in `read_part`; a folder's ``train`` is trained on and its ``dev`` validates.
        labels: the classes in the order of their ids; None for the data's own, sorted.
        validation: other data to validate on: a JSON Lines file, or a folder's ``dev``.
        split: train on a share of one part and validate on the rest, instead.
        languages: to train on and to choose the best checkpoint by; without any all that a JSON Lines file has, and of
            a folder English, as in the paper.
        eval_languages: further languages of the validation rows, which are only measured.
        seed: of the split.

    Raises:
        InputError: no validation rows can be had from what was given.
        DataError: as `read_part`; a label that is not one of `labels`; texts and pairs mixed.
    """
    if split is not None and validation is not None:
        raise InputError("--split makes validation rows and --validation names some: give one of them")
    # Evaluation languages are added to languages that are named: to none would mean to all.
    if eval_languages and not languages and not data.startswith("jsonl:"):
        languages = ("en",)
    if split is not None:
        rows = read_part(data, split.part, _measured(data, split.part, languages, eval_languages))
        trained, held_out = _divided(rows, split.share, seed)
    else:
        if validation is None and data.startswith("jsonl:"):
            raise InputError("no validation rows: give --validation jsonl:FILE, or --split 0.9 to hold some back")
        trained = rows = read_part(data, "train", languages)
        where = validation or data
        held_out = read_part(where, "dev", _measured(where, "dev", languages, eval_languages))
    # In file order, which a split's sides need not begin with: the first is the source.
    has = dict.fromkeys(row.lang for row in (rows))
    chosen = tuple(languages) or tuple(lang for lang in has if lang not in eval_languages)
    kept = tuple(row for row in trained if row.lang in chosen)
    classes = tuple(labels) if labels is not None else tuple(sorted({row.label for row in kept}))
    corpus = Corpus(classes, kept, tuple(held_out), chosen)
    _require_sound(corpus, data)
    return corpus


def _measured(spec: str, part: str, languages: Sequence[Lang], more: Sequence[Lang]) -> tuple[Lang, ...]:
    if not more or languages:
        return (*languages, *more)
    return tuple(dict.fromkeys((*(row.lang for row in read_part(spec, part)), *more)))


def _divided(rows: Sequence[TrainingRow], share: float, seed: int) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Whole groups, in an order drawn by the seed, until the share is reached; each side in file order."""
    sizes = Counter(row.group for row in rows)
    names = list(sizes)
    random.Random(f"split:{seed}").shuffle(names)
    wanted, taken, inside = share * len(rows), 0, set()
    for name in names:
        if taken + sizes[name] / 2 > wanted:
            break
        inside.add(name)
        taken += sizes[name]
    sides = ([row for row in rows if row.group in inside], [row for row in rows if row.group not in inside])
    if not all(sides):
        raise InputError(f"--split {share}: one side of {len(rows)} rows in {len(sizes)} groups would be empty")
    return sides


def _require_sound(corpus: Corpus, where: str) -> None:
    if len(corpus.labels) < 2 or len(set(corpus.labels)) < len(corpus.labels):
        raise InputError(f"labels {listed(corpus.labels)}: a classifier has two or more, all different")
    for lang in corpus.languages:
        for side, rows in (("training", corpus.train), ("validation", corpus.validation)):
            if not any(row.lang == lang for row in rows):
                raise DataError(f"{where}: no {side} rows in {lang!r}")
    kinds = {isinstance(row.text, tuple) for row in (*corpus.train, *corpus.validation)}
    if len(kinds) > 1:
        raise DataError(f"{where}: texts and (premise, hypothesis) pairs in one training; give one kind")
    strange = next((row for row in (*corpus.train, *corpus.validation) if row.label not in corpus.labels), None)
    if strange is not None:
        raise DataError(
            f"{where}: label {quoted(strange.label)} of {quoted(_first(strange.text))} is not one of "
            f"{listed(corpus.labels)}; --labels names others, and --labels data takes those of the data"
        )


def _first(text: Text) -> str:
    return text if isinstance(text, str) else text[0]
