"""Page: titles, words, tables and pictures in their order; and the HTML of them.

Every text is data. What Jinja2 escapes has been made harmless first, so no text is read as mark-up, commands anything
or turns round what stands beside it. Only `Picture.svg` is mark-up, and `polypatch.evaluation.page.svg` alone makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from polypatch.edits import Lang, Text
from polypatch.rendering.grid import Grid
from polypatch.rendering.harmless import harmless

MOST_CHARACTERS = 400
"""Of a text; longer ones are cut."""

MOST_ROWS = 200
"""Of a table; the others are counted below it."""


@dataclass(frozen=True)
class Paragraphs:
    """Sentences, a paragraph each."""

    lines: Sequence[str]
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class TableShown:
    """A grid under a caption.

    Attributes:
        caption: what it shows.
        grid: its cells.
        meanings: a few words under a row's name, by that name.
        most: rows that are shown.
        all_in: where all rows are.
    """

    caption: str
    grid: Grid
    meanings: Mapping[str, str] = field(default_factory=dict)
    most: int = MOST_ROWS
    all_in: str = "report.md"
    kind: ClassVar[str] = "table"

    @property
    def left_out(self) -> str:
        """How many rows are not shown, and where they are; empty where all are."""
        more = len(self.grid.rows) - self.most
        return f"… and {more:,} more; {self.all_in} has all." if more > 0 else ""


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    facts: Mapping[str, str]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class CodeShown:
    """A text as it stands; behind a `summary`, where it has one."""

    text: str
    summary: str = ""
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Picture:
    """An `svg` element from `polypatch.evaluation.page.svg`, and what it shows in words.

    A `wide` one has a line of its own, and is moved to and fro where there is no room.
    """

    svg: Markup
    title: str
    said: str
    wide: bool = False
    kind: ClassVar[str] = "picture"


@dataclass(frozen=True)
class AnswerShown:
    """What was said, and whether it is right."""

    text: str
    right: bool


@dataclass(frozen=True)
class PromptShown:
    """One prompt of an edit; `how` says whether the editor was trained on it."""

    lang: Lang
    prompt: str
    wanted: str
    before: AnswerShown
    after: AnswerShown
    how: str


@dataclass(frozen=True)
class EditShown:
    """An edit, what became of it, and what was asked."""

    name: str
    status: str
    asked: Sequence[PromptShown]


@dataclass(frozen=True)
class PromptsShown:
    """Edits with their prompts and answers.

    Attributes:
        caption: what is shown, and what is not.
        edits: those that are shown.
        written: the answers are in the prompts' languages, and no labels.
    """

    caption: str
    edits: Sequence[EditShown]
    written: bool
    kind: ClassVar[str] = "prompts"


Block: TypeAlias = Paragraphs | TableShown | Facts | CodeShown | Picture | PromptsShown


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A page of results.

    Attributes:
        title: its heading.
        lead: what happened, a sentence a line.
        sections: the rest; those without blocks are left out.
    """

    title: str
    lead: Sequence[str]
    sections: Sequence[Section]

    def to_html(self) -> str:
        """The whole page, as one HTML document; the same page is the same text."""
        shown = [section for section in self.sections if section.blocks]
        return _template().render(title=self.title, lead=self.lead, sections=shown)

    def to_bytes(self) -> bytes:
        """The same as a file has it, in UTF-8."""
        return self.to_html().encode()


def cut(text: Text, most: int = MOST_CHARACTERS) -> str:
    """A text, or a pair on two lines, without commands, and of so many characters at most."""
    whole = harmless(text if isinstance(text, str) else "\n".join(text))
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("polypatch.evaluation", "page"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cut"] = cut
    return environment.get_template("page.html")


def _harmless(value: object) -> object:
    """What the template prints: all texts but those it has made itself."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else harmless(value)
