"""The service: predict or generate, explain, fix, revert and the history of an edited model, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from polypatch._version import __version__
from polypatch.data.given import correction
from polypatch.desk.counting import Counting
from polypatch.desk.refusals import refusal
from polypatch.desk.served import Served
from polypatch.errors import PolypatchError
from polypatch.outcomes import Status
from polypatch.store.history import HistoryFilter, moment

TEXTS = 1024
"""Texts of a request, at most."""

CHARACTERS = 20_000
"""Characters of a text, at most."""

OPEN = ("/health",)
"""Paths that need no token: a load balancer has none."""

Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=CHARACTERS)]
TextOrPair: TypeAlias = Words | tuple[Words, Words]
"""A text, or a pair of them as a list of two."""

Code: TypeAlias = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", examples=["en"])]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextsAsked(_Body):
    """Texts to be answered."""

    texts: Annotated[list[TextOrPair], Field(min_length=1, max_length=TEXTS, examples=[["wake me up at nine"]])]


class OneAnswer(_Body):
    """An answer, and its probability: of what a language model writes that of its least sure token."""

    answer: str
    probability: float


class AnswersGiven(_Body):
    """Answers in the order of the texts, and how many edits the model had that gave them all."""

    answers: list[OneAnswer]
    edits: int


class TextAsked(_Body):
    """One text to be explained."""

    text: TextOrPair


class FixAsked(_Body):
    """A fix: the text, the answer that is wanted, and the text in other languages."""

    text: TextOrPair
    label: Annotated[
        Words | dict[Code, Words], Field(description="The answer; of a language model by language, as in translations.")
    ]
    translations: dict[Code, TextOrPair] = Field(default_factory=dict)
    source: Code = "en"
    id: Name | None = None
    keep: Annotated[bool, Field(description="False: say what it would do, and keep nothing.")] = True


class EditIds(_Body):
    """Edits to take back."""

    ids: Annotated[list[Name], Field(min_length=1, max_length=TEXTS)]


def service(desk: Served) -> FastAPI:
    """The app, without a door: whoever serves it puts `polypatch.desk.door.Door` in front."""
    app = FastAPI(title="polypatch", version=__version__, docs_url=None, redoc_url=None, summary=desk.name)
    counting = Counting(desk)
    app.middleware("http")(counting.watch)
    for kind in (PolypatchError, RequestValidationError):
        app.add_exception_handler(kind, refusal)
    _asked(app, desk, counting)
    _seen(app, desk, counting)
    _changed(app, desk)
    return app


def _asked(app: FastAPI, desk: Served, counting: Counting) -> None:
    def answers(body: TextsAsked, *, writes: bool) -> AnswersGiven:
        if desk.writes != writes:
            other = "/v1/generate" if desk.writes else "/v1/predict"
            raise HTTPException(409, f"{desk.name} {'writes' if desk.writes else 'classifies'}: ask {other}")
        found = desk.answers(body.texts)
        counting.texts.inc(len(body.texts))
        rows = [OneAnswer(answer=one.label, probability=one.probability) for one in found.answers]
        return AnswersGiven(answers=rows, edits=found.edits)

    @app.post("/v1/predict")
    def predict(body: TextsAsked) -> AnswersGiven:
        """The label of each text. All are answered by one state of the model."""
        return answers(body, writes=False)

    @app.post("/v1/generate")
    def generate(body: TextsAsked) -> AnswersGiven:
        """What a language model writes behind each text, the likeliest token at every place."""
        return answers(body, writes=True)

    @app.post("/v1/explain")
    def explain(body: TextAsked) -> dict[str, Any]:
        """Which edits act on a text, and what it would be answered without each."""
        return desk.why(body.text).to_plain()


def _seen(app: FastAPI, desk: Served, counting: Counting) -> None:
    @app.get("/v1/history")
    def history(
        status: Status | None = None,
        lang: Code | None = None,
        glob: Name | None = None,
        since: Name | None = None,
        limit: Annotated[int, Field(ge=1, le=10_000)] = 100,
    ) -> list[dict[str, Any]]:
        """The last edits that fit, in the order in which they were made."""
        after = None if since is None else moment(since)
        chosen = HistoryFilter(() if status is None else (status,), lang, glob, after, limit)
        return [line.plain() for line in chosen.choose(desk.history())]

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Whether it serves, what, and with how many edits."""
        return {"status": "ok", "model": desk.name, "edits": desk.inside, "polypatch": __version__}

    @app.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """What was counted, for Prometheus."""
        return counting.response()


def _changed(app: FastAPI, desk: Served) -> None:
    @app.post("/v1/fix")
    def fix(body: FixAsked) -> dict[str, Any]:
        """Correct one text, in every language that it is given in; or, with ``"keep": false``, see what that would do.

        It is on disk when the answer comes.
        """
        edit = correction(body.text, body.label, body.translations, body.source, body.id)
        done = desk.keep(edit) if body.keep else desk.trial(edit)
        return {**done.to_plain(), "kept": done.kept, "verdict": done.verdict}

    @app.post("/v1/revert")
    def revert(body: EditIds) -> dict[str, Any]:
        """Take edits back."""
        desk.revert(body.ids)
        return {"reverted": body.ids, "edits": desk.inside}
