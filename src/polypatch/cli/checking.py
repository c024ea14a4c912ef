"""The work behind ``polypatch check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text as Shown

from polypatch.cli.saved import Saved
from polypatch.cli.shown import shown
from polypatch.data.memory import Probe
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Example, Lang, Text
from polypatch.errors import ArtefactError, InputError
from polypatch.evaluation.metrics import mean
from polypatch.evaluation.strict_json import to_json
from polypatch.model.contradictions import find_contradictions
from polypatch.model.cost import Changed, cost_from_plain
from polypatch.outcomes import EditRecord
from polypatch.rendering.grid import labels
from polypatch.settings import Settings, between
from polypatch.sites.rows import flat

MOST = 10


@dataclass(frozen=True)
class Limits(Settings):
    """What is required; see the options of ``polypatch check``."""

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

    def to_json(self) -> str:
        """For machines."""
        return to_json({"ok": self.ok, **asdict(self)})

    def show(self, console: Console) -> None:
        """For people."""
        rows = []
        for one in self.checks:
            mark = Shown("ok", "green") if one.ok else Shown("FAILED", "bold red")
            rows.append((Shown(one.check), Shown(_value(one.value)), Shown(one.required), mark, Shown(one.note)))
        console.print(labels(("Check", "Value", "Required", "", "Note"), rows).to_console())
        lines = [f"{one['edit']} ({one['lang']}): {one['answer']} instead of {one['target']}" for one in self.wrong]
        _listed(console, "Not answered as wanted", lines)
        lines = [
            f"{one['edit']} ({one['lang']}): {one['target']} with {one['confidence']:.1f} %" for one in self.unsure
        ]
        _listed(console, "Less sure than required", lines)
        _listed(console, "Edits that did not take", [f"{name}: {why}" for name, why in self.not_taken.items()])
        _listed(console, "Contradictions", self.contradictions)
        if self.cost:
            console.print(f"Elsewhere: {cost_from_plain(self.cost)}.")
        failed = sum(not one.ok for one in self.checks)
        console.print(f"{len(self.checks)} checks: " + (f"{failed} failed" if failed else "all passed"))


def checked(saved: Saved, read: Callable[[Lang], Sequence[Probe]], limits: Limits) -> Verdict:
    """Every check on saved edits.

    Args:
        saved: the edits.
        read: the probe texts, given the source language of the edits.
        limits: what is required.

    Raises:
        PolypatchError: model, data or probe texts cannot be used. What is wrong with the edits themselves is a failed
            check.
    """
    verdict = Verdict()
    try:
        records = [record for record in saved.records if not record.reverted]
        edits = _requests(saved, records)
        texts = read(next((edit.source for edit in edits.values()), "en"))  # a mistake there is told at once
        edited = saved.attach()
    except ArtefactError as error:
        verdict.checks.append(Check("intact, of this model", False, "yes", False, str(error)))
        return verdict
    verdict.checks.append(Check("intact, of this model", True, "yes", True))
    probes = _others(texts, edits.values(), edited)
    counted = [edits[record.outcome.edit_id] for record in records if limits.strict or record.outcome.status.holds]
    verdict.not_taken = {r.outcome.edit_id: r.outcome.failure for r in records if not r.outcome.status.holds}
    _requested(verdict, edited, counted, limits)
    if limits.min_confidence is not None:
        _confident(verdict, edited, counted, limits.min_confidence)
    _locality(verdict, edited, probes, limits.max_locality_drop)
    pairs = find_contradictions(edited.tail, list(edits.values()))
    verdict.contradictions = [str(pair) for pair in pairs]
    required = "0" if limits.strict else "–"
    verdict.checks.append(Check("contradictions", len(pairs), required, not (pairs and limits.strict)))
    return verdict


def _requests(saved: Saved, records: Sequence[EditRecord]) -> dict[str, Edit]:
    """What was asked for, by id.

    Raises:
        InputError: of some edit that is not known.
    """
    known = {record.edit.id: record.edit for record in records if record.edit is not None}
    if saved.data is not None:
        known |= {edit.id: edit for edit in saved.read((), {}).edits}
    names = [record.outcome.edit_id for record in records]
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"{saved.folder}: what was asked for by {', '.join(unknown[:3])} was not kept; name the data with --data"
        )
    return {name: known[name] for name in names}


def _others(probes: Sequence[Probe], edits: Any, edited: EditedModel) -> dict[Lang, list[Probe]]:
    """The probe texts by language, without those that the edits are about.

    Raises:
        InputError: none are left.
        UnknownLabelError: a label that the model has not.
    """
    asked = {text for edit in edits for text in edit.prompt.values()}
    asked |= {text for edit in edits for texts in edit.rephrases.values() for text in texts}
    found: dict[Lang, list[Probe]] = {}
    for probe in probes:
        if probe.label is not None:
            edited.readout.ask([probe.text], [probe.label])  # refused where the model cannot say it
        if probe.text not in asked:
            found.setdefault(probe.lang, []).append(probe)
    if not found:
        raise InputError("every probe text is one that the edits are about; give texts that should not change")
    return found


def _requested(verdict: Verdict, edited: EditedModel, edits: Sequence[Edit], limits: Limits) -> None:
    """Reliability, and CLG where it is required."""
    rows = [(edit, edit.example(lang)) for edit in edits for lang in edit.languages]
    if limits.min_clg is None:
        rows = [(edit, example) for edit, example in rows if example.lang == edit.source]
    said = _answers(edited, [example.text for _, example in rows])
    right = {(edit.id, example.lang): said[example.text] == example.target for edit, example in rows}
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
        verdict.checks.append(_at_least("CLG", mean(shares.values()), limits.min_clg, note))


def _confident(verdict: Verdict, edited: EditedModel, edits: Sequence[Edit], least: float) -> None:
    """The least probability of a wanted answer, over all prompts of all edits: a threshold drops them one by one."""
    rows = [(edit, edit.example(lang)) for edit in edits for lang in edit.languages]
    if not rows:
        verdict.checks.append(Check("confidence", None, f">= {least:g}", True, "no prompts"))
        return
    asked, wanted = flat(edited.ask([one for _, one in rows]))
    sure = [100.0 * p for p in edited.tail.said(asked, edited.delta, wanted).probability.tolist()]
    below = [(edit, one, value) for (edit, one), value in zip(rows, sure, strict=True) if value < least - 1e-9]
    verdict.unsure = [
        {"edit": edit.id, "lang": one.lang, "text": one.text, "target": one.target, "confidence": value}
        for edit, one, value in sorted(below, key=lambda row: row[2])
    ]
    note = f"{len(below)} of {len(rows)} prompts below; mean {mean(sure):.1f}"
    verdict.checks.append(_at_least("confidence", min(sure), least, note))


def _locality(verdict: Verdict, edited: EditedModel, probes: Mapping[Lang, Sequence[Probe]], most: float) -> None:
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


def _accuracy(rows: Sequence[Probe], before: Any, after: Any) -> str:
    gold = [(i, row.label) for i, row in enumerate(rows) if row.label is not None]
    if not gold:
        return ""
    was, now = (_share([said[i] == label for i, label in gold]) for said in (before, after))
    return f"; accuracy {was:.1f} before, {now:.1f} after"


def _answers(edited: EditedModel, texts: Sequence[Text]) -> dict[Text, str]:
    if not texts:
        return {}
    _, after = edited.predict_before_after(texts)
    return dict(zip(texts, after, strict=True))


def _at_least(name: str, value: float | None, least: float, note: str) -> Check:
    """A row; what there is nothing of to measure passes."""
    ok = value is None or value >= least - 1e-9
    return Check(name, value, f">= {least:g}", ok, note)


def _value(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


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


def _listed(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"{title}: {len(lines)}")
        for line in lines[:MOST]:
            console.print(f"  {shown(line)}", soft_wrap=True)
        if len(lines) > MOST:
            console.print(f"  … and {len(lines) - MOST} more: --json has all")
