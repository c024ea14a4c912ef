"""A recipe's editor gets its net: practised on a model, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polypatch._version import __version__
from polypatch.data import EditingData
from polypatch.data.memory import memory_of_data, parted
from polypatch.data.record import record_from_edit
from polypatch.editors.hyper_editor import HyperEditor, fingerprint_of
from polypatch.editors.net_folder import read_net, taken, write_net
from polypatch.errors import InputError
from polypatch.evaluation.strict_json import to_json
from polypatch.files import discard, sha256
from polypatch.model.stream import build_memory
from polypatch.plain_recipes import recipe_to_plain
from polypatch.recipes import ROWS, Recipe
from polypatch.sites import FrozenTail, FullForward
from polypatch.store.identity import Identity
from polypatch.training.begun import begin, require_own, work_of
from polypatch.training.net_course import NetCourse, NetTraining
from polypatch.training.net_trainer import OnNetStep, train_net
from polypatch.training.practice import practice_edits


@dataclass(frozen=True)
class TrainedEditor:
    """What a training wrote.

    Attributes:
        folder: with the net, for ``net=``.
        facts: how it was trained, as in the folder.
    """

    folder: Path
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        first, best = (self.facts["history"][0], self.facts["best"])
        return (
            f"{self.folder}: written; held-out practice edits that take, one at a time: {100 * best['took']:.0f} % "
            f"(untrained {100 * first['took']:.0f} %), memory rows that keep their answer: {100 * best['kept']:.1f} % "
            f"(step {best['step']} of {self.facts['steps_done']})"
        )


@dataclass(frozen=True, kw_only=True)
class NetRequest:
    """What is to be trained.

    Attributes:
        recipe: its editor and its sampler.
        training: how.
        languages: of the memory; empty for all there are.
        command: as it was typed.
    """

    recipe: Recipe
    training: NetTraining
    languages: tuple[str, ...] = ()
    command: str = ""


def trainable(recipe: Recipe) -> HyperEditor:
    """The editor of a recipe, which has a net.

    Raises:
        InputError: it has none, or one that is trained already.
    """
    if not isinstance(recipe.editor, HyperEditor):
        known = [name for name, row in ROWS.items() if issubclass(row.editor_kind(), HyperEditor)]
        raise InputError(
            f"{type(recipe.editor).__name__} has no net to train; the recipes that have are {', '.join(known)}"
        )
    if recipe.editor.net:
        raise InputError("net= names a trained net, and this trains a new one: leave it out")
    return recipe.editor


def train_editor(
    request: NetRequest,
    tail: FrozenTail | FullForward,
    data: EditingData,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    report: OnNetStep = lambda *_: None,
    stopping: Callable[[], bool] = lambda: False,
) -> TrainedEditor | None:
    """Train, and put the best net into `out`; None where it was stopped, and goes on with `resume`.

    It sees parallel text of the data and the memory: no edit, no rephrase, no locality set.

    Args:
        request: what.
        tail: of the unedited model, at the layer that will be edited.
        data: the texts.
        out: where.
        resume: go on with what an interrupted training left.
        overwrite: replace the net in `out`, and throw away what an interrupted training left.
        report: told after each step.
        stopping: asked after each step whether to end here.

    Raises:
        PolypatchError: `out` is taken, the data cannot be used, or the training fails.
    """
    editor, training, work = trainable(request.recipe), request.training, work_of(out)
    finished = resume and out.is_dir() and not work.exists()  # nothing left to do is no mistake
    if not finished:
        if why := taken(out, overwrite):
            raise InputError(f"{out}: {why}")
        require_own(work, resume, overwrite)
    facts = {
        **recipe_to_plain(request.recipe),
        **asdict(training),
        "layer": tail.site.layer_path,
        "model": fingerprint_of(tail.site),
    }
    if finished:
        done = read_net(out).training
        Identity(facts).require(done, out, "give the same command, or another --out", InputError)
        return TrainedEditor(out, done)
    memory = parted(memory_of_data(data, request.languages or tuple(data.memory)))
    edits = practice_edits(tail, data, training.edits, training.seed)
    told = to_json([[record_from_edit(edit) for edit in edits], list(memory.train), list(memory.validation)])
    identity = Identity({**facts, "practice": sha256(told.encode())})
    begin(work, identity, overwrite)
    course = NetCourse(tail, build_memory(tail, memory), edits, request.recipe.sampler, training)
    state = train_net(editor, course, work, report=report, stopping=stopping)
    if not state.over(training):
        return None
    best = next(one for one in state.history if one["step"] == state.best_step)
    said = {"command": request.command, "polypatch": __version__, "data": data.name, "practice_edits": len(edits)}
    made = {
        **said,
        **identity.facts,
        "steps_done": state.done,
        "seconds": state.seconds,
        "best": best,
        "history": state.history,
    }
    state.net.load_state_dict(state.best)
    write_net(out, editor.saved(state.net, tail.site, made), overwrite=overwrite)
    discard(work)
    return TrainedEditor(out, made)
