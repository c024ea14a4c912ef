"""The xfever-edit folder: FEVER's claims as edits in six languages, with the sets around them.

Source: MPN section 4.1.1 and appendix A.1, which calls it XFEVER; another data set bears that name, so ours does not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from polypatch.data.base import EditingData
from polypatch.data.fever import Choices, Fever, FeverClaim
from polypatch.data.files import read_lines, write_atomically
from polypatch.data.jsonl import read_jsonl, write_jsonl
from polypatch.data.rows import choose_languages
from polypatch.edits import Edit, Labelled, Lang, Text
from polypatch.errors import DataError
from polypatch.files import strict_json

SOURCE: Lang = "en"
EDITS, TRAIN, VALIDATION, TEST = "edits.jsonl", "train.jsonl", "validation.jsonl", "test.jsonl"
MEMORY, NEAR = "memory.jsonl", "locality-train.jsonl"
FILES = (EDITS, TRAIN, VALIDATION, TEST, MEMORY, NEAR)


@dataclass(frozen=True)
class Surroundings:
    """What is drawn from D_train: a memory and a locality set. No text is in both, in D_edit, or in D_test.

    Attributes:
        memory: texts that an edit must leave alone; their number is an upper bound, as the texts may run out.
        locality: labelled claims that locality on D_train is measured on.
    """

    memory: tuple[str, ...]
    locality: tuple[FeverClaim, ...]


def surroundings(fever: Fever, choices: Choices) -> Surroundings:
    """Draw locality set and memory from D_train.

    A training file too small for both gives a fifth of D_train to locality and at most the rest to the memory.

    **Deviates:** the released code draws rows, so a claim that FEVER has twice can be edited and remembered at once;
    ours draws texts, none of which an edit or D_test holds.
    """
    taken = {text for claim in fever.editing for text in (claim.text, *claim.rephrases)}
    taken |= {claim.text for claim in fever.test}
    free = {claim.text: claim for claim in fever.train if claim.text not in taken}
    rows = list(free.values())
    random.Random(f"{choices.seed} xfever-edit").shuffle(rows)
    near = min(choices.locality_train, len(rows) // 5)
    memory = rows[near : near + choices.memory]
    return Surroundings(tuple(row.text for row in memory), tuple(rows[:near]))


def to_edits(claims: Iterable[FeverClaim], translations: Mapping[Lang, Mapping[str, str]]) -> list[Edit]:
    """One edit ``fever-{id}`` per claim; a language whose translation came out empty is left out of the prompts.

    Only the claim is translated ("the translated field is 'input'"); rephrases stay English, and the label is the
    target in every language.
    """
    edits = []
    for claim in claims:
        prompt: dict[Lang, Text] = {SOURCE: claim.text}
        prompt |= {lang: texts[claim.text] for lang, texts in translations.items() if texts[claim.text]}
        rephrases = {SOURCE: claim.rephrases} if claim.rephrases else {}
        edits.append(Edit(f"fever-{claim.id}", prompt, {SOURCE: claim.label}, rephrases=rephrases))
    return edits


def write_xfever(
    folder: Path,
    edits: Iterable[Edit],
    fever: Fever,
    drawn: Surroundings,
    memory: Mapping[Lang, Iterable[str]] | None = None,
) -> None:
    """Write `FILES`, each in one step; `memory` has texts of the memory in other languages.

    Raises:
        DataError: the folder cannot be written to.
    """
    write_jsonl(edits, folder / EDITS)
    for name, claims in (
        (TRAIN, fever.train),
        (VALIDATION, fever.validation),
        (TEST, fever.test),
        (NEAR, drawn.locality),
    ):
        _write(folder / name, ({"text": claim.text, "label": claim.label} for claim in claims))
    texts = {SOURCE: drawn.memory, **(memory or {})}
    _write(folder / MEMORY, ({"lang": lang, "text": text} for lang, column in texts.items() for text in column if text))


def read_xfever(folder: str | PathLike[str]) -> EditingData:
    """What `write_xfever` wrote, as one experiment takes it: D_val watches the stopping rule, as in the released code.

    Raises:
        DataError: a missing or broken file.
    """
    folder = Path(folder)
    memory: dict[Lang, list[Text]] = {}
    for row in _read(folder / MEMORY, ("lang", "text")):
        memory.setdefault(row["lang"], []).append(row["text"])
    edits = read_jsonl(folder / EDITS)
    held = {text for edit in edits for text in edit.prompt.values()}
    watched: list[Text] = [row["text"] for row in _read(folder / VALIDATION) if row["text"] not in held]
    locality = {"train": _labelled(folder / NEAR), "test": _labelled(folder / TEST)}
    return EditingData("xfever-edit", tuple(edits), memory, {SOURCE: watched}, locality)


def read_xfever_data(
    place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = SOURCE
) -> EditingData:
    """The same with these languages alone: its sets were drawn when it was made, with the seed it was made with."""
    data = read_xfever(place)
    has = dict.fromkeys(lang for edit in data.edits for lang in edit.languages)
    chosen = choose_languages(languages, has, source=source, where=place)
    memory = {lang: texts for lang, texts in data.memory.items() if lang in chosen}
    return replace(data, edits=tuple(edit.only(chosen) for edit in data.edits), memory=memory)


def _labelled(path: Path) -> Sequence[Labelled]:
    return [Labelled(row["text"], row["label"]) for row in _read(path)]


def _read(path: Path, names: Sequence[str] = ("text", "label")) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        row = strict_json(line.encode(), f"{path} row {number}", DataError)
        for name in names:
            if not isinstance(row, dict) or not isinstance(row.get(name), str):
                raise DataError(f"{path} row {number}: field {name!r}: missing or not text; make the folder again")
        rows.append(row)
    return rows


def _write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    write_atomically(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())
