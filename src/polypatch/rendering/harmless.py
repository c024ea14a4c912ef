"""Other people's text without power over what shows it: terminals, Markdown, HTML, JSON."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""What turns the text around it to the left or right (Unicode's bidirectional controls)."""

# C0, DEL and C1, which terminals obey; halves of pairs, which none can show; line ends that are no line feed; and tags,
# which nobody sees and models read.
_COMMANDS = "\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\U000e0000-\U000e007f"
_TURNING = re.compile(f"[{DIRECTIONS}]")
_COMMANDING = re.compile(f"[{_COMMANDS}]")
_IN_JSON = re.compile(f"[{DIRECTIONS}{_COMMANDS}]")
_MARKS = re.compile(r"[\\`*\[\]<>&|~!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=[a-z]):(?=//)|(?<=www)\.|@")
_OPENING = re.compile(r"^(#|[-+](?=\s|$)|={3,}|-{3,}|\d+(?=[.)](\s|$)))")


def harmless(text: str, *, keep: str = "\n\t") -> str:
    """The text, with a mark for each character that commands a terminal, and without those that turn others round."""
    return _COMMANDING.sub(lambda found: found[0] if found[0] in keep else "\ufffd", _TURNING.sub("", text))


def one_line(text: str) -> str:
    """`harmless`, on one line."""
    return harmless(" ".join(text.split()), keep="")


def escaped(json: str) -> str:
    r"""JSON in which such characters are written as ``\\u…``: they can only stand inside its strings."""
    return _IN_JSON.sub(lambda found: found[0] if found[0] in "\n\t" else _json_escape(found[0]), json)


def inline(text: str) -> str:
    """The text as it is, on one line of Markdown: no mark-up, no HTML, no link, no new cell of a table."""
    line = _MARKS.sub(lambda found: f"\\{found[0]}", one_line(text))
    return _OPENING.sub(lambda found: f"\\{found[0]}" if not found[0].isdigit() else f"{found[0]}\\", line)


def code(text: str, most: int | None = None) -> str:
    """The text as Markdown code, also in a table, cut to `most` characters."""
    line = one_line(text).replace("`", "'").replace("|", "¦")
    return f"`{line if most is None or len(line) <= most else line[: most - 1] + '…'}`"


def fenced(text: str) -> str:
    """The text as a block of Markdown code, whatever stands in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}\n{harmless(text)}\n{fence}\n"


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _escape_what_does_not_fit(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_json_escape, error.object[error.start : error.end])), error.end


ESCAPING = "polypatch.escaping"
r"""Error handler of streams that cannot encode a character: it is written as ``\\u…``, which JSON reads."""

codecs.register_error(ESCAPING, _escape_what_does_not_fit)


def markdown_list(facts: Mapping[str, str]) -> str:
    """One ``* name: value`` per line."""
    return "".join(f"* {inline(name)}: {inline(value)}\n" for name, value in facts.items())
