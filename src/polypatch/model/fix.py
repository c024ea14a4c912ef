"""One sentence put right, and what that did: to its translations, and to the other answers."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from polypatch.edits import Edit, Lang, Text, language_of, wording_of
from polypatch.model.cost import Cost
from polypatch.model.explain import Answer, Firing
from polypatch.outcomes import EditOutcome, Status
from polypatch.rendering.harmless import one_line

WIDTH = 80
"""Columns of a terminal that a printed fix fits."""

LOUDEST = 2
"""Patches that are named per text."""


class FixedText(NamedTuple):
    """One prompt of a fix.

    Attributes:
        lang, text: the prompt; ``de#2`` where it is the second text of the edit in German.
        before: the answer just before the fix, with the edits made earlier.
        after: the answer now.
        firing: the patches at work in it now, the loudest first.
        wanted: the answer that is wanted, as the model writes it.
    """

    lang: Lang
    text: Text
    before: Answer
    after: Answer
    firing: tuple[Firing, ...]
    wanted: str

    @property
    def right(self) -> bool:
        """Whether it is given now."""
        return self.after.label == self.wanted

    @property
    def already(self) -> bool:
        """Whether it was given before."""
        return self.before.label == self.wanted


class Moved(NamedTuple):
    """A held-out text whose answer a fix changed.

    Attributes:
        lang, text: the text; the language is empty where it is not known.
        before, after: its answers.
    """

    lang: Lang
    text: Text
    before: str
    after: str


@dataclass(frozen=True, repr=False)
class Fix:
    """What one fix did. ``print`` shows it on a terminal of 80 columns, a notebook as a table, a shell in a line.

    Attributes:
        edit: the correction; ``edit.id`` takes it back.
        outcome: what became of it.
        texts: its prompt in every language, and the renderings of it.
        elsewhere: of how many held-out texts of the memory it changed the answers.
        note: what is better known before the fix is relied on; may be empty.
        moved: those texts.
        kept: whether it is in the model; not after a trial.
    """

    edit: Edit
    outcome: EditOutcome
    texts: tuple[FixedText, ...]
    elsewhere: Cost
    note: str = ""
    moved: tuple[Moved, ...] = ()
    kept: bool = True

    @property
    def id(self) -> str:
        """Names the edit, for `EditedModel.revert`."""
        return self.edit.id

    @property
    def holds(self) -> bool:
        """The answer is the wanted one in every language that the fix has."""
        return all(one.right for one in self.texts)

    def wanted(self, lang: Lang) -> str:
        """The answer that is wanted in a language."""
        return self.edit.target_in(lang)

    @property
    def verdict(self) -> str:
        """What became of it, in a sentence."""
        outcome, label = self.outcome, one_line(self.edit.target_in(self.edit.source))
        patches = "1 patch" if outcome.patches == 1 else f"{outcome.patches} patches"
        if not self.kept:
            said = "would be fixed" if self.holds else f"would fail: {one_line(outcome.reason)}"
            return f"A trial, not kept: {label} {said}; the model is as it was."
        return {
            Status.TAKEN: f"Fixed: {label} ({patches}, {outcome.seconds:.2f} s). Its id: {one_line(self.id)}",
            Status.NOT_NEEDED: f"Not needed: the model says {label} already, and nothing was changed.",
            Status.TAKEN_BACK: f"Failed: {one_line(outcome.reason)}. It was taken back: the model is as it was.",
            Status.FAILED: f"Failed: {one_line(outcome.reason)}. What it left is in the model; id {one_line(self.id)}",
        }[outcome.status]

    def __repr__(self) -> str:
        source, count = self.edit.source, len(self.edit.languages)
        what = f"{quoted(self.edit.prompt[source])} -> {quoted(self.edit.target_in(source))}"
        where = f"in {source}" if count == 1 else f"in {count} languages"
        kept = self.kept and self.outcome.status is not Status.TAKEN_BACK
        return f"<Fix {quoted(self.id)}: {what} {where}; {self.outcome.status}, {'kept' if kept else 'not kept'}>"

    def __str__(self) -> str:
        lines = [*_wrapped(self.verdict)]
        for one in self.texts:
            lines.append(_cut(f"{one.lang:<3} {_shown(one.text)}"))
            lines += _wrapped(self._changed(one), "    ")
        lines += _wrapped(f"Elsewhere: {self._elsewhere}.")
        return "\n".join([*lines, *(_wrapped(f"Note: {self.note}.") if self.note else ())])

    def _repr_html_(self) -> str:
        cells = [
            (
                one.lang,
                _shown(one.text),
                _answer(one.before),
                _answer(one.after),
                "" if one.right else f"wanted: {self.wanted(one.lang)}",
                _fired(one, self.id),
            )
            for one in self.texts
        ]
        head = "".join(f"<th>{name}</th>" for name in ("", "Text", "Before", "After", "", "Patches that fire"))
        rows = "".join(f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in cells)
        below = "".join(f"<p>{_html(line)}</p>" for line in (f"Elsewhere: {self._elsewhere}.", self.note) if line)
        return f"<p><b>{_html(self.verdict)}</b></p><table><tr>{head}</tr>{rows}</table>{below}"

    def to_plain(self) -> dict[str, Any]:
        """For JSON; a text's ``wording`` is 1 where it is the prompt in its language, and counts the renderings on."""
        return {
            "id": self.id,
            "status": str(self.outcome.status),
            "reason": self.outcome.reason,
            "patches": self.outcome.patches,
            "holds": self.holds,
            "texts": [_plain(one, self.wanted(one.lang)) for one in self.texts],
            "elsewhere": self.elsewhere.to_plain(),
            "note": self.note,
        }

    def _changed(self, one: FixedText) -> str:
        same = one.before.label == one.after.label
        line = f"{_answer(one.before)} -> {_answer(one.after)}" + (" (as before)" if same else "")
        if not one.right:
            line += f", wanted: {one_line(self.wanted(one.lang))}"
        return f"{line}; fires: {_fired(one, self.id)}" if one.firing else line

    @property
    def _elsewhere(self) -> str:
        if not self.elsewhere.known:
            return str(self.elsewhere)
        rows, changed = self.elsewhere.total
        if not changed:
            return f"none of {rows:,} held-out answers changed"
        return f"{changed:,} of {rows:,} held-out answers changed{self.elsewhere.by_language()}"


