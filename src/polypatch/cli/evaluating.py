"""The work behind ``polypatch eval``."""

from __future__ import annotations

from dataclasses import replace

from polypatch._version import __version__
from polypatch.cli.results import Results
from polypatch.cli.saved import Saved
from polypatch.data import check_labels
from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.evaluation import evaluate
from polypatch.model.cost import cost_from_plain


def evaluate_saved(
    saved: Saved, languages: tuple[Lang, ...], sizes: dict[str, int], every_edit: bool, command: str
) -> Results:
    """Measure the saved edits on their data.

    Raises:
        PolypatchError: the folder, the model or the data cannot be used.
    """
    data = saved.read(languages, sizes)
    has = dict.fromkeys(lang for edit in data.edits for lang in edit.languages)
    if missing := [lang for lang in languages if lang not in has]:
        raise InputError(f"{data.name}: no edit has text in {', '.join(map(repr, missing))} (has: {', '.join(has)})")
    edited = saved.attach()
    check_labels(data.edits, edited.readout.answers)
    handled = tuple(edit for edit in data.edits if edit.id in edited.outcomes)
    edits = handled if handled and not every_edit else data.edits
    if len(edits) < len(data.edits):
        saved.bars.say(
            f"note: {len(edits)} of {len(data.edits)} edits of the data were handled; --every-edit measures all"
        )
    config = {"data": saved.data_spec, "model": saved.base, "command": command, **edited.config}
    report = evaluate(edited, edits, locality=data.locality, languages=languages or None, config=config)
    saved_rows = [row for row in edited.report or () if row.get("cost")]
    if report.cost is not None and not report.cost.known and saved_rows:
        # The same edits on the same weights: what the run measured on texts that are not at hand here still holds.
        report = replace(report, cost=cost_from_plain(saved_rows[-1]["cost"]))
    facts = {
        "polypatch": __version__,
        "edits from": str(saved.folder),
        "model": saved.base,
        "data": f"{saved.data_spec}: {len(data.edits)} edits, {len(edits)} measured",
        "edit languages": ", ".join(edited.sampled_languages),
    }
    return Results([report], command, facts, tuple(edited.outcomes.values()))
