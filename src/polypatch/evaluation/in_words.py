"""A report in a sentence, for people who do not know the metrics' names."""

from __future__ import annotations

from collections.abc import Sequence

from polypatch.evaluation.report import Report
from polypatch.model.cost import together

LEGEND = (
    "Per cent of the right answers. Reliability: the corrected sentences. MLG (multilingual generality): other "
    "wordings of them, in their own language. CLG (cross-lingual generality): their translations, by language; "
    "seen and unseen are those the editor was and was not trained on, never the languages it could not draw, "
    "rephrase another wording in another language. Confidence: the model's mean probability of what was mended. "
    "Locality: sentences that should not change. s/edit: seconds an edit took. All of the final model, over all "
    "edits."
)
"""What the columns of a table of results are."""


def in_words(reports: Sequence[Report]) -> str:
    """What was mended and what it cost, in two lines.

    ::

        17 wrong sentences are right now, in 3 languages; 2 are still wrong.
        Elsewhere: 0.2 % of 1,200 other answers changed.

    Args:
        reports: of one method; the sentences of several are added up.

    Returns:
        The lines; the first only where reports have cells, the second only where the cost was looked at.
    """
    parts = [_mended(reports)] if any(report.cells is not None for report in reports) else []
    costs = [report.cost for report in reports if report.cost is not None]
    parts += [f"Elsewhere: {together(costs)}"] if costs else []
    return "\n".join(f"{part}." for part in parts)


def _mended(reports: Sequence[Report]) -> str:
    mended = wrong = broken = 0
    languages: set[str] = set()
    for cells in (report.cells for report in reports if report.cells is not None):
        right_now = (cells.before == 0) & (cells.after == 1)
        mended += int(right_now.sum())
        wrong += int(((cells.before == 0) & (cells.after == 0)).sum())
        broken += int(((cells.before == 1) & (cells.after == 0)).sum())
        languages |= {lang for lang, some in zip(cells.languages, right_now.any(axis=0), strict=True) if some}
    where = f", in {_count(len(languages), 'language')}" if mended else ""
    said = f"{_count(mended, 'wrong sentence')} {'is' if mended == 1 else 'are'} right now{where}"
    said += f"; {wrong:,} {'is' if wrong == 1 else 'are'} still wrong" if wrong else ""
    were = "was right is" if broken == 1 else "were right are"
    return said + (f"; {broken:,} that {were} wrong now" if broken else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
