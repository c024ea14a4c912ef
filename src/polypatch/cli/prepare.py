"""Torch and transformers as a command wants them: told before they are imported, and quiet."""

from __future__ import annotations

import logging
import os

from polypatch.cli.console import loading

SAME_EVERYWHERE = {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"}
"""Kernels that every x86-64 processor has: with them, one thread and double precision, all compute the same bits."""


def prepare(threads: int = 1, *, quiet: bool = False, same_everywhere: bool = False) -> None:
    """Import torch with `threads` threads. One is the default: small matrices are slower shared than alone.

    Args:
        threads: of torch.
        quiet: say nothing about it.
        same_everywhere: choose the kernels of `SAME_EVERYWHERE`, half as fast. Training is chaotic: what differs by one
            rounding is another patch after a hundred steps, so there is no other way to print the same digits.
    """
    if same_everywhere:
        os.environ.update(SAME_EVERYWHERE)  # read when torch is imported, here and in worker processes
    if not quiet:
        loading("torch and the model")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import torch

    from polypatch.sites.network.checkpoint import quiet_transformers

    torch.set_num_threads(threads)
    quiet_transformers()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # else every retry of an unknown name is a line
