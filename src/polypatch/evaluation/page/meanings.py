"""What a row of the table of measures is, in a few words; `LEGEND` of `polypatch.evaluation.in_words` has sentences."""

from __future__ import annotations

from collections.abc import Sequence

from polypatch.evaluation.page.document import TableShown
from polypatch.evaluation.report_data import ReportData
from polypatch.evaluation.tables import results_grid

_MEANINGS = {
    "Patches": "what the edits added to the model",
    "Reliability": "the corrected sentences",
    "MLG": "other wordings of them, in their own language",
    "CLG Avg": "their translations, the mean over the languages",
    "CLG seen": "translations that the editor was trained on",
    "CLG unseen": "translations that it could have been trained on and was not",
    "CLG never": "translations into languages that it could not be trained on",
    "CLG rephrase": "other wordings in other languages",
    "F1 source": "words that answer and target share",
    "F1 CLG": "the same of the translations",
    "Teacher-forced source": "tokens of the target that are right after the right ones; no answer of the model",
    "Teacher-forced CLG": "the same of the translations",
    "Confusion": "answers in another language than the question's; less is better",
    "Repetition": "answers that end in a loop; less is better",
    "Confidence": "the model's mean probability of what was mended",
    "s/edit": "seconds an edit took",
}
_GROUPS = {
    "CLG ": "their translations into this language",
    "Locality ": "sentences of this set, which should not change",
}


def measures_table(caption: str, reports: Sequence[ReportData]) -> TableShown:
    """Table 1 on its side: a measure a row, with what it means."""
    whole = results_grid(reports).transposed()
    titles = [str(row[0]) for row in whole.rows]
    return TableShown(caption, whole, {title: said for title in titles if (said := meaning(title))})


def meaning(title: str) -> str:
    """What the row of this title says; empty where nothing is known of it."""
    if title in _MEANINGS:
        return _MEANINGS[title]
    return next((said for group, said in _GROUPS.items() if title.startswith(group)), "")
