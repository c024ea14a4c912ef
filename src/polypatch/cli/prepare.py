"""Torch and transformers as a command wants them: told before they are imported, and quiet."""

from __future__ import annotations

import logging
import os


def prepare(threads: int = 1) -> None:
    """Import torch with `threads` threads. One is the default: small matrices are slower shared than alone."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import torch

    from polypatch.sites.checkpoint import quiet_transformers

    torch.set_num_threads(threads)
    quiet_transformers()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # else every retry of an unknown name is a line
