"""Where in a prompt its subject ends: the position that editors which look a subject up write at."""

from __future__ import annotations

from polypatch.edits import Text
from polypatch.sites.encoding.tokens import TOKENIZING
from polypatch.sites.readouts.next_tokens import NextTokens
from polypatch.sites.readouts.readout import Readout


def subject_place(readout: Readout, text: Text, subject: str) -> int | None:
    """The position of the last token of `subject` in a prompt.

    None where nobody knows it: the model is no causal language model, or its tokenizer does not say which letters a
    token stands for; the text does not hold the subject literally; or the prompt is cut, or stands in a chat.
    """
    if not subject or not isinstance(text, str) or not isinstance(readout, NextTokens):
        return None
    begin, tokenizer = text.rfind(subject), readout.tokenizer
    if begin < 0 or not tokenizer.is_fast or readout.prompts.chat or readout.is_cut(text):
        return None
    with TOKENIZING:
        spans = tokenizer(text, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    end = begin + len(subject)
    within = [place for place, (first, last) in enumerate(spans) if first < end and last > begin]
    return within[-1] if within and within[-1] < len(readout.prompt(text)) else None
