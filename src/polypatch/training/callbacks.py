"""What happens between a Trainer's steps: progress, checkpoints that are known to be whole, early stopping."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from transformers import TrainerCallback

from polypatch.errors import InputError
from polypatch.files import write_atomic

OnStep: TypeAlias = Callable[[str, int, int, str], None]
"""(what, done, total, a note) -> None."""

WHOLE = "whole"
"""A file that is written into a checkpoint after everything else."""


def accuracies(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """(step, accuracy) of every validation in a Trainer's log."""
    return [(int(row["step"]), float(row["eval_accuracy"])) for row in history if "eval_accuracy" in row]


def out_of_patience(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Whether the last `patience` validations have brought no better accuracy (never for 0).

    From the log alone and without a counter: so a run that was killed between this decision and its end decides the
    same when it is resumed.
    """
    found = [accuracy for _, accuracy in accuracies(history)]
    if not patience or len(found) <= patience:
        return False
    return max(found[-patience:]) <= max(found[:-patience])


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Tells `report` how far it is; a loss that is no number ends the training."""

    def __init__(self, report: OnStep) -> None:
        self.report = report
        self.note = ""
        self.validated = 0

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Where a resumed run stands."""
        self._tell(state)

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """One optimiser step."""
        self._tell(state)

    def on_prediction_step(self, _args: Any, state: Any, _control: Any, eval_dataloader: Any = None, **_: Any) -> None:
        """One batch of a validation."""
        self.validated += 1
        if state.is_world_process_zero and eval_dataloader is not None:
            self.report("validating", self.validated, len(eval_dataloader), "")

    def on_evaluate(self, _args: Any, state: Any, _control: Any, metrics: Mapping[str, float], **_: Any) -> None:
        """A validation's end."""
        self.validated = 0
        self.note = f"accuracy {100 * metrics['eval_accuracy']:.1f}"
        self._tell(state)

    def on_log(self, args: Any, state: Any, _control: Any, logs: Mapping[str, float], **_: Any) -> None:
        """Refuse to go on where there is nothing to go on with.

        Raises:
            InputError: the loss is NaN or infinite.
        """
        if not math.isfinite(logs.get("loss", 0.0)):
            raise InputError(
                f"the loss is {logs['loss']} at step {state.global_step}; lower --set learning_rate="
                f"{args.learning_rate:g}, or use --precision fp32"
            )

    def _tell(self, state: Any) -> None:
        if state.is_world_process_zero:
            self.report("training", state.global_step, state.max_steps, self.note)


class Rhythm(TrainerCallback):  # type: ignore[misc]
    """Logs, validates and saves at the same steps, stops early, and marks checkpoints that are whole."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """A checkpoint's loss is logged up to it: else a resumed run's curve would have another mean after it."""
        if control.should_evaluate or control.should_save:
            control.should_log = control.should_evaluate = control.should_save = True

    on_epoch_end = on_step_end

    def on_evaluate(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop when it no longer gets better."""
        if out_of_patience(state.log_history, self.patience):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Wait until the disk has the checkpoint, then say that it is whole."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        write_atomic(folder / WHOLE, b"")
