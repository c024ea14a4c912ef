"""MPN's Figure 3: how long sentences are in each language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.evaluation.figures import STYLE, STYLES


@rc_context(STYLE)
def length_figure(
    lengths: Mapping[Lang, Sequence[int]],
    *,
    units: Mapping[Lang, str] | None = None,
    paper: Mapping[Lang, float] | None = None,
) -> Figure:
    """The distribution of sentence lengths, a line per language; the legend has the means.

    Lines and not bars, because six distributions lie over each other. The axis ends where no language has more than one
    sentence in a hundred beyond, else a single long one would squeeze all others.

    Source: MPN Figure 3, of which only the caption is readable; how it was drawn is not known.

    Args:
        lengths: of every sentence, by language.
        units: what was counted (``words`` where nothing is said); named in the legend where it is not words.
        paper: the paper's means, put beside ours.

    Raises:
        InputError: there is no sentence.
    """
    known = {lang: values for lang, values in lengths.items() if values}
    if not known:
        raise InputError("no sentence in any language: nothing to draw")
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for i, (lang, values) in enumerate(known.items()):
        color, marker = STYLES[i % len(STYLES)]
        counts, end = Counter(values), max(values)
        places = list(range(min(values), end + 1))
        shares = [100 * counts[place] / len(values) for place in places]
        label = _label(lang, sum(values) / len(values), units or {}, paper or {})
        axes.plot(places, shares, color=color, marker=marker, markersize=3.5, linewidth=1.2, label=label)
    axes.set_xlim(0, max(_most(values) for values in known.values()) + 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("length of a sentence")
    axes.set_ylabel("sentences (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, title="language, mean")
    return figure


def _label(lang: Lang, mean: float, units: Mapping[Lang, str], paper: Mapping[Lang, float]) -> str:
    unit = units.get(lang, "words")
    named = lang if unit == "words" else f"{lang} ({unit})"
    beside = f" (paper {paper[lang]:.1f})" if lang in paper else ""
    return f"{named}  {mean:.1f}{beside}"


def _most(values: Sequence[int]) -> int:
    """The length that 99 in 100 sentences do not exceed."""
    return sorted(values)[max(0, -(-99 * len(values) // 100) - 1)]
