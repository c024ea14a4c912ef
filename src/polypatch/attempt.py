"""One edit of the stream: look whether it is needed, learn it, look whether it took."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import torch

from polypatch.edited_model import EditedModel
from polypatch.editors import Fit, Lesson, Memory
from polypatch.edits import Edit, Example
from polypatch.outcomes import EditOutcome
from polypatch.recipes import Recipe


class Attempt:
    """One edit: look, learn, look again."""

    def __init__(self, edited: EditedModel, recipe: Recipe, edit: Edit) -> None:
        self.edited, self.recipe, self.edit = edited, recipe, edit
        assert edited.memory is not None  # edit_stream has checked
        self.memory: Memory = edited.memory
        self.started = time.perf_counter()

    def run(self, retries: int, keep_failed: bool) -> EditOutcome:
        """Apply the edit if its trigger asks for it; says what became of it."""
        sampled = self.recipe.sampler(self.edit, self._rng(0))
        asked = self.recipe.trigger.examples(self.edit, sampled)
        if not self.recipe.trigger.fires(self._right(asked)):
            return self._outcome(triggered=False, success=True)
        before = self.edited.delta.snapshot(), self.memory.snapshot()
        patches, steps, reason = self.edited.patches, 0, ""
        for attempt in range(retries + 1):
            if attempt:
                self._restore(before)
            fit, trained = self._learn(attempt)
            steps += fit.steps
            # An editor that took no step drew nothing, and must not pass for right because nothing was looked at.
            checked = trained or sampled
            wrong = [e.lang for e, right in zip(checked, self._right(checked), strict=True) if not right]
            if not wrong:
                break
            reason = f"still wrong in {', '.join(wrong)}" + (f": {fit.reason}" if fit.reason else "")
        if wrong and not keep_failed:
            self._restore(before)
            reason += " (taken back)"
        return self._outcome(
            triggered=True,
            success=not wrong,
            languages=tuple(example.lang for example in trained),
            patches=self.edited.patches - patches,
            steps=steps,
            attempts=attempt + 1,
            reason=reason if wrong else "",
        )

    def _learn(self, attempt: int) -> tuple[Fit, tuple[Example, ...]]:
        """One training run, and the examples it was trained on."""
        sampler, rng = self.recipe.sampler, self._rng(0)
        # The first draw is the trigger's, also in a retry: drawing another language would be giving up on this one.
        first = sampler(self.edit, rng)
        if attempt:
            rng = self._rng(attempt)
        every_step = sampler.redraw == "per_step"
        pool = tuple(self.edit.example(lang) for lang in self.edit.languages) if every_step else first
        position = {example.lang: i for i, example in enumerate(pool)}
        pending = [first]

        def draw() -> list[int]:
            # The examples the trigger saw are the first to be trained on.
            examples = pending.pop() if pending else sampler(self.edit, rng) if every_step else first
            return [position[example.lang] for example in examples]

        lesson = Lesson(
            owner=self.edit.id,
            texts=[example.text for example in pool],
            targets=[self.edited.class_of(example.target) for example in pool],
            draw=draw,
            generator=torch.Generator().manual_seed(self._rng(attempt, "torch").getrandbits(63)),
        )
        fit = self.recipe.editor.learn(self.edited.delta, lesson, self.edited.tail, self.memory)
        return fit, tuple(pool[i] for i in fit.drawn)

    def _right(self, examples: Sequence[Example]) -> list[bool]:
        if not examples:
            return []
        logits = self.edited.tail.logits([example.text for example in examples], self.edited.delta)
        wanted = [self.edited.class_of(example.target) for example in examples]
        return [got == want for got, want in zip(logits.argmax(-1).tolist(), wanted, strict=True)]

    def _restore(self, before: tuple[object, tuple[int, int]]) -> None:
        self.edited.delta.restore(before[0])
        self.memory.restore(before[1])

    def _rng(self, attempt: int, purpose: str = "sampler") -> random.Random:
        # From the edit's id, not from a running stream: an edit's draws do not depend on the edits before it.
        return random.Random(f"{self.edited.seed}:{self.edit.id}:{attempt}:{purpose}")

    def _outcome(self, **fields: object) -> EditOutcome:
        source = self.edit.example(self.edit.source)
        correct = self._right([source])[0]
        return EditOutcome(
            edit_id=self.edit.id,
            source_correct=correct,
            seconds=time.perf_counter() - self.started,
            **fields,  # type: ignore[arg-type]
        )