def _plain(one: FixedText, wanted: str) -> Mapping[str, Any]:
    return {
        "lang": language_of(one.lang),
        "wording": wording_of(one.lang),
        "text": one.text,
        "wanted": wanted,
        "before": {"label": one.before.label, "probability": one.before.probability},
        "after": {"label": one.after.label, "probability": one.after.probability},
        "firing": [fired.to_plain() for fired in one.firing],
    }


def _shown(text: Text) -> str:
    return one_line(" / ".join(text) if isinstance(text, tuple) else text)


def quoted(text: Text) -> str:
    """A text in quotes, cut where it is long."""
    shown = _shown(text)
    return repr(shown if len(shown) <= 60 else f"{shown[:59]}…")


def _answer(answer: Answer) -> str:
    return one_line(str(answer))


def _fired(one: FixedText, own: str) -> str:
    """The loudest patches; that of the fix itself by a short name."""
    names = ("this fix" if fired.edit_id == own else one_line(fired.edit_id) for fired in one.firing[:LOUDEST])
    named = ", ".join(f"{name} {fired.activation:.2f}" for name, fired in zip(names, one.firing, strict=False))
    more = len(one.firing) - LOUDEST
    return f"{named}, {more} more" if more > 0 else named


def _html(text: str) -> str:
    return html.escape(one_line(text))


def _cut(line: str) -> str:
    return line if cell_len(line) <= WIDTH else f"{set_cell_size(line, WIDTH - 1).rstrip()}…"


def _wrapped(line: str, indent: str = "") -> Iterator[str]:
    """The words of a line on lines of at most `WIDTH` cells; a longer word is cut."""
    row = ""
    for word in line.split():
        if row and cell_len(f"{indent}{row} {word}") > WIDTH:
            yield indent + row
            row = ""
        row = f"{row} {word}" if row else _cut(indent + word).removeprefix(indent)
    yield indent + row
