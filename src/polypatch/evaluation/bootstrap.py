"""The paired bootstrap: how sure a difference between two recipes is, given the edits it was measured on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
LEVEL = 0.95

Counts = NDArray[np.int64]


def interval(won: Counts, cells: Counts, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """The central 95 % of ``100 · Σ won ÷ Σ cells`` over resampled edits; None where there are no cells.

    Edits are drawn with replacement, each with all of its cells: the answers to one edit in several languages stand and
    fall together, and to draw cells one by one would make the interval too narrow. Both recipes are looked at on the
    same draw (paired).

    Args:
        won: per edit, cells that one recipe gets right and the other wrong, minus the reverse.
        cells: per edit, how many cells it has.
        draws: resampled streams.
        seed: of the drawing; the same numbers give the same interval.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile interval).
    """
    held = cells > 0
    won, cells = won[held].astype(np.float64), cells[held].astype(np.float64)
    if not len(cells):
        return None
    generator = np.random.default_rng(seed)
    # How often each edit is drawn is all that matters: one multinomial row a draw, one matrix product for all.
    often = generator.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=draws).astype(np.float64)
    shares = 100.0 * (often @ won) / (often @ cells)
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
