"""A matplotlib figure as an `svg` element of a page: in the page's colours, with ids of its own and words for it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.evaluation.figures import STYLE
from polypatch.rendering.harmless import one_line

_SETTINGS = {**STYLE, "svg.fonttype": "none"}  # text stays text: small, and in the page's own font
_COLOURS = {
    **dict.fromkeys(("#000000", "#333333"), "currentColor"),
    **dict.fromkeys(("#e6e6e6", "#e0e0e0", "#d0d0d0"), "var(--rule)"),
    "#ffffff": "var(--paper)",
    "#6b6b6b": "var(--quiet)",
}
_COLOUR = re.compile("|".join(_COLOURS))
_FONT = re.compile(r"font-family: [^;]*;?")
_REFERENCE = re.compile(r"(?<=url\(#)|^#")
_KEPT = {"d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform", "viewBox", "style", "clip-path", "id"}


def inline_svg(draw: Callable[[], Figure], name: str, title: str, description: str) -> Markup:
    """What `draw` makes, as one element.

    Args:
        draw: makes the figure; no name in it is read as mathematics.
        name: begins the element's ids; of its own in the page.
        title: what the picture is.
        description: what it shows, with its figures.
    """
    drawn = io.BytesIO()
    with _settings():
        draw().savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(drawn.getvalue())
    _, _, width, _ = root.get("viewBox", "0 0 400 300").split()
    body = "".join(_element(child, name) for child in root)
    labels = f"{name}-title {name}-description"
    return Markup(
        f'<svg role="img" aria-labelledby="{labels}" viewBox="{escape(root.get("viewBox"))}" '
        f'style="max-width: {float(width) / 12:.3g}em">'
        f'<title id="{name}-title">{escape(one_line(title))}</title>'
        f'<desc id="{name}-description">{escape(one_line(description))}</desc>{body}</svg>'
    )


@contextmanager
def _settings() -> Iterator[None]:
    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has it
        yield


def _element(node: ET.Element, name: str) -> str:
    """The element without name spaces, style sheets and metadata; every id in it begins with `name`."""
    tag = node.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return ""
    attributes = "".join(_attribute(key.rpartition("}")[2], value, tag, name) for key, value in node.items())
    inside = "".join(_element(child, name) for child in node)
    text = escape(node.text or "") if tag == "text" else ""
    return f"<{tag}{attributes}>{text}{inside}</{tag}>" if inside or text or tag != "defs" else ""


def _attribute(key: str, value: str, tag: str, name: str) -> str:
    value = " ".join(value.split())
    if key == "id" and tag not in ("path", "clipPath"):
        return ""  # nothing refers to it
    if key == "id":
        value = f"{name}-{value}"
    elif key in ("clip-path", "href"):
        value = _REFERENCE.sub(lambda found: f"{found[0]}{name}-", value)
    elif key == "style":
        value = _COLOUR.sub(lambda found: _COLOURS[found[0]], _FONT.sub("", value))
    elif key not in _KEPT:
        return ""
    return f' {key}="{escape(value)}"'
