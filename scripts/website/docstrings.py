"""For griffe: the house's docstrings have literal blocks behind ``::``, Markdown has them where they are indented."""

import re
from typing import Any

import griffe


class LiteralBlocks(griffe.Extension):
    """Takes ``::`` away before an indented block; the rest of a docstring is Markdown as it stands."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object once its members are there."""
        if obj.docstring is not None:
            value = re.sub(r"^::\n", "", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"::$", ":", value, flags=re.MULTILINE)
