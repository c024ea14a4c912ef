"""evaluate(): ask an edited model everything once, and report it honestly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from polypatch.data.given import edits_in, labelled_in
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Labelled, Lang, Text, is_lang
from polypatch.errors import EditError, InputError
from polypatch.evaluation import metrics
from polypatch.evaluation.cells import Cells, drawn_languages, masks
from polypatch.evaluation.generated import (
    NO_TARGET,
    SAME_REPHRASE,
    Names,
    left_out,
    measured,
    names_of,
    same_question,
)
from polypatch.evaluation.metrics import MISSING, Correct, Ints, Mask, Percent
from polypatch.evaluation.prompt_results import prompt_results
from polypatch.evaluation.questions import Answers, Generated, Questions
from polypatch.evaluation.report import Report
from polypatch.evaluation.report_data import When
from polypatch.evaluation.spelling import Spelling
from polypatch.languages import languages_in
from polypatch.model.cost import Cost, counted
from polypatch.outcomes import EditOutcome


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which question stands where: row numbers into `Questions`."""

    languages: tuple[Lang, ...]
    cells: Ints  # (edits, languages), MISSING where the edit lacks the language
    source_rephrases: list[int]
    other_rephrases: Mapping[Lang, list[int]]
    locality: Mapping[str, list[int]]
    left_out: Mapping[str, int]  # not asked, by the reason why
    names: tuple[Names, ...]  # of each edit, where the model writes freely
    sources: tuple[Lang, ...]


def evaluate(
    edited: EditedModel,
    edits: Iterable[Edit],
    locality: Mapping[str, Sequence[Labelled]] | None = None,
    languages: Sequence[Lang] | None = None,
    when: When = "final",
    *,
    config: Mapping[str, Any] | None = None,
) -> Report:
    """The metrics of eq. 10-13 and their honest splits; each distinct text is predicted once, in one call.

    Args:
        edited: the edited model.
        edits: D_edit. All of it counts, triggered or not.
        locality: named sets of labelled texts (``train``, ``test``, ``test.de``, …).
        languages: evaluate these languages only (and the source); None for all that the edits have.
        when: ``final`` is the paper's moment: the model after the whole stream. ``immediate`` is Transformer-Patcher's:
            reliability is the share of `edits` right just after their own turn (those with an outcome), and every
            metric that would need a prediction is None.
        config: kept in the report as it is.

    A model that writes freely is right where what it generates matches the target or an alias exactly, in the normal
    form of the question's language; F1, language confusion and repetition stand beside it. Rephrases that equal their
    prompt, and questions in a language where an edit has no target of its own, are not asked: `Report.left_out` counts
    them.

    Cost columns (patches, seconds, triggered, retries, success_rate) describe the model's whole stream.

    Raises:
        UnknownLabelError: a target or a locality label that the model has no class for.
        EditError: two edits with one id.
        InputError: a string where a list is meant.
    """
    if not hasattr(edited, "answers_before_after"):
        raise InputError(f"{type(edited).__name__} is no EditedModel: attach(model, tokenizer=…, memory=…) makes one")
    edits = edits_in(edits)
    locality = labelled_in(locality or {})
    if when not in get_args(When):
        raise InputError(f"when is one of {', '.join(get_args(When))}, not {when!r}")
    languages = None if languages is None else languages_in(languages)
    _require_distinct(edits)
    known = edited.labels.values()
    questions = Questions(known, Spelling(None if known else edited.readout))
    plan = _plan(questions, edits, {} if locality is None else locality, languages)
    if when == "immediate":
        return Report(**_cost(edited, edits, config), when="immediate", reliability=_immediate(edits, edited.outcomes))
    answers = questions.answer(edited.answers_before_after)
    cells = _cells(edited, edits, plan, answers)
    original = _original(edited, plan, answers, cells)
    return Report(
        **_cost(edited, edits, config),
        **_scores(plan, cells, cells.after, answers.right_after),
        **_confidence(plan, cells, answers),
        **_generated(plan, cells, answers, answers.after),
        left_out=plan.left_out,
        cost=_elsewhere(plan, answers, edits) if plan.locality else edited.cost,
        locality=_localities(plan, answers.right_before, answers.right_after, answers.after == answers.before),
        source_errors=original.source_errors,
        cells=cells,
        prompts=prompt_results(edits, cells, plan.cells, answers),
        original=original,
    )


