"""What every page is made with: its template, the languages and labels that it offers, and what it says of errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from polypatch.desk.desk import Desk
from polypatch.desk.local_translators import LocalTranslators
from polypatch.desk.refusals import said_of
from polypatch.edits import MAPPED, Lang, Text, language_of, wording_of
from polypatch.errors import ContradictionError

PAGES = (("/", "Ask", "a"), ("/history", "History", "h"), ("/tasks", "To do", "t"), ("/export", "Export", "e"))
"""Path, name, access key."""


class Pages:
    """What every page is made with.

    Args:
        desk: the model.
        source: the language of a sentence that names none.
        translations: what translates, where it can.
    """

    def __init__(self, desk: Desk, source: Lang, translations: LocalTranslators) -> None:
        self.desk, self.source, self.translations = desk, source, translations
        self.templates = Environment(
            loader=PackageLoader("polypatch.desk"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters["code"] = code_of
        self.templates.filters["in_words"] = in_words

    @property
    def languages(self) -> list[Lang]:
        """The languages that are offered: those of the edits and of the held-out texts."""
        edits = (record.edit for record in list(self.desk.edited.records.values()) if record.edit is not None)
        found = [self.source, *(lang for edit in edits for lang in edit.languages), *self.desk.edited.held_out]
        return [lang for lang in dict.fromkeys(found) if lang]

    @property
    def pairs(self) -> bool | None:
        """Whether the model reads pairs of texts, as the first text of its edits or its memory is; None without any.

        Nothing in a model says so itself: the same classifier takes either.
        """
        if self.desk.writes:
            return False
        return next((not isinstance(text, str) for text in self._known()), None)

    def _known(self) -> Iterator[Text]:
        for record in list(self.desk.edited.records.values()):
            yield from () if record.edit is None else record.edit.prompt.values()
        if (kept := self.desk.edited.kept) is not None:
            yield from kept.read().train

    def translatable(self, prompts: Sequence[tuple[Lang, Text]]) -> list[Lang]:
        """Languages that a sentence can be translated into. A language model's answers nobody would have read."""
        given = dict(prompts)
        source = self.source if self.source in given else next(iter(given))
        if self.desk.writes:
            return []
        return self.translations.into(source, [lang for lang in self.languages if lang not in given])

    def show(self, name: str, request: Request, **more: Any) -> HTMLResponse:
        """A page."""
        common = {"desk": self.desk, "pages": PAGES, "here": request.url.path, "done": ""}
        languages, labels = self.languages, list(self.desk.edited.labels.values())
        values = {**common, "languages": languages, "labels": labels, "source": self.source, **more}
        return HTMLResponse(self.templates.get_template(name).render(values))

    def refused(self, request: Request, error: Exception) -> HTMLResponse:
        """The page of an error of polypatch's own."""
        ids = error.edit_ids if isinstance(error, ContradictionError) else ()
        known = [one for one in ids if one in self.desk.edited.records]
        message = str(error).partition("; take it back first")[0] if known else said_of(error)
        page = self.show("error.html", request, message=message, edit_ids=known)
        page.status_code = 409 if ids else 422
        return page


def code_of(name: Lang) -> Lang:
    """The language alone of the name of an example: ``de`` of ``de#2`` and of ``~de``."""
    return language_of(name.removeprefix(MAPPED))


def in_words(name: Lang) -> str:
    """The name of an example for people: ``de (wording 2)`` of ``de#2``, ``de (mapped)`` of ``~de``."""
    if name.startswith(MAPPED):
        return f"{code_of(name)} (mapped)"
    number = wording_of(name)
    return name if number == 1 else f"{code_of(name)} (wording {number})"
