"""A report in a sentence, for people who do not know the metrics' names."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from polypatch.evaluation.generated import NO_TARGET, SAME_REPHRASE
from polypatch.evaluation.metrics import mean
from polypatch.evaluation.report import Report
from polypatch.model.cost import together
from polypatch.outcomes import EditOutcome

LEGEND = (
    "Per cent of the right answers. Reliability: the corrected sentences. MLG (multilingual generality): other "
    "wordings of them, in their own language. CLG (cross-lingual generality): their translations, by language; "
    "seen and unseen are those the editor was and was not trained on, never the languages it could not draw, "
    "rephrase another wording in another language. Confidence: the model's mean probability of what was mended. "
    "Locality: sentences that should not change. s/edit: seconds an edit took. All of the final model, over all "
    "edits."
)
"""What the columns of a table of results are."""

_GENERATED = {
    "f1": "Right is what the model generates, up to its own end, if it is the target or an alias of it but for case, "
    "widths, punctuation and articles: EM (exact match). F1: the words, or Chinese, Japanese, Thai, Lao, Khmer and "
    "Burmese characters, that answer and target share.",
    "confusion": "Confusion: answers in another language or script than the question's. Less is better.",
    "repetition": "Repetition: answers that end in a loop. Less is better.",
    "teacher_forced": "Teacher-forced: tokens of the target that are right when those before them are given; it is no "
    "answer of the model, and much higher than EM.",
    "perplexity": "Perplexity: of plain text. Less is better.",
}


_LEFT_OUT = {
    SAME_REPHRASE: ("rephrase that equals its prompt", "rephrases that equal their prompt"),
    NO_TARGET: ("question without a target in its language", "questions without a target in their language"),
}


def legend(reports: Sequence[Report]) -> str:
    """What the columns of these reports' tables are: `LEGEND`, and more where a model writes its answers."""
    written = [text for name, text in _GENERATED.items() if any(_has(report, name) for report in reports)]
    return " ".join([LEGEND, *written])


def made_in_words(outcomes: Sequence[EditOutcome]) -> str:
    """How many edits there were, how many were needed, and how many took; without a full stop.

    ::

        22 edits: 15 needed a change, 14 took, 1 did not
    """
    made = sum(outcome.triggered for outcome in outcomes)
    failed = sum(not outcome.success for outcome in outcomes)
    needed = f": {made} needed a change" if made < len(outcomes) else " made"
    return f"{len(outcomes)} edits{needed}, {made - failed} took{f', {failed} did not' if failed else ''}"


def in_words(reports: Sequence[Report]) -> str:
    """What was mended, how far it reached and what it cost; and more for a model that writes its answers.

    ::

        17 wrong sentences are right now, in 3 languages; 2 are still wrong.
        Where an edit was not trained: 12.0 % of its translations are right, 8.8 % before the edits.
        Elsewhere: 0.2 % of 1,200 other answers changed.
        Teacher-forced, 81.0 % of the targets' tokens are right; generated, 43.0 % of the answers.
        In the wrong language: 3.1 % of the answers, 1.4 % before the edits.
        Perplexity of plain text: 23.4, 23.1 before the edits (most in de: 30.2, 28.0 before).
        Not counted: 12 rephrases that equal their prompt.

    Args:
        reports: of one method; the sentences of several are added up.

    Returns:
        The lines; the first only where reports have cells, the others only where they were measured.
    """
    parts = [_mended(reports)] if any(report.cells is not None for report in reports) else []
    costs = [report.cost for report in reports if report.cost is not None]
    parts += _carried_over(reports)
    parts += [f"Elsewhere: {together(costs)}"] if costs else []
    parts += [*_teacher_forced(reports), *_confusion(reports), *_perplexity(reports), *_left_out(reports)]
    return "\n".join(f"{part}." for part in parts)


def _has(report: Report, name: str) -> bool:
    return getattr(report, name) not in (None, {})


def _carried_over(reports: Sequence[Report]) -> list[str]:
    """CLG unseen beside the unedited model's in the same cells: without that, what it knew looks like a gain."""
    pairs = [
        (report.clg_unseen, report.original.clg_unseen)
        for report in reports
        if report.original is not None and report.clg_unseen is not None
    ]
    now, was = (mean(pair[i] for pair in pairs) for i in (0, 1))
    if now is None or was is None:
        return []
    return [f"Where an edit was not trained: {now:.1f} % of its translations are right, {was:.1f} % before the edits"]


def _confusion(reports: Sequence[Report]) -> list[str]:
    """The mean over languages, then over reports."""
    now = mean(mean(report.confusion.values()) for report in reports)
    was = mean(mean(report.original.confusion.values()) for report in reports if report.original is not None)
    before = "" if was is None else f", {was:.1f} % before the edits"
    return [] if now is None else [f"In the wrong language: {now:.1f} % of the answers{before}"]


def _teacher_forced(reports: Sequence[Report]) -> list[str]:
    """The mean over languages, then over reports, beside that of exact match in the same languages."""
    both = [
        (tokens, report.reliability if (lang,) == report.sources else report.clg.get(lang))
        for report in reports
        for lang, (_, tokens) in report.teacher_forced.items()
    ]
    forced, generated = (mean(pair[i] for pair in both if None not in pair) for i in (0, 1))
    if forced is None or generated is None:
        return []
    tokens = f"Teacher-forced, {forced:.1f} % of the targets' tokens are right"
    return [f"{tokens}; generated, {generated:.1f} % of the answers"]


def _perplexity(reports: Sequence[Report]) -> list[str]:
    """The geometric mean over languages and reports, and the language in which it grew most."""
    pairs = [(lang, was, now) for report in reports for lang, (was, now) in report.perplexity.items() if was and now]
    if not pairs:
        return []
    was, now = _geometric_mean(was for _, was, _ in pairs), _geometric_mean(now for _, _, now in pairs)
    lang, least, most = max(pairs, key=lambda pair: pair[2] / pair[1])
    worst = f" (most in {lang}: {most:.1f}, {least:.1f} before)" if most > least and len(pairs) > 1 else ""
    return [f"Perplexity of plain text: {now:.1f}, {was:.1f} before the edits{worst}"]


def _geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def _left_out(reports: Sequence[Report]) -> list[str]:
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.left_out)
    said = [f"{counts[reason]:,} {names[counts[reason] != 1]}" for reason, names in _LEFT_OUT.items() if counts[reason]]
    return [f"Not counted: {', '.join(said)}"] if said else []


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
