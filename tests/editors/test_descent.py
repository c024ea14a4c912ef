"""Descent among a few rows is descent on the matrix."""

import torch

from polypatch.editors.descent import Descent


def test_steps_among_a_few_rows_are_steps_of_the_matrix():
    """Five of ``Δ ← Δ − η (∂L/∂Δ) P`` for a loss of what Δ makes of four rows."""
    generator = torch.Generator().manual_seed(0)
    k, root = (torch.randn(n, 6, generator=generator, dtype=torch.float64) for n in (4, 6))
    wanted = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    measure, matrix = root @ root.T, torch.randn(3, 6, generator=generator, dtype=torch.float64)
    descent, moved = Descent(k @ matrix.T, k, measure), matrix.clone()
    for _ in range(5):
        added, moved = descent.outputs(), moved.requires_grad_()
        torch.testing.assert_close(added, k @ moved.T)
        (among,) = torch.autograd.grad((added - wanted).tanh().square().sum(), [added])
        (whole,) = torch.autograd.grad((k @ moved.T - wanted).tanh().square().sum(), [moved])
        descent.step(-0.01 * among)
        moved = (moved - 0.01 * whole @ measure).detach()
    torch.testing.assert_close(matrix + descent.moved(), moved)
    assert float(descent.moved().norm()) > 0.01
