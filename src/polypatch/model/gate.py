"""The gate before edits go out: whether they do what was asked, and leave the rest alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from statistics import fmean
from typing import Annotated, Any

from polypatch.data.memory import ProbeText
from polypatch.edits import Edit, Example, Lang, Text
from polypatch.errors import InputError
from polypatch.model.asked_model import AskedModel
from polypatch.model.contradictions import find_contradictions
from polypatch.model.cost import Changed
from polypatch.outcomes import EditRecord
from polypatch.settings import Settings, between
from polypatch.sites.rows import flat


@dataclass(frozen=True)
class Limits(Settings):
    """What is required of edits.

    Attributes:
        max_locality_drop: answers that may differ from before, in per cent, in every language.
        min_reliability: source prompts that must be answered as wanted, in per cent.
        min_clg: the same of their parallel prompts, a mean of languages; None for none.
        min_confidence: the probability, in per cent, that every prompt must give its wanted answer; None for none.
        strict: count edits that did not take, and fail on contradictions.
    """

    max_locality_drop: Annotated[float, between(0, 100)] = 1.0
    min_reliability: Annotated[float, between(0, 100)] = 100.0
    min_clg: Annotated[float, between(0, 100)] | None = None
    min_confidence: Annotated[float, between(0, 100)] | None = None
    strict: bool = False


@dataclass(frozen=True)
class Check:
    """One row: what was looked at, what was found, what is required, whether that is so."""

    check: str
    value: float | bool | None
    required: str
    ok: bool
    note: str = ""


@dataclass
class Verdict:
    """All checks, and what stands behind them.

    Attributes:
        checks: the rows.
        wrong: requests that are not answered as wanted: edit, language, text, target, answer.
        unsure: requests whose wanted answer has less than the probability that is required: edit, language, text,
            target, confidence in per cent.
        not_taken: edits that did not take, with the reason.
        cost: by language, probe texts and how many of them changed.
        contradictions: pairs of edits that want different answers to what the model can hardly tell apart.
    """

    checks: list[Check] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    unsure: list[dict[str, Any]] = field(default_factory=list)
    not_taken: dict[str, str] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    cost: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check passes."""
        return all(check.ok for check in self.checks)

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        return {"ok": self.ok, **asdict(self)}

    @classmethod
    def broken(cls, why: str) -> Verdict:
        """Of edits that cannot be attached: the one check that failed."""
        return cls([Check("intact, of this model", False, "yes", False, why)])


def check(edited: AskedModel, probes: Sequence[ProbeText], limits: Limits, edits: Iterable[Edit] = ()) -> Verdict:
    """Every check on an edited model.

    Args:
        edited: the model with its edits. Edits that were reverted are not asked about.
        probes: texts that should not change, with their languages.
        limits: what is required.
        edits: requests to ask in place of those recorded with the edits, by the same ids.

    Raises:
        InputError: no probe texts are left beside those the edits are about, or what some edit asked for is not known.
        UnknownLabelError: a probe text's label that the model has not.
    """
    records = [record for record in edited.records.values() if not record.reverted]
    asked = requests(records, edits)
    others = _others(probes, asked.values(), edited)
    counted = [asked[record.outcome.edit_id] for record in records if limits.strict or record.outcome.status.holds]
    verdict = Verdict([Check("intact, of this model", True, "yes", True)])
    verdict.not_taken = {r.outcome.edit_id: r.outcome.failure for r in records if not r.outcome.status.holds}
    _requested(verdict, edited, counted, limits)
    if limits.min_confidence is not None:
        _confident(verdict, edited, counted, limits.min_confidence)
    _locality(verdict, edited, others, limits.max_locality_drop)
    pairs = find_contradictions(edited.tail, list(asked.values()))
    verdict.contradictions = [str(pair) for pair in pairs]
    required = "0" if limits.strict else "–"
    verdict.checks.append(Check("contradictions", len(pairs), required, not (pairs and limits.strict)))
    return verdict


def requests(records: Sequence[EditRecord], edits: Iterable[Edit] = ()) -> dict[str, Edit]:
    """What was asked for, by id: as recorded, or as in `edits`.

    Raises:
        InputError: of some edit that is not known.
    """
    known = {record.edit.id: record.edit for record in records if record.edit is not None}
    known |= {edit.id: edit for edit in edits}
    names = [record.outcome.edit_id for record in records]
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"what was asked for by {', '.join(unknown[:3])} was not kept; give the edits again: edits=…, or --data"
        )
    return {name: known[name] for name in names}


def _others(probes: Sequence[ProbeText], edits: Any, edited: AskedModel) -> dict[Lang, list[ProbeText]]:
    """The probe texts by language, without those that the edits are about.

    Raises:
        InputError: none are left.
        UnknownLabelError: a label that the model has not.
    """
    asked = {text for edit in edits for text in edit.texts}
    asked |= {text for edit in edits for texts in edit.rephrases.values() for text in texts}
    found: dict[Lang, list[ProbeText]] = {}
    for probe in probes:
        if probe.label is not None:
            edited.readout.ask([probe.text], [probe.label])  # refused where the model cannot say it
        if probe.text not in asked:
            found.setdefault(probe.lang, []).append(probe)
    if not found:
        raise InputError("every probe text is one that the edits are about; give texts that should not change")
    return found


