"""A data set's answers that a language model's tokenizer can write: the others are left out, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from polypatch.data import EditingData
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import PolypatchError
from polypatch.sites import Readout

LEFT_OUT = "answers left out that the model's tokenizer cannot write"


def writable(data: EditingData, readout: Readout) -> EditingData:
    """The data without what cannot be written, as whoever measures on somebody else's data wants it.

    Of an edit the languages without a target of their own, or with one that the tokenizer cannot write or that is too
    long, are left out; the edit itself where that is its source. A classifier's data are as they were.
    """
    if readout.answers is not None:
        return data
    edits, dropped = [], 0
    for edit in data.edits:
        fine = set(_writable_in(edit, readout))
        dropped += len(edit.languages) - len(fine)
        if edit.source in fine:
            edits.append(_only(edit, fine, readout))
    notes = {**data.notes, LEFT_OUT: data.notes.get(LEFT_OUT, 0) + dropped} if dropped else data.notes
    return replace(data, edits=tuple(edits), notes=notes)


def _writable_in(edit: Edit, readout: Readout) -> Iterator[Lang]:
    for lang in edit.languages:
        if lang in edit.target and _can_write(readout, edit.prompt[lang], edit.target[lang]):
            yield lang


def _can_write(readout: Readout, text: Text, answer: str) -> bool:
    try:
        readout.ask([text], [answer])
    except PolypatchError:
        return False
    return True


def _only(edit: Edit, languages: set[Lang], readout: Readout) -> Edit:
    """The edit in these languages alone, without renderings that the answer cannot stand behind."""
    by_language = ("prompt", "target", "rephrases", "ground_truth", "aliases")
    kept: dict[str, Any] = {
        name: {k: v for k, v in getattr(edit, name).items() if k in languages} for name in by_language
    }
    # A target that has no prompt yet waits for a translation of it.
    waiting = {lang: answer for lang, answer in edit.target.items() if lang not in edit.prompt}
    renderings = {
        lang: tuple(text for text in texts if _can_write(readout, text, edit.target[lang]))
        for lang, texts in edit.renderings.items()
        if lang in languages
    }
    return replace(edit, **{**kept, "target": {**kept["target"], **waiting}, "renderings": renderings})
