"""Fine-tuning an encoder as a classifier, on Hugging Face's Trainer: seeded, resumable, the best checkpoint kept."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainingArguments

from polypatch.errors import DataError, InputError
from polypatch.files import discard, sweep
from polypatch.sites.encoding.tokens import Tokens
from polypatch.training.callbacks import WHOLE, OnStep, ProgressCallback, Rhythm, accuracies, out_of_patience
from polypatch.training.corpora import TrainingRow
from polypatch.training.data import Corpus
from polypatch.training.objective import trainer_loss
from polypatch.training.plan import KEPT, Training
from polypatch.world.tokenizer import silent

_LOGGED = 100
"""Points of a loss curve."""


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        checkpoint: the folder with the best weights, as the Trainer wrote it.
        steps: the last step.
        best_step: the first step with the best accuracy.
        accuracy: validation accuracy there, 0 to 1, over all trained languages.
        by_language: the same per language, those that were only measured included.
        history: the Trainer's log, without times: losses and validations by step.
        stopped_early: patience ended it.
        first: this process is the one that writes; of several on as many GPUs only one is.
    """

    checkpoint: Path
    steps: int
    best_step: int
    accuracy: float
    by_language: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    stopped_early: bool
    first: bool = True


def require_accelerate() -> None:
    """Refuse early where the Trainer would refuse late.

    Raises:
        InputError: `accelerate` is not installed.
    """
    if importlib.util.find_spec("accelerate") is None:
        raise InputError("training needs the package accelerate; install it by: pip install 'polypatch[train]'")


def fine_tune(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    training: Training,
    work: Path,
    *,
    max_length: int,
    report: OnStep = lambda *_: None,
) -> Trained:
    """Train `model` in place; checkpoints go to `work`, and where it holds some, the training goes on from the newest.

    On a CPU with the same number of threads a run that was killed and is resumed ends with the same weights as one that
    was not, bit for bit. The caller's random state stays as it was.

    Raises:
        InputError: no `accelerate`; fp16 without a GPU; the loss is no number.
        DataError: a checkpoint in `work` is damaged.
    """
    require_accelerate()
    if training.precision == "fp16" and not torch.cuda.is_available():
        raise InputError("precision fp16 needs a GPU, and there is none; take bf16 or fp32")
    with _own_randomness(), silent():
        trainer = _trainer(model, tokenizer, corpus, training, work, max_length, report)
        first = bool(trainer.is_world_process_zero())
        trainer.accelerator.wait_for_everyone()  # only now has the first process cleared an older training's folder
        newest = last_whole(work, clear=first)
        begun = _history(newest) if newest else []
        if out_of_patience(begun, training.patience):
            history = begun
        else:
            _run(trainer, newest)
            history = trainer.state.log_history
    return _result(work, corpus, history, out_of_patience(history, training.patience), first)


def last_whole(work: Path, *, clear: bool = True) -> Path | None:
    """The newest checkpoint that was written to its end; with `clear` what a kill left of others is removed."""
    found: dict[int, Path] = {}
    for path in work.glob("checkpoint-*"):
        if re.fullmatch(r"checkpoint-\d+", path.name):
            if (path / WHOLE).is_file():
                found[int(path.name.split("-")[1])] = path
            elif clear:
                discard(path)
    if clear:
        sweep(work, "checkpoint-*")
    return found[max(found)] if found else None


def _run(trainer: Trainer, newest: Path | None) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    except (InputError, KeyboardInterrupt):
        raise
    except (OSError, EOFError, KeyError, ValueError) as error:
        if newest is None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{newest}: cannot be resumed from ({reason}); remove it to go on from an earlier one"
        ) from error


