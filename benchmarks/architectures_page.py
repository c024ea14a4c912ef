"""The list of `benchmarks/architectures.py` as a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import transformers

TOLERANCE = 1e-5
"""Largest difference of logits, in units of the largest logit, that is exact."""

NOT_LOWER, NOT_WRITTEN, UNEDITED, PADDED, ASKED_AS = (
    "not from a lower layer:",
    "`generate` writes otherwise:",
    "unedited too",
    "its own logits change beside padding, by",
    "its class is",
)
"""How the words behind a verdict begin."""

HEADS = {
    "classifier": "Classifiers",
    "causal": "Causal language models",
    "seq2seq": "Language models with an encoder",
    "masked": "Masked language models",
}


@dataclass(frozen=True)
class Verdict:
    """One line of the list."""

    model_type: str
    head: str
    verdict: str
    reason: str


def table(verdicts: list[Verdict]) -> str:
    """The list as a page."""
    lines = [
        "# Which models can be edited",
        "",
        f"Written by `benchmarks/architectures.py` (transformers {transformers.__version__}): every model type that "
        "transformers has a head for, built small with random weights and changed at random.",
        "",
        f"*Exact*: logits computed from the cached query differ from the model's by at most {TOLERANCE:.0e} of the "
        "largest, with a change and without. *Exact path*: by full forward passes (`exact=True`). `r` is the residual, "
        "`out` what the feed-forward layer adds, `N` a norm. A language model is exact at every position, from a lower "
        "layer (the first) too, and `generate` writes under a change what its rows say, unless the last column has it "
        f"otherwise: *{UNEDITED}*, where transformers' `generate` and a pass of the same model over the same text say "
        "different tokens before anything is edited.",
        "",
    ]
    for head, title in HEADS.items():
        if some := [one for one in verdicts if one.head == head]:
            lines += [f"## {title}", "", _summed_up(some), "", "| model type | verdict | where, or why not |"]
            lines += ["|---|---|---|", *(_line(one) for one in some), ""]
    return "\n".join(lines)


def _summed_up(verdicts: list[Verdict]) -> str:
    count = Counter(one.verdict for one in verdicts)
    words = [f"{one.reason} " for one in verdicts if one.verdict == "exact"]
    notes = {
        NOT_LOWER: "not from a lower layer",
        NOT_WRITTEN: "whose `generate` writes otherwise",
        PADDED: "whose own logits change beside padding",
        ASKED_AS: "asked as models of another kind",
    }
    found = {note: sum(key in word for word in words) for key, note in notes.items()}
    among = ", ".join(f"{n} {note}" for note, n in found.items() if n)
    return (
        f"**{count['exact']} exact**{f' ({among})' if among else ''}, {count['exact path']} by full forward passes, "
        f"{count['refused']} refused, of {len(verdicts)}."
    )


def _line(one: Verdict) -> str:
    reason = one.reason.replace("|", "/").replace("][", "]\\[")  # `[a][b]` is a link in Markdown
    return f"| {one.model_type} | {one.verdict} | {reason} |"
