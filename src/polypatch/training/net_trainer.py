"""The training of an editor's net: Adam, the best net by validation kept, and everything on disk to go on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from polypatch.editors.hyper_editor import HyperEditor, HyperNet
from polypatch.errors import DataError, InputError
from polypatch.files import write_atomic, writing
from polypatch.training.net_course import NetCourse, NetTraining, Standing

RATES = tuple(10.0**power for power in range(-8, 4))
"""Where ρ may begin."""

STATE = "state.safetensors"

OnNetStep = Callable[[int, int, str], None]
"""Told after each step: steps done, in all, and how the last validation was."""


@dataclass
class NetState:
    """A training as far as it is.

    Attributes:
        net: as it is.
        optimiser: of it.
        best: the numbers of the net that validated best.
        history: a validation each, by step, the first before any step.
        done: steps.
        seconds: spent on them, and on validating.
    """

    net: HyperNet
    optimiser: torch.optim.Adam
    best: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    done: int = 0
    seconds: float = 0.0

    @property
    def best_step(self) -> int:
        """Of the least loss, the first of equals."""
        return int(min(self.history, key=lambda one: one["loss"])["step"])

    def judged(self, standing: Standing) -> None:
        """One more validation."""
        self.history.append({"step": self.done, **standing._asdict()})
        if self.best_step == self.done:
            self.best = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

    def over(self, training: NetTraining) -> bool:
        """Whether all steps are done, or patience is at its end."""
        since = sum(one["step"] > self.best_step for one in self.history)
        return self.done >= training.steps or since >= training.patience

    def save(self, folder: Path) -> None:
        """Write it down, in place of what was there."""
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for i, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{name}": tensor for name, tensor in moments.items()}
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        with writing(folder):
            told = {"done": str(self.done), "seconds": str(self.seconds), "history": json.dumps(self.history)}
            write_atomic(folder / STATE, save(whole, metadata=told))

    def load(self, folder: Path) -> None:
        """Be as written down, if anything is.

        Raises:
            DataError: it is damaged.
        """
        path = folder / STATE
        if not path.exists():
            return
        try:
            with safe_open(path, "pt") as file:
                told = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self._take(tensors, json.loads(told["history"]), int(told["done"]))
            self.seconds = float(told["seconds"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: cannot be gone on from ({reason}); start anew with --overwrite") from error

    def _take(self, tensors: Mapping[str, Tensor], history: list[dict[str, float]], done: int) -> None:
        def under(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        self.net.load_state_dict(under("net."))
        self.best = {name: under("best.")[name].to(own) for name, own in self.net.state_dict().items()}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("adam.").items():
            number, _, kind = name.partition(".")
            moments.setdefault(int(number), {})[kind] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        self.history, self.done = history, done


def train_net(
    editor: HyperEditor,
    course: NetCourse,
    work: Path,
    *,
    report: OnNetStep = lambda *_: None,
    stopping: Callable[[], bool] = lambda: False,
) -> NetState:
    """Train a net, from what `work` holds on if it holds anything; what was done is there afterwards, whatever happens.

    With the same number of threads a training that was killed and is resumed ends with the same numbers as one that was
    not, bit for bit.

    Args:
        editor: whose net.
        course: what it is trained on.
        work: a folder for the state.
        report: told after each step.
        stopping: asked after each step whether to end here; the state is written down then, and is not `over`.

    Raises:
        InputError: the loss is no number.
        DataError: the state in `work` is damaged.
    """
    training = course.training
    state = _begun(editor, course)
    state.load(work)
    began = time.perf_counter() - state.seconds
    if not state.history:
        _first(state, course)
    while not state.over(training):
        _step(state, course)
        if validating := state.done % training.validate_every == 0 or state.done == training.steps:
            state.judged(course.standing(state.net))
        state.seconds = time.perf_counter() - began
        if validating:
            state.save(work)
        last = state.history[-1]
        report(state.done, training.steps, f"{100 * last['took']:.0f} % take, {100 * last['kept']:.1f} % kept")
        if stopping():
            state.save(work)
            break
    return state


def _begun(editor: HyperEditor, course: NetCourse) -> NetState:
    training = course.training
    net = editor.untrained(course.tail.site, course.groups, training.seed)
    gates = [] if net.mask is None else list(net.mask.parameters())
    rates = list(net.log_rates.parameters())
    apart = {id(one) for one in (*gates, *rates)}
    groups = [
        {"params": [one for one in net.parameters() if id(one) not in apart], "lr": training.learning_rate},
        {"params": rates, "lr": training.rate_rate},
        {"params": gates, "lr": training.mask_rate},
    ]
    return NetState(net, torch.optim.Adam([one for one in groups if one["params"]]), {})


def _first(state: NetState, course: NetCourse) -> None:
    """Give the net the scale of what it works on, and ρ the power of ten that validates best."""
    course.measure(state.net)
    tried = []
    for rate in RATES:
        state.net.start_at(rate)
        tried.append(course.standing(state.net).loss)
    finite = {rate: loss for rate, loss in zip(RATES, tried, strict=True) if math.isfinite(loss)}
    if not finite:
        raise InputError("the loss is no number, however short a step; the model cannot be practised on")
    state.net.start_at(min(finite, key=finite.__getitem__))
    state.judged(course.standing(state.net))


def _step(state: NetState, course: NetCourse) -> None:
    loss = course.loss(state.net, state.done)
    if not bool(loss.isfinite()):
        raise InputError(f"the loss is no number at step {state.done}; give a lower --set learning_rate")
    numbers = list(state.net.parameters())
    for one, gradient in zip(numbers, torch.autograd.grad(loss, numbers), strict=True):
        one.grad = gradient
    torch.nn.utils.clip_grad_norm_(numbers, course.training.clip_norm)
    state.optimiser.step()
    state.done += 1