def _trainer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    training: Training,
    work: Path,
    max_length: int,
    report: OnStep,
) -> Trainer:
    trainer = Trainer(
        model=model,
        args=_arguments(training, work, len(corpus.train)),
        data_collator=_collator(tokenizer, corpus.labels, max_length),
        train_dataset=corpus.train,
        eval_dataset=corpus.validation,
        compute_loss_func=trainer_loss(training.settings),
        compute_metrics=_metrics(corpus),
        preprocess_logits_for_metrics=_most_likely,
        callbacks=[Rhythm(training.patience), ProgressCallback(report)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints every log to stdout
    return trainer


def _arguments(training: Training, work: Path, rows: int) -> TrainingArguments:
    settings = training.settings
    steps = training.max_steps or settings.epochs * -(-rows // settings.batch_size)
    rhythm = "epoch" if training.evaluate_every is None else "steps"
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        max_steps=training.max_steps or -1,
        per_device_train_batch_size=training.device_batch(),
        per_device_eval_batch_size=max(64, training.device_batch()),
        gradient_accumulation_steps=training.accumulate,
        optim="adamw_torch",
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_epsilon=settings.adam_epsilon,
        max_grad_norm=settings.clip_norm,
        seed=training.seed,
        data_seed=training.seed,
        use_cpu=not torch.accelerator.is_available(),  # else the Trainer refuses bf16 there
        bf16=training.precision == "bf16",
        fp16=training.precision == "fp16",
        eval_strategy=rhythm,
        save_strategy=rhythm,
        eval_steps=training.evaluate_every,
        save_steps=training.evaluate_every or 500,
        save_total_limit=KEPT,
        metric_for_best_model="accuracy",
        greater_is_better=True,
        logging_strategy="steps",
        logging_steps=max(1, steps // _LOGGED),
        logging_nan_inf_filter=False,  # else a loss that is no number shows as the mean of those before it
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,  # the rows are no columns; the collator makes these
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,  # these classifiers use all of theirs
    )


def _collator(
    tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], max_length: int
) -> Callable[[Sequence[TrainingRow]], dict[str, Tensor]]:
    """Rows to one batch, tokenised as the editors do it."""
    tokens = Tokens(tokenizer, max_length)
    ids = {label: i for i, label in enumerate(labels)}

    def collate(rows: Sequence[TrainingRow]) -> dict[str, Tensor]:
        batch = tokens.pad(tokens.rows([row.text for row in rows]), torch.device("cpu"))
        return {**batch, "labels": torch.tensor([ids[row.label] for row in rows])}

    return collate


def _most_likely(logits: Tensor, _labels: Tensor) -> Tensor:
    return logits.argmax(dim=-1)


def _metrics(corpus: Corpus) -> Callable[[Any], dict[str, float]]:
    """Accuracy over the trained languages' rows, which chooses the best checkpoint, and each language's own."""
    langs = np.array([row.lang for row in corpus.validation])
    chosen = np.isin(langs, corpus.languages)

    def metrics(found: Any) -> dict[str, float]:
        right = found.predictions == found.label_ids
        own = {f"accuracy.{lang}": float(right[langs == lang].mean()) for lang in corpus.measured}
        return {"accuracy": float(right[chosen].mean()), **own}

    return metrics


def _history(checkpoint: Path) -> list[dict[str, Any]]:
    path = checkpoint / "trainer_state.json"
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["log_history"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: cannot be read ({error}); remove {checkpoint} to go on from an earlier checkpoint"
        raise DataError(message) from error


def _result(
    work: Path, corpus: Corpus, history: Sequence[Mapping[str, Any]], stopped_early: bool, first: bool
) -> Trained:
    validated = accuracies(history)
    # max() keeps the first of equals, as the Trainer does.
    best_step, accuracy = max(validated, key=lambda pair: pair[1])
    # By name and not by the path in the Trainer's state: the folder may have been moved before it was resumed.
    checkpoint = work / f"checkpoint-{best_step}"
    if not checkpoint.is_dir():
        raise DataError(f"{checkpoint}: the best checkpoint of the training is gone; train again")
    row = next(row for row in history if row["step"] == best_step and "eval_accuracy" in row)
    return Trained(
        checkpoint=checkpoint,
        steps=int(history[-1]["step"]),
        best_step=best_step,
        accuracy=accuracy,
        by_language={lang: float(row[f"eval_accuracy.{lang}"]) for lang in corpus.measured},
        history=_timeless(history),
        stopped_early=stopped_early,
        first=first,
    )


def _timeless(history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The losses and the validations: what two runs of one command have in common."""
    named = ("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss")
    kept = [
        {name: value for name, value in row.items() if name in named or name.startswith("eval_accuracy")}
        for row in history
    ]
    return [row for row in kept if "loss" in row or "eval_accuracy" in row]


@contextmanager
def _own_randomness() -> Iterator[None]:
    """The Trainer seeds Python's, numpy's and torch's global generators; here they are put back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
