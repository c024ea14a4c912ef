"""FEVER in the layout of KnowledgeEditor and KILT, split as MPN splits it: D_train, D_val, D_edit and D_test.

Source: MPN section 4.1.1 and Table 4; De Cao et al. 2021 and Huang et al. 2023 for the layout and the split.
**Deviates:** the released split shuffles without a seed, so nobody can draw the authors' D_edit again; ours has a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from polypatch.data.files import read_lines
from polypatch.data.quoting import listed, quoted
from polypatch.errors import DataError, InputError

LABELS = ("REFUTES", "SUPPORTS")
TENTHS = {"train": 8, "validation": 1, "editing": 1}
"""How the training file is cut, in tenths."""

PAPER = {"train": 83_972, "validation": 10_496, "editing": 10_496, "test": 10_444}
"""MPN's Table 4. The three parts of the training file are 0.8, 0.1 and 0.1 of KILT's 104,966 claims, rounded down."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the paper leaves open about its data; the defaults are the recommended reading (`docs/deviations.md`).

    Attributes:
        seed: of the split, and of what is drawn from D_train.
        remainder: the few claims that rounding leaves over: ``drop`` them, as the released split does and as the
            paper's counts say for KILT's file, or give them to D_``train``.
        rephrases: the field with the other wordings: ``rephrases`` (Transformer-Patcher), ``filtered_rephrases``
            (KnowledgeEditor), or ``auto`` for the first of the two that a row has.
        unrephrased: claims of D_edit without another wording: ``keep`` them, or ``drop`` them, as the released code
            does when it edits.
        answers: several answers to one claim: they must be the ``same``, or the ``first`` counts, as in released code.
        memory: texts of D_train for the learning memory (Transformer-Patcher: 40,000).
        locality_train: claims of D_train that locality is measured on, none of them in the memory (10,000).
        memory_other: so many texts of the memory are translated, too; the paper's memory is English only.

    Raises:
        InputError: a value that is none of these.
    """

    seed: int = 0
    remainder: Literal["drop", "train"] = "drop"
    rephrases: Literal["auto", "rephrases", "filtered_rephrases"] = "auto"
    unrephrased: Literal["keep", "drop"] = "keep"
    answers: Literal["same", "first"] = "same"
    memory: int = 40_000
    locality_train: int = 10_000
    memory_other: int = 0

    WORDS: ClassVar[dict[str, tuple[str, ...]]] = {
        "remainder": ("drop", "train"),
        "rephrases": ("auto", "rephrases", "filtered_rephrases"),
        "unrephrased": ("keep", "drop"),
        "answers": ("same", "first"),
    }

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            words = self.WORDS.get(field.name)
            if words is not None and value not in words:
                raise InputError(f"choice {field.name}={value}: expected one of {', '.join(words)}")
            if words is None and field.name != "seed" and value < 0:
                raise InputError(f"choice {field.name}={value}: expected 0 or more")


class FeverClaim(NamedTuple):
    """One row of FEVER."""

    id: str
    text: str
    label: str
    rephrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fever:
    """The four sets of MPN's Table 4.

    Attributes:
        train: D_train, trains the original model; memory and the locality set ``train`` come from it.
        validation: D_val, chooses the original model and watches the stopping rule.
        editing: D_edit, the stream of edits; this one is translated.
        test: D_test, FEVER's own development file; locality is measured on it, and nothing is learned from it.
        left_over: claims of the training file that are in no set.
    """

    train: tuple[FeverClaim, ...]
    validation: tuple[FeverClaim, ...]
    editing: tuple[FeverClaim, ...]
    test: tuple[FeverClaim, ...]
    left_over: tuple[FeverClaim, ...] = ()

    def counts(self) -> dict[str, int]:
        """Claims per set, under the names of `PAPER`."""
        return {name: len(getattr(self, name)) for name in PAPER}


def load_fever(train: str | PathLike[str], dev: str | PathLike[str], choices: Choices | None = None) -> Fever:
    """Read FEVER's training and development file, and cut the first into three.

    Raises:
        DataError: as `read_fever`; a claim that is in both files; a training file of fewer than ten claims.
    """
    choices = choices or Choices()
    claims, test = read_fever(train, choices), read_fever(dev, choices)
    shared = {claim.id for claim in claims} & {claim.id for claim in test}
    if shared:
        raise DataError(
            f"{dev}: field 'id': {listed(sorted(shared))} also in {train}; give FEVER's development file, none of "
            "whose claims are in its training file"
        )
    cut = cut_in_three(claims, choices)
    if not cut["editing"]:
        raise DataError(f"{train}: {len(claims)} claims; a tenth of them is to be edited, give a file of ten or more")
    return Fever(**{name: tuple(rows) for name, rows in cut.items()}, test=tuple(test))


def cut_in_three(claims: Sequence[FeverClaim], choices: Choices) -> dict[str, list[FeverClaim]]:
    """The claims in random order, cut by `TENTHS`, each part rounded down; ``left_over`` has the rest."""
    order = list(claims)
    random.Random(choices.seed).shuffle(order)
    parts, start = {}, 0
    for name, tenths in TENTHS.items():
        end = start + len(order) * tenths // 10
        parts[name], start = order[start:end], end
    rest = order[start:]
    if choices.remainder == "train":
        parts["train"], rest = parts["train"] + rest, []
    if choices.unrephrased == "drop":
        parts["editing"] = [claim for claim in parts["editing"] if claim.rephrases]
    return {**parts, "left_over": rest}


def read_fever(path: str | PathLike[str], choices: Choices | None = None) -> list[FeverClaim]:
    """The claims of one JSON Lines file, in file order; gunzipped where the name ends in ``.gz``.

    A row is ``{"id", "input", "output": [{"answer"}, …], "rephrases" or "filtered_rephrases"}``; other fields are
    ignored, outputs without an answer (KILT's further evidence) too. A row without an id is called
    ``{file name}-{row number}``.

    Raises:
        DataError: in one line the file, the row number and the field: an unreadable or empty file, a row that is not
            such an object, an unknown label, an id that occurs twice.
    """
    path, choices = Path(path), choices or Choices()
    claims: list[FeverClaim] = []
    rows: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path} row {number}"
        claim = _claim(_decoded(line, where), f"{path.name.split('.')[0]}-{number}", where, choices)
        if claim.id in rows:
            raise DataError(f"{where}: field 'id': {quoted(claim.id)} is already the id of row {rows[claim.id]}")
        rows[claim.id] = number
        claims.append(claim)
    if not claims:
        raise DataError(f"{path}: holds no claims")
    return claims


def _decoded(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, found {quoted(row)}")
    return row


def _claim(row: dict[str, Any], default_id: str, where: str, choices: Choices) -> FeverClaim:
    if "input" not in row and "claim" in row:
        raise DataError(
            f"{where}: field 'input': missing, and there is a 'claim': this is FEVER's own layout; give KILT's or "
            "KnowledgeEditor's, with 'input' and 'output'"
        )
    text = _text(row.get("input"), "input", where)
    name = default_id if row.get("id") is None else row["id"]
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise DataError(f"{where}: field 'id': expected text or a whole number, found {quoted(name)}")
    label = _label(row.get("output"), where, choices)
    return FeverClaim(_text(str(name), "id", where), text, label, _rephrases(row, text, where, choices))


def _label(output: object, where: str, choices: Choices) -> str:
    if not isinstance(output, list):
        raise DataError(f"{where}: field 'output': expected a list of answers, found {quoted(output)}")
    for i, one in enumerate(output):
        if not isinstance(one, dict):
            raise DataError(f"{where}: field 'output[{i}]': expected an object, found {quoted(one)}")
    found = {i: one["answer"] for i, one in enumerate(output) if one.get("answer") is not None}
    if not found:
        raise DataError(f"{where}: field 'output': no answer; FEVER's test file has none, give the development file")
    for i, answer in found.items():
        if answer not in LABELS:
            raise DataError(f"{where}: field 'output[{i}].answer': {quoted(answer)} is not one of {', '.join(LABELS)}")
    answers = list(dict.fromkeys(found.values()))
    if len(answers) > 1 and choices.answers == "same":
        raise DataError(
            f"{where}: field 'output': two answers, {' and '.join(answers)}; keep one, or choose answers=first"
        )
    return str(answers[0])


def _rephrases(row: dict[str, Any], text: str, where: str, choices: Choices) -> tuple[str, ...]:
    """The other wordings, each once; blank ones and the claim itself say nothing about generalisation."""
    names = ("rephrases", "filtered_rephrases") if choices.rephrases == "auto" else (choices.rephrases,)
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return ()
    if not isinstance(row[name], list):
        raise DataError(f"{where}: field {name!r}: expected a list of texts, found {quoted(row[name])}")
    said = [one if one == "" else _text(one, f"{name}[{i}]", where, blank=True) for i, one in enumerate(row[name])]
    return tuple(dict.fromkeys(one for one in said if one.strip() and one != text))


def _text(value: object, field: str, where: str, *, blank: bool = False) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: field {field!r}: expected text, found {quoted(value)}")
    if not (blank or value.strip()):
        raise DataError(f"{where}: field {field!r}: empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: field {field!r}: half a character (a lone surrogate) in {quoted(value)}") from None
    return value
