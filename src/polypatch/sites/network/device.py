"""Where a model computes, by the name that people give."""

from __future__ import annotations

import torch

from polypatch.errors import InputError


def device_named(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1``, …; ``auto`` is a GPU where there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device {name!r} cannot be used here ({reason}); there are auto, cpu and cuda") from error
    return device
