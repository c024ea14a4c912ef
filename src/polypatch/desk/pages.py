"""The pages: ask, see what a fix does, keep it or not; history, undo and undo of undo; why; to do; export."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from polypatch.data.jsonl import jsonl_line
from polypatch.data.memory import read_texts
from polypatch.desk.desk import Desk
from polypatch.desk.given import Rows, corrected, lines_in, pair_in, sentences_in
from polypatch.desk.local_translators import LocalTranslators
from polypatch.desk.packing import zipped
from polypatch.desk.refusals import PREFIX, refusal
from polypatch.desk.templated import Pages
from polypatch.edits import MAPPED, Lang, Text, is_lang
from polypatch.errors import InputError, PolypatchError
from polypatch.outcomes import Status
from polypatch.store.history import HistoryFilter

HERE = Path(__file__).parent

LINES = 500
"""Edits of the history on a page, at most."""

SENTENCES = 200
"""Sentences that are asked at once, at most."""

MOVED = 50
"""Held-out texts that are shown, at most."""

Field = Annotated[list[str], Form(default_factory=list)]


def add_pages(app: FastAPI, desk: Desk, source: Lang = "en", translations: LocalTranslators | None = None) -> None:
    """Put the pages onto the service. What is refused there is a page as well."""
    pages = Pages(desk, source, translations or LocalTranslators())
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    for add in (_asking, _fixing, _looking, _exporting):
        add(router, pages)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

    def refused(request: Request, error: Exception) -> Response:
        return refusal(request, error) if request.url.path.startswith(PREFIX) else pages.refused(request, error)

    for kind in (PolypatchError, RequestValidationError):
        app.add_exception_handler(kind, refused)


def _asking(router: APIRouter, pages: Pages) -> None:
    desk = pages.desk

    def form(request: Request, rows: Rows, many: str = "", **more: Any) -> HTMLResponse:
        others = [lang for lang in pages.languages if lang != pages.source][:2]
        typed = rows.typed or [(lang, "", "") for lang in (pages.source, *others)]
        shown = {"rows": typed, "many": many, "sentences": [], "left": 0, "most": SENTENCES, **more}
        return pages.show("ask.html", request, pairs=rows.pairs, ask_pairs=pages.pairs is None, **shown)

    @router.get("/")
    def begin(request: Request, done: str = "", texts: str = "") -> HTMLResponse:
        known = pages.pairs
        return form(request, Rows([], [], pairs=texts == "two" if known is None else known), done=done)

    @router.post("/ask")
    def ask(
        request: Request,
        lang: Field,
        text: Field,
        second: Field,
        many: Annotated[str, Form()] = "",
        file: Annotated[UploadFile | None, File()] = None,
    ) -> HTMLResponse:
        known = pages.pairs
        rows = Rows(lang, text, second, pairs=bool(second) if known is None else known)  # as the form has such a field
        asked = [rows.prompts] if rows.prompts else []
        further = (*lines_in(many, pages.source), *_uploaded(file, pages.source))
        asked += [[(code, pair_in(one) if rows.pairs else one)] for code, one in further]
        if not asked:
            raise InputError("there is no sentence: write one, with its language before it")
        some = asked[:SENTENCES]
        shown = desk.ask([prompt for prompts in some for prompt in prompts])
        sentences = sentences_in(shown, [len(prompts) for prompts in some])
        into = [pages.translatable(prompts) for prompts in some]
        answered = list(zip(sentences, into, strict=True))
        return form(request, rows, many, sentences=answered, left=len(asked) - len(some))


def _fixing(router: APIRouter, pages: Pages) -> None:
    desk = pages.desk

    @router.post("/trial")
    def trial(
        request: Request,
        lang: Field,
        text: Field,
        second: Field,
        label: Field,
        translate: Annotated[str, Form()] = "",
    ) -> HTMLResponse:
        rows = Rows(lang, text, second, label, pairs=bool(pages.pairs))
        edit = corrected(rows, pages.source, writes=desk.writes)
        made = {}
        if translate:
            into = pages.translatable(list(edit.prompt.items()))
            made = pages.translations(edit.prompt[edit.source], edit.source, into)
            edit = replace(edit, prompt={**edit.prompt, **made})
        near = desk.near(edit)
        fix = desk.trial(edit)
        told = fix.outcome.languages
        mapped = [one.removeprefix(MAPPED) for one in told if one.startswith(MAPPED)]
        return pages.show(
            "trial.html",
            request,
            fix=fix,
            near=near,
            origins=dict.fromkeys(made, "translated"),
            mapped=mapped,
            most=MOVED,
        )

    @router.post("/keep")
    def keep(
        lang: Field,
        text: Field,
        second: Field,
        label: Field,
        source: Annotated[str, Form()] = "",
        edit_id: Annotated[str, Form()] = "",
    ) -> Response:
        rows = Rows(lang, text, second, label, pairs=bool(pages.pairs))
        fix = desk.keep(corrected(rows, source or pages.source, writes=desk.writes, edit_id=edit_id or None))
        return _to("/", done=fix.verdict)

    @router.post("/undo")
    def undo(id: Annotated[str, Form()]) -> Response:  # noqa: A002
        desk.revert([id])
        return _to("/history", done=f"Taken back: {id}. It can be made again.")

    @router.post("/again")
    def again(id: Annotated[str, Form()]) -> Response:  # noqa: A002
        outcome = desk.again(id)
        return _to("/history", done=f"Made again: {id} ({outcome.status}).")


def _looking(router: APIRouter, pages: Pages) -> None:
    desk = pages.desk

    @router.get("/history")
    def history(request: Request, q: str = "", status: str = "", lang: str = "", done: str = "") -> HTMLResponse:
        if status and status not in list(Status):
            raise InputError(f"no status is called {status!r}; there are {', '.join(Status)}")
        statuses = (Status(status),) if status else ()
        found = HistoryFilter(statuses, prompt_lang=lang or None, words=q.strip()).choose(desk.history())
        more = {"q": q, "status": status, "lang": lang, "statuses": list(Status), "done": done}
        return pages.show(
            "history.html", request, lines=found[-LINES:], found=len(found), total=len(desk.edited.records), **more
        )

    @router.get("/edit")
    def edit(request: Request, id: str) -> HTMLResponse:  # noqa: A002
        record, shown = desk.record(id), []
        if record.edit is not None:
            asked = desk.ask([(one.lang, one.text) for one in record.edit.examples])
            shown = [(one, record.edit.target_in(one.lang)) for one in asked]
        return pages.show("edit.html", request, id=id, record=record, shown=shown)

    @router.get("/why")
    def why(request: Request, text: str, second: str = "", lang: str = "") -> HTMLResponse:
        asked: Text = (text, second) if second else text
        return pages.show("why.html", request, why=desk.why(asked), lang=lang if is_lang(lang) else "")

    @router.get("/tasks")
    def tasks(request: Request) -> HTMLResponse:
        return pages.show("tasks.html", request, tasks=desk.tasks())


def _exporting(router: APIRouter, pages: Pages) -> None:
    desk = pages.desk

    @router.get("/export")
    def export(request: Request) -> HTMLResponse:
        return pages.show("export.html", request, unmergeable=desk.unmergeable)

    @router.get("/export/edits.jsonl")
    def jsonl() -> Response:
        edits = [line.record.edit for line in desk.history() if line.record.edit and not line.record.reverted]
        rows = "".join(f"{jsonl_line(edit)}\n" for edit in edits)
        return _file(rows.encode(), "application/jsonl", "edits.jsonl")

    @router.get("/export/edits.zip")
    def folder() -> Response:
        return _file(zipped(desk.export_edits), "application/zip", "edits.zip")

    @router.get("/export/checkpoint.zip")
    def checkpoint() -> Response:
        return _file(zipped(desk.export_checkpoint), "application/zip", "checkpoint.zip")


def _uploaded(file: UploadFile | None, source: Lang) -> Iterable[tuple[Lang, Text]]:
    """The texts of a file that was sent."""
    if file is None or not file.filename:
        return []
    suffix = "".join(Path(file.filename).suffixes[-1:])
    if suffix not in (".txt", ".jsonl", ".csv", ".tsv"):
        raise InputError(f"{file.filename}: give a .txt, .jsonl, .csv or .tsv file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"texts{suffix}"
        path.write_bytes(file.file.read())
        try:
            return [(row.lang, row.text) for row in read_texts(path, source)]
        except InputError as error:
            raise InputError(str(error).replace(str(path), file.filename)) from error


def _to(path: str, **query: str) -> RedirectResponse:
    return RedirectResponse(f"{path}?{urlencode(query)}", status_code=303)


def _file(body: bytes, kind: str, name: str) -> Response:
    return Response(body, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})
