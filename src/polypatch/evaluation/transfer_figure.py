"""A heat map of `transfer`."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.evaluation.figures import STYLE
from polypatch.evaluation.transfer import Transfer


@rc_context(STYLE)
def transfer_figure(found: Transfer) -> Figure:
    """The heat map: language trained on (rows) × language mended (columns), each cell with its share and count."""
    width, height = 1.4 + 0.62 * len(found.languages), 1.3 + 0.5 * len(found.trained)
    figure = Figure(figsize=(max(width, 4.5), max(height, 2.4)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(found.mended, vmin=0, vmax=100, cmap="cividis", aspect="auto")
    axes.set_xticks(range(len(found.languages)), found.languages)
    axes.set_yticks(range(len(found.trained)), found.trained)
    axes.set_xlabel("wrong before in")
    axes.set_ylabel("trained in (and the source)")
    for (i, j), share in np.ndenumerate(found.mended):
        if found.cells[i, j]:
            colour = "white" if share < 55 else "black"
            axes.text(j, i, f"{share:.0f}\n", ha="center", va="center", color=colour, fontsize=9)
            axes.text(j, i, f"\nof {found.cells[i, j]}", ha="center", va="center", color=colour, fontsize=6)
    figure.colorbar(image, ax=axes, label="mended (%)")
    return figure
