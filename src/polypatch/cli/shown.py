"""Other people's texts on a terminal: in any script, and with no power over the terminal.

Everything the verbs print goes through `HarmlessConsole`, or through `say` and `complain` of `console.py`: nothing has
to remember it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from polypatch.edits import Text
from polypatch.rendering.harmless import harmless, one_line

ISOLATE, END = "\u2068", "\u2069"
_ISOLATED = re.compile(f"{ISOLATE}([^{ISOLATE}{END}]*)(?:{END}|$)|^([^{ISOLATE}{END}]*){END}")
"""What `shown` has put a pair round; or its first or its last line, where a table has broken it."""


def shown(text: Text, most: int | None = None) -> str:
    """One line for people; a right-to-left text keeps to itself, so that what stands beside it stays in its order.

    Args:
        text: a text or a pair.
        most: characters; longer ones are cut.
    """
    line = one_line(" / ".join(text) if isinstance(text, tuple) else text)
    if most is not None and len(line) > most:
        line = f"{line[: most - 1]}…"
    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in line)
    return f"{ISOLATE}{line}{END}" if right_to_left else line


class HarmlessConsole(Console):
    """A console on which no text, from whatever table, title or message, commands the terminal or is read as mark-up.

    Mark-up is for constants: pass ``markup=True``.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, piece by piece; rich's own commands stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_piece(segment.text))


def _piece(text: str) -> str:
    """Harmless; what `shown` has put a pair round keeps one on every line, as it turns nothing else round."""
    done, last = [], 0
    for found in _ISOLATED.finditer(text):
        inside = found[2] if found[1] is None else found[1]
        done += [harmless(text[last : found.start()]), f"{ISOLATE}{harmless(inside)}{END}"]
        last = found.end()
    return "".join([*done, harmless(text[last:])])
