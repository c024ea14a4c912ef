"""``polypatch edit EDITS --add FILE``: further edits, in the folder that has yesterday's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from polypatch.cli.console import Bars, Stop, as_json
from polypatch.cli.options import kept_as, pairs
from polypatch.cli.saved_translation import TranslationOptions
from polypatch.cli.session import EditsOrModel, kept_in
from polypatch.cli.shown import shown
from polypatch.data.formats import load_data
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.errors import StoppedError
from polypatch.model.cost import Cost, cost_of
from polypatch.model.one_language import known_in_one
from polypatch.model.overlooked import overlooked
from polypatch.model.rules import Rules
from polypatch.model.stream import edits_inside
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
    how = (given["translator"], codes, given["translation_cache"], given["renderings"], given["min_confidence"])
    with Bars(given["quiet"]) as bars:
        added = add_edits(
            EditsOrModel(given["model"], device=given["device"]),
            given["add"],
            bars,
            rules=Rules(**judged),
            memory=kept_as(given["keep_memory"]),
            translating=TranslationOptions(given["translate_to"], *how),
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
    outcomes: list[EditOutcome] = []
    with Session(place.folder, edited, memory=memory) as session:
        own = edited.rules
        allowed = rules.allow_contradictions or own.allow_contradictions
        edits = _translated(given, edited, translating, bars, allowed)
        rules = replace(
            own,
            retries=rules.retries or own.retries,
            keep_failed=rules.keep_failed or own.keep_failed,
            allow_contradictions=allowed,
            languages=None if own.languages is None else tuple(dict.fromkeys((*own.languages, *_languages(edits)))),
        )
        _tell(edited, edits, bars)
        with Stop(lambda: bars.say("stopping after this edit; Ctrl-C once more gives it up")) as stop:
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


def _tell(edited: EditedModel, edits: Sequence[Edit], bars: Bars) -> None:
    if said := known_in_one(edited.recipe, edits):
        bars.say(f"note: {said}; --translate-to makes parallel prompts")
    for said in overlooked(edited, edits):
        bars.say(f"note: {said}")


def _translated(
    given: Sequence[Edit], edited: EditedModel, translating: TranslationOptions, bars: Bars, allowed: bool
) -> list[Edit]:
    """The edits with the prompts they lack; unasked, one that is made already as it was, whatever translates today."""
    inside = edits_inside(edited)
    known = {edit.id: edit for edit in inside} if translating.unasked else {}
    made = {edit.id: _as_made(edit, known[edit.id]) for edit in given if edit.id in known}
    todo = [edit for edit in given if edit.id not in made]
    if todo:
        made |= {edit.id: edit for edit in translating(todo, edited, bars, beside=None if allowed else inside)}
    return [made[edit.id] for edit in given]


def _as_made(edit: Edit, before: Edit) -> Edit:
    """An edit in one language with the prompts that it had then, if it is the same one."""
    source = edit.source
    same = (source, edit.prompt[source], edit.target) == (before.source, before.prompt.get(source), before.target)
    if len(edit.languages) > 1 or not same:
        return edit
    return replace(edit, prompt=before.prompt, renderings=before.renderings)


def _languages(edits: Sequence[Edit]) -> list[str]:
    return [lang for edit in edits for lang in edit.languages]
