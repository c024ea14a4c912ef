"""What is said where a request cannot be done: in words, and as JSON. What came in is not sent back."""

from __future__ import annotations

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from polypatch.errors import ContradictionError, UnavailableError

PREFIX = "/v1/"
"""Of paths for programs."""

RETRY_AFTER = "1"
"""Seconds."""

PARTS = 10
"""Wrong places of a request that are named, at most."""


def refusal(_: Request, error: Exception) -> JSONResponse:
    """422; 409 where an earlier edit is in the way, with the edits that this is about; 503 where it helps to wait."""
    if isinstance(error, UnavailableError):
        return JSONResponse({"detail": said_of(error)}, status_code=503, headers={"retry-after": RETRY_AFTER})
    edits = {"edits": list(error.edit_ids)} if isinstance(error, ContradictionError) else {}
    return JSONResponse({"detail": said_of(error), **edits}, status_code=409 if edits else 422)


def said_of(error: Exception) -> str:
    """The message of an error; of a request that is not as the schema says, which part of it and why."""
    if not isinstance(error, RequestValidationError):
        return str(error)
    wrong = [f"{'.'.join(map(str, one['loc']))[:200]}: {one['msg'][:200]}" for one in error.errors()[:PARTS]]
    return "; ".join(wrong)
