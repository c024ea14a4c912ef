"""The loop of editors that train shared numbers on cross-entropy: Adam, until every text drawn is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from polypatch.deltas import Delta
from polypatch.editors.editor import Drawn, Fit, Lesson
from polypatch.editors.losses import accuracy_all, edit_loss
from polypatch.sites import Trainable


class Tuning(Protocol):
    """The hyper-parameters it needs; see `FineTuning`."""

    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def max_steps(self) -> int: ...  # noqa: D102
    @property
    def example_repeat(self) -> int: ...  # noqa: D102
    @property
    def views(self) -> int: ...  # noqa: D102
    @property
    def entropy_weight(self) -> float: ...  # noqa: D102


def until_right(
    settings: Tuning,
    parameters: Sequence[nn.Parameter],
    delta: Delta,
    lesson: Lesson,
    rows: Trainable,
    more: Callable[[], Tensor] | None = None,
) -> Fit:
    """Train `parameters` of `delta` on the lesson; `more` is a further term of the loss.

    `rows` are the lesson's texts under nothing but the unedited model: the delta is everything edited so far.
    """
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    targets = torch.tensor(lesson.wanted, device=rows.q.device)
    drawn = Drawn(lesson)
    for step in range(settings.max_steps):
        picks = drawn()
        seen, batch = (torch.tensor(some, device=targets.device) for some in (drawn.seen, picks))
        with torch.set_grad_enabled(not settings.views):
            logits = rows.evaluate(delta)[1][seen] if settings.views else rows.forward(seen, delta)[1]
        if accuracy_all(logits.detach(), targets[seen]):
            return Fit(step, drawn.seen)
        if settings.views:
            batch = batch.repeat_interleave(settings.example_repeat)
            logits = rows.forward(batch, delta)[1]
        else:  # what was just looked at is what is trained on: one pass
            logits = logits[[drawn.seen.index(pick) for pick in picks]]
        loss = edit_loss(logits, targets[batch], settings.entropy_weight)
        if more is not None:
            loss = loss + more()
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimiser.step()
    return Fit(settings.max_steps, drawn.seen, f"not right on every text after {settings.max_steps} steps")