def _plan(
    questions: Questions,
    edits: Sequence[Edit],
    locality: Mapping[str, Sequence[Labelled]],
    only: Sequence[Lang] | None,
) -> _Plan:
    """Ask everything there is to ask, and note which row is whose."""
    languages = _columns(edits, only)
    cells = np.full((len(edits), len(languages)), MISSING, dtype=np.int64)
    source_rephrases: list[int] = []
    other_rephrases: dict[Lang, list[int]] = {}
    not_asked: list[str] = []
    for row, edit in enumerate(edits):
        for column, lang in enumerate(languages):
            prompt, rephrases = _askable(questions, edit, lang, not_asked)
            place, aliases = f"edit {edit.id!r}, target[{lang}]", edit.aliases.get(lang, ())
            if prompt is not None:
                cells[row, column] = questions.ask(prompt, edit.target_in(lang), place, lang, aliases)
            asked = [questions.ask(text, edit.target_in(lang), place, lang, aliases) for text in rephrases]
            (source_rephrases if lang == edit.source else other_rephrases.setdefault(lang, [])).extend(asked)
    sets = {
        name: [
            questions.ask(text, label, f"locality[{name}][{i}]", _lang_of(name, edits))
            for i, (text, label) in enumerate(rows)
        ]
        for name, rows in locality.items()
    }
    names = tuple(names_of(edit, questions.spelling) for edit in edits) if questions.free else ()
    sources = tuple(dict.fromkeys(edit.source for edit in edits))
    return _Plan(languages, cells, source_rephrases, other_rephrases, sets, left_out(not_asked), names, sources)


def _askable(questions: Questions, edit: Edit, lang: Lang, not_asked: list[str]) -> tuple[Text | None, Sequence[Text]]:
    """The prompt and the rephrases in `lang` that count, and why others do not: of labels all do."""
    prompt, rephrases = edit.prompt.get(lang), edit.rephrases.get(lang, ())
    if not questions.free:
        return prompt, rephrases
    if lang not in edit.target:
        not_asked += [NO_TARGET] * ((prompt is not None) + len(rephrases))
        return None, ()
    other = [text for text in rephrases if not same_question(text, prompt, lang)]
    not_asked += [SAME_REPHRASE] * (len(rephrases) - len(other))
    return prompt, other


def _columns(edits: Sequence[Edit], only: Sequence[Lang] | None) -> tuple[Lang, ...]:
    """Every language of the edits in order of first use (a language may have rephrases only), cut to `only`."""
    found = dict.fromkeys(lang for edit in edits for lang in (*edit.languages, *edit.rephrases))
    keep = found if only is None else {*only, *(edit.source for edit in edits)}
    return tuple(lang for lang in found if lang in keep)


def _cells(edited: EditedModel, edits: Sequence[Edit], plan: _Plan, answers: Answers) -> Cells:
    source, trained, triggered = masks(edits, plan.languages, edited.outcomes)
    return Cells(
        edits=tuple(edit.id for edit in edits),
        languages=plan.languages,
        sampled=drawn_languages(edited.sampled_languages, edited.outcomes),
        before=_spread(answers.right_before, plan.cells),
        after=_spread(answers.right_after, plan.cells),
        source=source,
        trained=trained,
        triggered=triggered,
    )


def _spread(right: Correct, rows: Ints) -> Correct:
    spread = np.full(rows.shape, MISSING, dtype=np.int8)
    there = rows != MISSING
    spread[there] = right[rows[there]]
    return spread


def _original(edited: EditedModel, plan: _Plan, answers: Answers, cells: Cells) -> Report:
    """The unedited model on the same texts; its seen and unseen are its accuracy on the edited model's cells."""
    return Report(
        recipe="original",
        seed=edited.rules.seed,
        edits=len(cells.edits),
        **_scores(plan, cells, cells.before, answers.right_before),
        **_generated(plan, cells, answers, answers.before),
        locality=_localities(plan, answers.right_before, answers.right_before, answers.before == answers.before),
        source_errors=int((cells.before[cells.source] == 0).sum()),
    )


