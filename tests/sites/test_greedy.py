"""Greedy decoding: a batch writes what each prompt alone does, and goes on without the answers that have ended."""

import pytest
import torch

from polypatch.sites.readouts.greedy import STAGES, greedy
from polypatch.testing import tiny_model

MOST = 12
GOING_ON = ("llama", "gpt2", "mistral", "bloom")
LATER = {"jamba": "causal", "xlstm": "causal", "t5": "seq2seq", "bart": "seq2seq"}
FAMILIES = {**dict.fromkeys(GOING_ON, "causal"), **LATER}


@pytest.mark.parametrize(("family", "head"), FAMILIES.items())
def test_a_batch_writes_what_each_writes_alone(family, head, monkeypatch):
    model, _ = tiny_model(family, head)
    prompts, begun = prompts_of(model), (0,) if head == "seq2seq" else ()
    ends = ends_of(greedy(model, prompts, (1,), MOST, begun))
    alone = [one for prompt in prompts for one in greedy(model, [prompt], ends, MOST, begun)]
    shown = passes(model, monkeypatch)
    together = greedy(model, prompts, ends, MOST, begun)
    assert [one.ids for one in together] == [one.ids for one in alone]
    assert [one.probability for one in together] == pytest.approx([one.probability for one in alone], rel=1e-4)
    lengths = [len(one.ids) for one in together]
    assert min(lengths) <= STAGES[0] < STAGES[-1] < max(lengths)
    if family in GOING_ON:
        assert shown == expected(lengths)


def expected(lengths):
    """The answers of each pass: all that have no end at the last stage, and of every answer one token at a time."""
    begins = {place: max((stage for stage in STAGES if stage <= place), default=0) for place in range(max(lengths))}
    return [sum(length > begins[place] for length in lengths) for place in range(max(lengths))]


def prompts_of(model, count=40):
    drawn = torch.randint(3, model.config.vocab_size, (count, 7), generator=torch.Generator().manual_seed(1))
    return drawn.tolist()


def ends_of(written):
    """Tokens that end some answers early and others late."""
    places = (0, 1, 2, 3, 4, 5, 7, 9)
    return tuple({one.ids[min(place, len(one.ids) - 1)] for place, one in zip(places, written, strict=False)})


def passes(model, monkeypatch):
    """How many prompts stand in each of its passes from now on."""
    shown, forward = [], type(model).forward

    def look(self, *args, **given):
        shown.append(len(given["input_ids"]) if given.get("input_ids") is not None else 0)
        return forward(self, *args, **given)

    monkeypatch.setattr(type(model), "forward", look)
    return shown
