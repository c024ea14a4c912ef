"""Settings that depend on how wide a model is: the published ones are for BERT-base, 768 wide.

The learning rate is 0.01 · 768 ÷ width: Adam moves every coordinate of a key by about the rate, so q·k moves by the
rate times Σ|q|, which grows with the width. The others were chosen at three widths; a width between two of them takes
those of the one that is nearer by ratio. `docs/deviations.md`, "Small models", has the reasons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

E = TypeVar("E")

BY_WIDTH: Any = None
"""A setting that `fitted` fills in, once the model is known. Any other value is taken as it is."""

PUBLISHED_WIDTH = 768
PUBLISHED_RATE = 1e-2

_SMALL = {"views": 0, "example_repeat": 1, "first_validation": 30, "validate_every": 10}
_PUBLISHED = {"views": 16, "example_repeat": 8, "first_validation": 100, "validate_every": 25}

MEASURED: Mapping[int, Mapping[str, int]] = {
    128: {**_SMALL, "memory_copies": 1, "max_steps": 300},
    256: {**_SMALL, "memory_copies": 8, "max_steps": 200},
    PUBLISHED_WIDTH: {**_PUBLISHED, "memory_copies": 8, "max_steps": 2000},
}
"""At 128 chosen on the world of seed 0, at 256 on MASSIVE's first 80 edits, at 768 the released code's."""


def settings_for(width: int) -> dict[str, Any]:
    """What `BY_WIDTH` stands for on a model so wide: Transformer-Patcher's settings by name."""
    nearest = min(MEASURED, key=lambda measured: max(width, measured) / min(width, measured))
    return {"learning_rate": PUBLISHED_RATE * max(PUBLISHED_WIDTH / width, 1.0), **MEASURED[nearest]}


def fitted(editor: E, width: int) -> E:
    """The editor with every setting that was left to the width filled in."""
    open_to = {name: value for name, value in settings_for(width).items() if _is_open(editor, name)}
    return dataclasses.replace(editor, **open_to) if open_to else editor  # type: ignore[type-var]


def _is_open(editor: object, name: str) -> bool:
    return getattr(editor, name, ...) is BY_WIDTH
