"""The command line: leaves that parse, call one function, and print. Only `main` turns errors into text.

Nothing here imports torch before a verb needs it, so that ``polypatch --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from polypatch.cli.app import app
from polypatch.cli.console import complain, forgiving_streams
from polypatch.errors import PolypatchError, StoppedError

FAILED, INTERRUPTED = 2, 130
LONGEST = 100
"""Characters of a path in a message."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``polypatch``; an error is one line on stderr and exit code 2, Ctrl-C one line and 130."""
    given = sys.argv[1:] if argv is None else list(argv)
    forgiving_streams()
    try:
        # Not standalone: typer would print its own box, and swallow what is ours.
        code = app(args=given, obj=given, prog_name="polypatch", standalone_mode=False)
    except StoppedError as stopped:
        complain(f"stopped: {stopped}")
        code = INTERRUPTED
    except PolypatchError as error:
        complain(f"error: {error}")
        code = FAILED
    except OSError as error:
        complain(f"error: {_refused(error)}")
        code = FAILED
    except Exception as error:
        if not _is_usage(error):
            raise
        complain(f"error: {_usage(error)}")
        code = FAILED
    else:
        if code == INTERRUPTED:  # typer's answer to a Ctrl-C that no verb took care of
            complain("stopped: nothing was written")
    raise SystemExit(code if isinstance(code, int) else 0)


def _refused(error: OSError) -> str:
    """What the system refuses and no verb foresaw: a name that is too long, a folder without permission."""
    named = error.filename if isinstance(error.filename, str) else ""
    shown = named if len(named) <= LONGEST else f"{named[: LONGEST - 1]}…"
    return f"{shown}: {error.strerror or error}" if shown else str(error) or type(error).__name__


def _is_usage(error: Exception) -> bool:
    # By shape: the class is click's in some versions of typer and typer's own in others.
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> str:
    ctx = getattr(error, "ctx", None)
    path = "polypatch" if ctx is None else ctx.command_path
    return f"{error.format_message().rstrip('.')} (see {path} --help)"