def _scores(plan: _Plan, cells: Cells, correct: Correct, right: Correct) -> dict[str, Any]:
    """Eq. 10-12 and the splits, of whichever model `correct` (cells) and `right` (questions) belong to."""
    clg = metrics.clg(correct, cells.source, cells.languages)
    return {
        "reliability": metrics.reliability(correct, cells.source),
        "mlg": metrics.mlg(right[plan.source_rephrases]),
        "clg": clg,
        "clg_avg": metrics.clg_avg(clg),
        "clg_seen": metrics.share(correct, cells.seen),
        "clg_unseen": metrics.share(correct, cells.unseen),
        "clg_never": metrics.mean(value for lang, value in clg.items() if lang not in cells.sampled),
        "clg_rephrase": metrics.mean(metrics.share(right[rows]) for rows in plan.other_rephrases.values()),
    }


def _confidence(plan: _Plan, cells: Cells, answers: Answers) -> dict[str, Any]:
    """How sure the edited model is of what was mended, beside what was right anyway."""
    sure = np.zeros(plan.cells.shape)
    there = plan.cells != MISSING
    sure[there] = answers.confidence[plan.cells[there]]
    right = cells.after == 1
    mean, below = metrics.confidence(sure, right & (cells.before == 0))
    kept = metrics.confidence(sure, right & (cells.before == 1))[1]
    return {"confidence": mean, "below_half": below, "below_half_kept": kept}


def _elsewhere(plan: _Plan, answers: Answers, edits: Sequence[Edit]) -> Cost:
    """The cost on the locality sets, by language."""
    changed = answers.before != answers.after
    return counted((_lang_of(name, edits), bool(changed[row])) for name, rows in plan.locality.items() for row in rows)


def _lang_of(name: str, edits: Sequence[Edit]) -> Lang:
    """The language of a locality set: ``test.de`` is German, ``test`` in the language of the edits."""
    _, dot, suffix = name.rpartition(".")
    source = edits[0].source if edits else "en"
    return suffix if dot and is_lang(suffix) else source


def _localities(plan: _Plan, before: Correct, after: Correct, same: Mask) -> dict[str, metrics.Locality]:
    agrees = same.astype(np.int8)
    return {name: metrics.locality_of(before[rows], after[rows], agrees[rows]) for name, rows in plan.locality.items()}


def _generated(plan: _Plan, cells: Cells, answers: Answers, said: Ints) -> dict[str, Any]:
    """What only a model that writes freely has."""
    if not isinstance(answers, Generated):
        return {}
    found = measured(plan.names, plan.languages, plan.cells, cells.source, answers, said)
    return {**found, "sources": plan.sources}


def _cost(edited: EditedModel, edits: Sequence[Edit], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the stream cost; seconds_per_edit is over the triggered edits, for the others only cost a look."""
    made = [outcome for outcome in edited.outcomes.values() if outcome.triggered]
    return {
        "recipe": edited.recipe_name,
        "seed": edited.rules.seed,
        "patches": edited.patches,
        "edits": len(edits),
        "triggered": len(made),
        "retries": sum(max(outcome.attempts - 1, 0) for outcome in made),
        "success_rate": _rate([outcome.success for outcome in made]),
        "seconds_per_edit": metrics.mean(outcome.seconds for outcome in made),
        "kilobytes_per_edit": _kilobytes(edited) / len(made) if made else None,
        "seconds_total": float(sum(outcome.seconds for outcome in edited.outcomes.values())),
        "trajectory": tuple(edited.trajectory),
        "config": {} if config is None else dict(config),
    }


def _kilobytes(edited: EditedModel) -> float:
    """Of all that the edits left, as it is written to disk."""
    return sum(tensor.numel() * tensor.element_size() for tensor in edited.delta.tensors().values()) / 1000


def _immediate(edits: Sequence[Edit], outcomes: Mapping[str, EditOutcome]) -> Percent:
    return _rate([outcomes[edit.id].source_correct for edit in edits if edit.id in outcomes])


def _rate(truths: Sequence[bool]) -> Percent:
    return metrics.share(np.asarray(truths, dtype=np.int8))


def _require_distinct(edits: Sequence[Edit]) -> None:
    seen: set[str] = set()
    for edit in edits:
        if edit.id in seen:
            raise EditError(f"two edits have the id {edit.id!r}; ids must be distinct")
        seen.add(edit.id)
