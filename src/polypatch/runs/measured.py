"""What a run's report holds: the metrics, and of a language model perplexity and teacher-forced accuracy, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polypatch.data import EditingData
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.evaluation import Report, evaluate, plain_text_perplexity, target_accuracy
from polypatch.sites.readouts.decoded_tokens import DECODED_TOKENS
from polypatch.sites.readouts.next_tokens import NEXT_TOKENS

PLAIN = 200
"""Texts of a language that a language model's perplexity is measured on."""


def measured(edited: EditedModel, edits: Sequence[Edit], data: EditingData, config: Mapping[str, Any]) -> Report:
    """The metrics of an edited model on its stream and on the locality sets."""
    report = evaluate(edited, edits, locality=data.locality, config=config)
    if edited.readout.kind in (NEXT_TOKENS, DECODED_TOKENS):
        report = replace(report, teacher_forced=target_accuracy(edited, edits))
    if edited.readout.kind != NEXT_TOKENS:
        return report
    # What no memory holds, where there is any: of the speaking world that is sentences, and its memory mostly prompts,
    # whose own words it never learned.
    given = (data.held_out or data.validation).items()
    plain = {lang: [text for text in texts if isinstance(text, str)][:PLAIN] for lang, texts in given}
    return replace(report, perplexity=plain_text_perplexity(edited, plain))
