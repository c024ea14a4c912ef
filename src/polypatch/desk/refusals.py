"""What is said where a request cannot be done: in words, and as JSON. What came in is not sent back."""

from __future__ import annotations

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from polypatch.errors import ContradictionError

PREFIX = "/v1/"
"""Of paths for programs."""

PARTS = 10
"""Wrong places of a request that are named, at most."""


def refusal(_: Request, error: Exception) -> JSONResponse:
    """422, or 409 where an earlier edit is in the way, with the edits that this is about."""
    edits = {"edits": list(error.edit_ids)} if isinstance(error, ContradictionError) else {}
    return JSONResponse({"detail": said_of(error), **edits}, status_code=409 if edits else 422)


def said_of(error: Exception) -> str:
    """The message of an error; of a request that is not as the schema says, which part of it and why."""
    if not isinstance(error, RequestValidationError):
        return str(error)
    wrong = [f"{'.'.join(map(str, one['loc']))[:200]}: {one['msg'][:200]}" for one in error.errors()[:PARTS]]
    return "; ".join(wrong)