def _requested(verdict: Verdict, edited: AskedModel, edits: Sequence[Edit], limits: Limits) -> None:
    """Reliability, and CLG where it is required."""
    rows = [(edit, edit.example(lang)) for edit in edits for lang in edit.languages]
    if limits.min_clg is None:
        rows = [(edit, example) for edit, example in rows if example.lang == edit.source]
    said = _answers(edited, [example.text for _, example in rows])
    # The target as the model writes it: a tokenizer may have changed its case or its spaces.
    wanted = [edited.readout.answer(question.wanted) for question in edited.ask([example for _, example in rows])]
    right = {
        (edit.id, one.lang): said[one.text] == as_written for (edit, one), as_written in zip(rows, wanted, strict=True)
    }
    verdict.wrong = [_wrong(edit, one, said[one.text]) for edit, one in rows if not right[edit.id, one.lang]]
    at_source = [right[edit.id, edit.source] for edit in edits]
    value = _share(at_source)
    verdict.checks.append(_at_least("reliability", value, limits.min_reliability, f"{_of(at_source)} source prompts"))
    if limits.min_clg is not None:
        by_language: dict[Lang, list[bool]] = {}
        for edit, one in rows:
            if one.lang != edit.source:
                by_language.setdefault(one.lang, []).append(right[edit.id, one.lang])
        shares = {lang: _share(flags) for lang, flags in by_language.items()}
        note = ", ".join(f"{lang} {share:.1f}" for lang, share in shares.items()) or "no parallel prompts"
        verdict.checks.append(_at_least("CLG", _mean(list(shares.values())), limits.min_clg, note))


def _confident(verdict: Verdict, edited: AskedModel, edits: Sequence[Edit], least: float) -> None:
    """The least probability of a wanted answer, over all texts of all edits: a threshold drops them one by one."""
    rows = [(edit, example) for edit in edits for example in edit.examples]
    if not rows:
        verdict.checks.append(Check("confidence", None, f">= {least:g}", True, "no prompts"))
        return
    questions = edited.ask([one for _, one in rows])
    asked, wanted = flat(questions)
    shares = iter(edited.tail.said(asked, edited.delta, wanted).probability.tolist())
    sure = [100.0 * min(islice(shares, len(question.rows))) for question in questions]  # of its least sure token
    below = [(edit, one, value) for (edit, one), value in zip(rows, sure, strict=True) if value < least - 1e-9]
    verdict.unsure = [
        {"edit": edit.id, "lang": one.lang, "text": one.text, "target": one.target, "confidence": value}
        for edit, one, value in sorted(below, key=lambda row: row[2])
    ]
    note = f"{len(below)} of {len(rows)} prompts below; mean {fmean(sure):.1f}"
    verdict.checks.append(_at_least("confidence", min(sure), least, note))


def _locality(verdict: Verdict, edited: AskedModel, probes: Mapping[Lang, Sequence[ProbeText]], most: float) -> None:
    """A row per language: the share of answers that are not the unedited model's."""
    before, after = edited.predict_before_after([probe.text for rows in probes.values() for probe in rows])
    start = 0
    for lang, rows in probes.items():
        part = slice(start, start + len(rows))
        start += len(rows)
        changed = int((before[part] != after[part]).sum())
        drop = 100.0 * changed / len(rows)
        # A hair above the limit is rounding.
        note = f"{changed} of {len(rows)} answers changed{_accuracy(rows, before[part], after[part])}"
        verdict.checks.append(Check(f"locality drop {lang}", drop, f"<= {most:g}", drop <= most + 1e-9, note))
        verdict.cost[lang] = Changed(len(rows), changed)._asdict()


def _accuracy(rows: Sequence[ProbeText], before: Any, after: Any) -> str:
    gold = [(i, row.label) for i, row in enumerate(rows) if row.label is not None]
    if not gold:
        return ""
    was, now = (_share([said[i] == label for i, label in gold]) for said in (before, after))
    return f"; accuracy {was:.1f} before, {now:.1f} after"


def _answers(edited: AskedModel, texts: Sequence[Text]) -> dict[Text, str]:
    if not texts:
        return {}
    _, after = edited.predict_before_after(texts)
    return dict(zip(texts, after, strict=True))


def _at_least(name: str, value: float | None, least: float, note: str) -> Check:
    """A row; what there is nothing of to measure passes."""
    ok = value is None or value >= least - 1e-9
    return Check(name, value, f">= {least:g}", ok, note)


def _wrong(edit: Edit, example: Example, answer: str) -> dict[str, Any]:
    return {
        "edit": edit.id,
        "lang": example.lang,
        "text": example.text,
        "target": example.target,
        "answer": answer,
    }


def _share(flags: Sequence[Any]) -> float | None:
    return 100.0 * sum(map(bool, flags)) / len(flags) if flags else None


def _of(flags: Sequence[bool]) -> str:
    return f"{sum(flags)} of {len(flags)}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
