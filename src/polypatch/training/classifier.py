"""A classifier from an encoder and labelled rows: planned, trained, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification

from polypatch._version import __version__
from polypatch.errors import InputError
from polypatch.evaluation.figures import save_figure
from polypatch.evaluation.strict_json import to_json
from polypatch.files import discard, strict_json
from polypatch.sites.network.checkpoint import load_checkpoint
from polypatch.store.checkpoint import require_free, staged
from polypatch.store.identity import Identity
from polypatch.training.begun import begin, require_own, work_of
from polypatch.training.callbacks import OnStep
from polypatch.training.card import PICTURE, model_card, training_figure
from polypatch.training.data import Corpus, Split, read_corpus
from polypatch.training.models import LIKE, longest_input, start_config, start_model
from polypatch.training.plan import Plan, Training, plan
from polypatch.training.presets import Preset
from polypatch.training.trainer import Trained, fine_tune, require_accelerate

RECORD = "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be trained, on what, and how.

    Attributes:
        model: what it starts from; for a dry run also a row of `LIKE`.
        preset: a column of Table 4.
        training: how.
        data, validation, split, languages, eval_languages: the rows, as `read_corpus` takes them.
        labels: the classes; None for the preset's, empty for the data's.
        command: as it was typed.
    """

    model: str
    preset: Preset
    training: Training
    data: str | None = None
    validation: str | None = None
    split: Split | None = None
    languages: tuple[str, ...] = ()
    eval_languages: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    command: str = ""

    def corpus(self) -> Corpus:
        """The rows."""
        return read_corpus(
            self.data or "",
            (self.preset.labels if self.labels is None else self.labels) or None,
            validation=self.validation,
            split=self.split,
            languages=self.languages,
            eval_languages=self.eval_languages,
            seed=self.training.seed,
        )


@dataclass(frozen=True)
class Planned:
    """What a dry run says."""

    title: str
    plan: Plan


@dataclass(frozen=True)
class TrainedFolder:
    """What a training wrote.

    Attributes:
        folder: the classifier.
        record: what is in its training.json.
    """

    folder: Path
    record: dict[str, Any]

    def __str__(self) -> str:
        per_language = self.record["accuracy_by_language"]
        named = "".join(f", {lang} {100 * value:.1f}" for lang, value in per_language.items() if len(per_language) > 1)
        return (
            f"{self.folder}: written; validation accuracy {100 * self.record['accuracy']:.1f}{named} (best of "
            f"{self.record['validations']} validations, step {self.record['best_step']} of {self.record['steps']})"
        )


def plan_only(request: Request) -> Planned:
    """Steps, schedule, parameters and memory; without data for as many rows as the paper had."""
    known = request.model in LIKE
    if request.model not in LIKE and request.model.startswith("mbert"):
        raise InputError(f"{request.model}: unknown; --like takes {', '.join(LIKE)}")
    corpus = request.corpus() if request.data else None
    labels = corpus.labels if corpus else request.labels or request.preset.labels
    length = request.training.settings.max_length
    config = start_config(request.model, labels, max_length=length)
    rows = len(corpus.train) if corpus else request.preset.train_rows
    planned = plan(config, rows, request.training, min(length, longest_input(config)))
    whose = "the data's rows" if corpus else "Table 4's rows"
    sizes = "sizes of " if known else ""
    return Planned(f"{request.preset.name}: {sizes}{request.model}, {whose}, {request.training.precision}", planned)


def train_and_save(
    request: Request,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    report: OnStep = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
) -> TrainedFolder | None:
    """Train, and put the best checkpoint into `out` with its card; None in all processes but the first.

    Args:
        request: what.
        out: where.
        resume: go on with what an interrupted training left.
        overwrite: replace the checkpoint in `out`, and throw away what an interrupted training left.
        report: told of every step.
        say: told what a careful user would want to know.

    Raises:
        PolypatchError: `out` is taken, the data or the model cannot be used, or the training fails.
    """
    first = int(os.environ.get("RANK", "0")) == 0  # of the processes of accelerate launch
    work = work_of(out)
    if first and resume and (done := _finished(out)) is not None:
        return done
    if first:
        require_free(out, overwrite)
        require_own(work, resume, overwrite)
    require_accelerate()
    corpus = request.corpus()
    training = request.training
    model, tokenizer, length = start_model(
        request.model, corpus, max_length=training.settings.max_length, seed=training.seed
    )
    plan(model.config, len(corpus.train), training, length)  # refuses what cannot be
    if first:
        begin(work, _identity(request, corpus), overwrite)
    if corpus.shared_texts and first:
        say(f"note: {corpus.shared_texts} of {len(corpus.validation)} validation texts are trained on as well")
    trained = fine_tune(model, tokenizer, corpus, training, work, max_length=length, report=report)
    if not trained.first:
        return None
    record = _record(request, corpus, trained)
    with staged(out, overwrite) as staging:
        AutoModelForSequenceClassification.from_pretrained(trained.checkpoint, trust_remote_code=False).save_pretrained(
            staging
        )
        tokenizer.save_pretrained(staging)
        save_figure(training_figure(trained), staging / PICTURE)
        card = model_card(request.model, request.preset, training, corpus, trained)
        (staging / "README.md").write_text(card, encoding="utf-8")
        (staging / RECORD).write_text(to_json(record), encoding="utf-8")
        load_checkpoint(staging)  # what polypatch edit will do
    discard(work)
    return TrainedFolder(out, record)


def _finished(out: Path) -> TrainedFolder | None:
    """What is in `out`, where a training ended there: a resumed command that has nothing left to do is no mistake."""
    if not (out / RECORD).is_file():
        return None
    return TrainedFolder(out, strict_json((out / RECORD).read_bytes(), str(out / RECORD), InputError))


def _identity(request: Request, corpus: Corpus) -> Identity:
    """What may not change between a training and its resumption."""
    own = asdict(request.training)
    return Identity({"model": request.model, "preset": request.preset.name, **own, "rows": corpus.fingerprint})


def _record(request: Request, corpus: Corpus, trained: Trained) -> dict[str, Any]:
    return {
        "command": request.command,
        "polypatch": __version__,
        **_identity(request, corpus).facts,
        "labels": list(corpus.labels),
        "languages": list(corpus.languages),
        "train_rows": len(corpus.train),
        "validation_rows": len(corpus.validation),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "validations": sum("eval_accuracy" in row for row in trained.history),
        "stopped_early": trained.stopped_early,
        "accuracy": trained.accuracy,
        "accuracy_by_language": dict(trained.by_language),
        "history": [dict(row) for row in trained.history],
    }
