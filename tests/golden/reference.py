"""The losses once more, in float64 NumPy, from the formulas and by brute force: slow, and short enough to read.

z_j: pre-activations on the B rows of an edit; h_i: on the M rows of the memory.
"""

import numpy as np


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def edit_loss(logits, targets, weight):
    """mean CE − w · mean entropy."""
    p = softmax(logits)
    cross_entropy = np.mean([-np.log(p[i, y]) for i, y in enumerate(targets)])
    entropy = np.mean([-sum(x * np.log(x) for x in row) for row in p])
    return cross_entropy - weight * entropy


def bernoulli_edit_loss(logit, y, weight):
    """The released FEVER loss: BCE with logits on one logit, less w times the mean entropy of Bernoulli(logit)."""
    p = 1 / (1 + np.exp(-logit))
    bce = np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)))
    return bce - weight * np.mean(-(p * np.log(p) + (1 - p) * np.log(1 - p)))


def mean_of_largest(numbers, top):
    return np.mean(sorted(numbers, reverse=True)[:top])


def activation_loss(z, top, margin):
    return mean_of_largest([np.exp(margin - z_j) for z_j in z], top)


def memory_loss(h, z, top, m1, m2):
    """`h`: the activation of every memory row, one entry per row, in any order. m2 is negative in the released code."""
    pairs = [np.exp(h_i - z_j + m1) for h_i in h for z_j in z]
    stacked = [h_i for _ in z for h_i in h]  # the memory, stacked B times
    silent = [np.exp(h_i - m2) for h_i in stacked]
    return mean_of_largest(pairs, top) + mean_of_largest(silent, top)


def kl(original, edited):
    p, q = softmax(original), softmax(edited)
    return np.mean((p * np.log(p / q)).sum(axis=1))
