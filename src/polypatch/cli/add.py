"""``polypatch edit EDITS --add FILE``: further edits, in the folder that has yesterday's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from polypatch.cli.console import Bars, Stop, as_json
from polypatch.cli.options import AUTO, kept_as, pairs, translated_into
from polypatch.cli.session import EditsOrModel, TranslationOptions, kept_in
from polypatch.cli.shown import shown
from polypatch.data.formats import load_data
from polypatch.edits import Edit
from polypatch.errors import InputError, StoppedError
from polypatch.model.cost import Cost, cost_of
from polypatch.model.one_language import known_in_one
from polypatch.model.overlooked import overlooked
from polypatch.model.rules import Rules
from polypatch.outcomes import EditOutcome
from polypatch.store.session import Session

MOST = 10


@dataclass(frozen=True)
class Added:
    """What became of the edits of a file.

    Attributes:
        folder: where they are.
        outcomes: one each, in the order of the file.
        cost: what all edits in the folder cost elsewhere.
    """

    folder: Path
    outcomes: Sequence[EditOutcome]
    cost: Cost

    def __str__(self) -> str:
        count = Counter(str(outcome.status) for outcome in self.outcomes)
        said = ", ".join(f"{number} {status}" for status, number in count.items())
        lines = [f"{len(self.outcomes)} edits: {said}"]
        failed = [outcome for outcome in self.outcomes if not outcome.success]
        lines += [f"  {shown(one.edit_id)}: {shown(one.failure)}" for one in failed[:MOST]]
        lines += [f"  … and {len(failed) - MOST} more: polypatch log {self.folder}"] if len(failed) > MOST else []
        return "\n".join([*lines, f"Elsewhere: {self.cost}.", kept_in(self.folder)])

    def to_json(self) -> str:
        """For ``--json``."""
        outcomes = [{**asdict(one), "status": one.status} for one in self.outcomes]
        return as_json({"folder": str(self.folder), "outcomes": outcomes, "cost": self.cost.to_plain()})


def add_as_typed(given: Mapping[str, Any]) -> str:
    """``--add`` with the options of ``polypatch edit``, by name; what is to be printed."""
    judged = {name: given[name] for name in ("retries", "keep_failed", "allow_contradictions")}
    codes = pairs(given["translator_code"], "--translator-code")
    if given["translate_to"] == AUTO:
        raise InputError("--translate-to auto is for new runs: with --add name the languages, such as de,fr")
    languages, cache = translated_into(given["translate_to"]), given["translation_cache"]
    how = (given["translator"], codes, cache, given["renderings"], given["min_confidence"])
    with Bars(given["quiet"]) as bars:
        added = add_edits(
            EditsOrModel(given["model"], device=given["device"]),
            given["add"],
            bars,
            rules=Rules(**judged),
            memory=kept_as(given["keep_memory"]),
            translating=TranslationOptions(languages, *how),
        )
    return added.to_json() if given["json"] else str(added)


def add_edits(
    place: EditsOrModel, data: str, bars: Bars, *, rules: Rules, memory: str | None, translating: TranslationOptions
) -> Added:
    """Make the edits of `data` in the saved edits of `place`; those that were made already are passed over.

    Args:
        place: the saved edits.
        data: as for ``--data``.
        bars: progress.
        rules: what is asked for beside the rules that the saved edits were made by.
        memory: how the memory is kept from now on.
        translating: the prompts that edits lack.

    Raises:
        StoppedError: Ctrl-C; the edits made so far are in the folder.
        PolypatchError: the folder, its model or the data cannot be used.
    """
    given, edited = load_data(data).edits, place.open(bars)
    edits = translating(given, bars, answers=edited.readout.answers is None)
    own = edited.rules
    rules = replace(
        own,
        retries=rules.retries or own.retries,
        keep_failed=rules.keep_failed or own.keep_failed,
        allow_contradictions=rules.allow_contradictions or own.allow_contradictions,
        languages=None if own.languages is None else tuple(dict.fromkeys((*own.languages, *_languages(edits)))),
    )
    if said := known_in_one(edited.recipe, edits):
        bars.say(f"note: {said}; --translate-to makes parallel prompts")
    for said in overlooked(edited, edits):
        bars.say(f"note: {said}")
    outcomes = []
    with (
        Session(place.folder, edited, memory=memory) as session,
        Stop(lambda: bars.say("stopping after this edit; Ctrl-C once more gives it up")) as stop,
    ):
        for outcome in session.stream(edits, rules=rules):
            outcomes.append(outcome)
            bars.update("editing", len(outcomes), len(edits))
            if stop.asked:
                break
    if len(outcomes) < len(edits):
        raise StoppedError(
            f"{len(outcomes)} of {len(edits)} edits are in {place.folder}; the same command makes the others"
        )
    return Added(place.folder, outcomes, cost_of(edited))


def _languages(edits: Sequence[Edit]) -> list[str]:
    return [lang for edit in edits for lang in edit.languages]
