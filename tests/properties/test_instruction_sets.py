"""Law: a text's q is the same bits alone, among few and among many, in any order, on every processor.

Two calls that equal one, a resumed run that equals an uninterrupted one: all of it stands on this. Other processors are
played by the switches with which the libraries below torch choose their kernels, each in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from polypatch.errors import PolypatchWarning
from polypatch.sites import FeedForwardSite, FrozenTail, Queries
from polypatch.sites.encoding.encoder import Encoder

from .steadiness import MODELS, SOME, TEXTS, unsteady

PROGRAM = Path(__file__).with_name("steadiness.py")
MACHINES = {
    "as it is, two threads": ("2", {}),
    "compatible": ("1", {"MKL_CBWR": "COMPATIBLE"}),
    "sse4.2": ("1", {"MKL_CBWR": "SSE4_2", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "avx2": ("1", {"MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "avx2, two threads": ("2", {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}),
    "avx512": ("1", {"MKL_CBWR": "AVX512"}),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_on_another_processor(machine, request):
    threads, switches = MACHINES[machine]
    env = {**os.environ, **switches, "OMP_WAIT_POLICY": "PASSIVE"}
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), threads], env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"looked at {(len(MODELS) + 1) * 2 * 2 * (len(TEXTS) + sum(SOME))}\n"


@pytest.mark.parametrize(("family", "sizes"), MODELS[:2], ids=["32 wide", "128 wide"])
def test_on_this_one(tiny, family, sizes):
    assert unsteady(*tiny(family, **sizes))[0] == 0


@pytest.mark.real
def test_in_a_real_checkpoint(shared):
    from polypatch.sites import load_checkpoint

    assert unsteady(*load_checkpoint(shared / "models" / "mini-mbert-massive"), texts=TEXTS[::2])[0] == 0


def test_a_processor_on_which_it_does_not_hold_is_named(tiny, monkeypatch):
    """A kernel with an edge, played by adding a little to the last row: the look at attachment sees it and warns."""
    model, tokenizer = tiny("bert")
    real = Encoder.read

    def edged(self, rows):
        q, rest = real(self, rows)
        return Queries(torch.cat([q[:-1], q[-1:] * (1 + 1e-6)]), rest)

    monkeypatch.setattr(Encoder, "read", edged)
    with pytest.warns(PolypatchWarning, match="last bits of a query depend on its place"):
        FrozenTail(FeedForwardSite(model), tokenizer)
