"""How a training goes, and what it costs, before it begins."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import torch

from polypatch.errors import InputError
from polypatch.training.memory import FORMULA, GIB, MemoryNeeded, estimate
from polypatch.training.models import parameters_of
from polypatch.training.presets import HyperParameters

PRECISIONS = ("fp32", "bf16", "fp16")
KEPT = 3
"""Checkpoints on disk: the newest, the best, and the one before; one more while it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model is trained: the hyper-parameters, and what does not change what they mean.

    Attributes:
        settings: the hyper-parameters.
        seed: of the order of the rows, of dropout, and of new weights.
        precision: ``fp32``, or mixed: ``bf16``, ``fp16``.
        accumulate: an optimiser step's rows go through the model in so many batches, for devices with little memory.
        evaluate_every: validate and save every so many steps; None for after each epoch.
        patience: stop after so many validations in a row without a better accuracy; 0 for never.
        max_steps: end after so many steps, and plan the schedule for these; None for all epochs.

    Raises:
        InputError: a value that no training can have, or a batch that cannot be divided.

    **Deviates:** when the paper validates is not said, nor that it stops early; patience is 0 by default.
    """

    settings: HyperParameters
    seed: int = 0
    precision: str = "fp32"
    accumulate: int = 1
    evaluate_every: int | None = None
    patience: int = 0
    max_steps: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        for name, least in (("accumulate", 1), ("patience", 0), ("evaluate_every", 1), ("max_steps", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; it is at least {least}")

    def device_batch(self) -> int:
        """Rows in one forward pass on one device, so that a step has `batch_size` rows whatever the devices.

        Raises:
            InputError: they do not divide it.
        """
        parts = device_count() * self.accumulate
        if self.settings.batch_size % parts:
            raise InputError(
                f"batch_size {self.settings.batch_size} cannot be divided by {device_count()} devices × "
                f"{self.accumulate} accumulated batches; change --accumulate or --set batch_size=N"
            )
        return self.settings.batch_size // parts


def device_count() -> int:
    """Devices that share a step's rows: processes of ``accelerate launch``, or the GPUs of this one."""
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    return launched if launched > 1 else max(1, torch.cuda.device_count())


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, schedule, size and memory of one training.

    Attributes:
        rows: training rows.
        steps_per_epoch, steps: optimiser steps, of an epoch and of the whole.
        warmup_steps: those in which the learning rate rises.
        learning_rate: its peak.
        parameters: of the classifier.
        memory: on one device.
        disk: bytes of checkpoints while it runs.
        device_batch: rows in one forward pass on one device.
        length: tokens per text, at most.
    """

    rows: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    learning_rate: float
    parameters: int
    memory: MemoryNeeded
    disk: int
    device_batch: int
    length: int

    def lines(self) -> list[tuple[str, str]]:
        """Name and value, for people."""
        fall = f"then linearly to 0 at step {self.steps:,}"
        return [
            ("training rows", f"{self.rows:,}"),
            ("steps", f"{self.steps:,} ({self.steps_per_epoch:,} per epoch)"),
            ("schedule", f"0 to {self.learning_rate:g} in {self.warmup_steps:,} warm-up steps, {fall}"),
            ("parameters", f"{self.parameters:,}"),
            ("batch", f"{self.device_batch} texts of at most {self.length} tokens on a device at a time"),
            ("memory", str(self.memory)),
            ("disk", f"{self.disk / GIB:.1f} GiB of checkpoints at most, while it trains"),
            ("formula", FORMULA),
        ]

    def plain(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {**asdict(self), "memory": {**asdict(self.memory), "total": self.memory.total}}


def plan(config: Any, rows: int, training: Training, length: int) -> Plan:
    """What training `rows` rows on a model of this configuration takes.

    Raises:
        InputError: the warm-up is as long as the training, or the batch cannot be divided.
    """
    settings = training.settings
    per_epoch = -(-rows // settings.batch_size)
    steps = training.max_steps or settings.epochs * per_epoch
    if settings.warmup_steps >= steps:
        raise InputError(
            f"warmup_steps {settings.warmup_steps} of {steps} steps in all: the learning rate would never get to "
            f"{settings.learning_rate:g}; give --set warmup_steps={steps // 10}, or more epochs"
        )
    parameters = parameters_of(config)
    batch = training.device_batch()
    memory = estimate(config, parameters, batch=batch, length=length, half=training.precision != "fp32")
    disk = (KEPT + 1) * 12 * parameters  # weights and Adam's moments, float32
    return Plan(
        rows, per_epoch, steps, settings.warmup_steps, settings.learning_rate, parameters, memory, disk, batch, length
    )
