"""One edit of the stream: look whether it is needed, learn it, look whether it took and what it cost."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

import torch

from polypatch.editors import Fit, Lesson, Memory
from polypatch.edits import MAPPED, Edit, Example, Lang, language_of
from polypatch.model.guard import Watchman
from polypatch.model.rules import Rules
from polypatch.model.state import State
from polypatch.outcomes import EditOutcome
from polypatch.recipes import Recipe
from polypatch.sites.readouts.subjects import subject_place
from polypatch.sites.rows import answered_right, flat


class Attempt:
    """One edit: look, learn, look again.

    Args:
        edited: the model; its delta is changed.
        memory: what the edit must leave alone; a finished edit joins it.
        recipe: the method.
        edit: the correction.
        watchman: the guard at work; None for none.
    """

    def __init__(
        self, edited: State, memory: Memory, recipe: Recipe, edit: Edit, watchman: Watchman | None = None
    ) -> None:
        self.edited, self.memory, self.recipe, self.edit, self.watchman = edited, memory, recipe, edit, watchman
        self.started = time.perf_counter()
        self.known: dict[Example, bool] = {}  # which examples the model answers right, as it stands

    def run(self, rules: Rules) -> EditOutcome:
        """Apply the edit if its trigger asks for it; says what became of it."""
        sampled = self.recipe.sampler(self.edit, self._rng(0))
        asked = self.recipe.trigger.examples(self.edit, sampled)
        right, sure = self._answers(asked)
        if not self.recipe.trigger.fires(right):
            remember(self.edited, self.memory, self.recipe, right_already(self.recipe, asked))
            return self._outcome(triggered=False, success=True, confidence=sure)
        before = self.edited.delta.snapshot(), self.memory.snapshot(), dict(self.known)
        patches, steps = self.edited.delta.patches, 0
        for attempt in range(rules.retries + 1):
            if attempt:
                self._restore(before)
            fit, trained = self._learn(attempt)
            steps += fit.steps
            # An editor that took no step drew nothing, and must not pass for right because nothing was looked at.
            reason, sure = self._judged(trained or sampled, fit)
            drop = self.watchman.drop(self.edited.delta) if self.watchman else None
            costly = self._beyond_numbers(patches) or self._too_costly(drop)
            if not reason and not costly:
                break
        taken_back = bool(costly or (reason and not rules.keep_failed))
        if taken_back:
            self._restore(before)
        elif self.watchman:
            self.watchman.settle()
        return self._outcome(
            triggered=True,
            success=not (reason or costly),
            languages=tuple(example.lang for example in trained),
            patches=self.edited.delta.patches - patches,
            steps=steps,
            attempts=attempt + 1,
            reason="; ".join(part for part in (reason, costly) if part),
            locality_drop=drop,
            confidence=None if reason or costly else sure,
            taken_back=taken_back,
        )

    def _judged(self, checked: Sequence[Example], fit: Fit) -> tuple[str, float | None]:
        """What is wrong still, if anything, and how sure the model is of the least sure answer that is wanted."""
        answers, sure = self._answers(checked)
        wrong = [e.lang for e, right in zip(checked, answers, strict=True) if not right]
        reason = f"still wrong in {', '.join(wrong)}" + (f": {fit.reason}" if fit.reason else "") if wrong else ""
        return reason, sure

    def _beyond_numbers(self, patches: int) -> str:
        """Why what was added since there were so many patches may not stay, also where failed edits are kept."""
        finite = all(bool(tensor.isfinite().all()) for tensor in self.edited.delta.since(patches).values())
        return "" if finite else "what was learned holds numbers that are not finite, as training it diverged"

    def _too_costly(self, drop: float | None) -> str:
        if self.watchman is None or drop is None or not self.watchman.over_budget(drop):
            return ""
        budget = self.watchman.guard.max_locality_drop
        return f"cost {drop:.2f} points of locality on the probe texts, more than max_locality_drop = {budget:g}"

    def _learn(self, attempt: int) -> tuple[Fit, tuple[Example, ...]]:
        """One training run, and the examples it was trained on."""
        sampler, rng = self.recipe.sampler, self._rng(0)
        # The first draw is the trigger's, also in a retry: drawing another language would be giving up on this one.
        first = sampler(self.edit, rng)
        if attempt:
            rng = self._rng(attempt)
        every_step = sampler.redraw == "per_step"
        pool = self.edit.examples if every_step else first
        asked = self.edited.ask(pool)
        together = flat(asked)
        first_row = list(accumulate((len(question.rows) for question in asked), initial=0))
        position = {example.lang: range(*first_row[i : i + 2]) for i, example in enumerate(pool)}
        places = [(example, i) for example, one in zip(pool, asked, strict=True) for i in range(len(one.rows))]
        pending = [first]

        def draw() -> list[int]:
            # The examples the trigger saw are the first to be trained on.
            examples = pending.pop() if pending else sampler(self.edit, rng) if every_step else first
            return [row for example in examples for row in position[example.lang]]

        lesson = Lesson(
            owner=self.edit.id,
            rows=together.rows,
            wanted=together.wanted,
            draw=draw,
            generator=torch.Generator().manual_seed(self._rng(attempt, "torch").getrandbits(63)),
            index=[index for _, index in places],
            subject=lambda row: self._subject(places[row][0]),
            groups=[group_of(example.lang) for example, _ in places],
        )
        self.known.clear()
        fit = self.recipe.editor.learn(self.edited.delta, lesson, self.edited.tail, self.memory)
        drawn = set(fit.drawn)
        whole = (places[i][0] for i in fit.drawn)  # an example of which a row was given up is none that was learned
        trained = tuple(one for one in dict.fromkeys(whole) if one == pool[0] or drawn.issuperset(position[one.lang]))
        remember(self.edited, self.memory, self.recipe, trained)
        return fit, trained

    def _subject(self, example: Example) -> int | None:
        words = self.edit.subject.get(language_of(example.lang), "")
        return subject_place(self.edited.readout, example.text, words)

    def _answers(self, examples: Sequence[Example]) -> tuple[list[bool], float | None]:
        """Which examples are answered right, and the least probability among the answers that are wanted."""
        if not examples:
            return [], None
        asked = self.edited.ask(examples)
        rows, wanted = flat(asked)
        said = self.edited.tail.said(rows, self.edited.delta, wanted)
        right = answered_right(asked, said)
        self.known.update(zip(examples, right, strict=True))
        return right, float(said.probability.min())

    def _restore(self, before: tuple[object, tuple[int, int], dict[Example, bool]]) -> None:
        delta, memory, known = before
        self.edited.delta.restore(delta)
        self.memory.restore(memory)
        self.known = dict(known)

    def _rng(self, attempt: int, purpose: str = "sampler") -> random.Random:
        return rng_of(self.edited.rules.seed, self.edit, attempt, purpose)

    def _outcome(self, **fields: object) -> EditOutcome:
        source = self.edit.example(self.edit.source)
        correct = self.known[source] if source in self.known else self._answers([source])[0][0]
        return EditOutcome(
            edit_id=self.edit.id,
            source_correct=correct,
            seconds=time.perf_counter() - self.started,
            finished=now(),
            **fields,  # type: ignore[arg-type]
        )


def rng_of(seed: int, edit: Edit, attempt: int = 0, purpose: str = "sampler") -> random.Random:
    """An edit's random numbers: from its id and not from a running stream, so they do not depend on edits before it."""
    return random.Random(f"{seed}:{edit.id}:{attempt}:{purpose}")


def group_of(lang: Lang) -> int:
    """A number for a language, without the mark of a mapped query, or of a further text: the same in every process."""
    return int.from_bytes(language_of(lang).removeprefix(MAPPED).encode(), "big")


def right_already(recipe: Recipe, asked: Sequence[Example]) -> tuple[Example, ...]:
    """What an edit that needed no change puts into the memory of the next ones."""
    return tuple(asked) if recipe.editor.protects_right else ()


def remember(edited: State, memory: Memory, recipe: Recipe, trained: Sequence[Example]) -> None:
    """Protect an edit that was just made: what it was trained on joins the memory of the next ones."""
    copies = recipe.editor.memory_copies
    if copies and trained:
        rows = flat(edited.ask(trained)).rows
        memory.append(rows, edited.tail.queries(rows).q, copies)


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
