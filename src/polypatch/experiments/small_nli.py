"""The small classifier behind ``reproduce table2 --scale small``: an encoder trained on part of XNLI's dev rows."""

from __future__ import annotations

import shlex
from pathlib import Path

from polypatch.experiments.experiment import Materials
from polypatch.training.callbacks import OnStep
from polypatch.training.classifier import RECORD, Request, train_and_save
from polypatch.training.data import Split
from polypatch.training.plan import Training
from polypatch.training.presets import changed, preset_named

SHARE = "dev=0.8"
SETTINGS = {"warmup_steps": 30, "learning_rate": 3e-4, "epochs": 8, "batch_size": 32}
"""For some 2,000 rows instead of 392,702; the rest of Table 4's column stays."""


def trained(given: Materials, out: Path, report: OnStep) -> Path:
    """Train ``given.model`` into `out`, or go on with it, or leave it where it is finished.

    Raises:
        PolypatchError: encoder or data cannot be used.
    """
    if (out / RECORD).is_file():
        return out
    preset = preset_named("xnli")
    words = ["polypatch", "train", given.model, "--preset", "xnli", "--data", given.data, "--split", SHARE]
    words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    request = Request(
        model=given.model,
        preset=preset,
        training=Training(settings=changed(preset, SETTINGS)),
        data=given.data,
        split=Split.read(SHARE),
        command=shlex.join([*words, "--out", str(out)]),
    )
    resume = out.with_name(f"{out.name}.training").is_dir()
    train_and_save(request, out, resume=resume, report=report)
    return out
