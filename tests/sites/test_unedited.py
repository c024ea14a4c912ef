"""What the unedited model says is asked once, and taken again only where no bit of an edit is felt."""

import pytest
import torch

import polypatch as pp
from polypatch.sites import UNCHANGED, FrozenTail
from polypatch.testing import tiny_texts
from speaking import LANGUAGES, speaker, speaking_edits


@pytest.fixture
def edited():
    model, tokenizer = speaker()
    memory = {lang: [f"{lang} {text}" for text in tiny_texts(12, seed=i)] for i, lang in enumerate(LANGUAGES)}
    edited = pp.attach(model, tokenizer=tokenizer, memory=memory, recipe="polypatch-linear")
    assert any(
        outcome.success for outcome in pp.edit_stream(edited, speaking_edits(3), rules=pp.Rules(keep_failed=True))
    )
    yield edited
    edited.unload()


def rows_of(edited, seed):
    edits = [text for edit in speaking_edits(3) for text in edit.prompt.values()]
    texts = [*edits, *tiny_texts(30, seed=seed)]
    return [row for rows in edited.readout.keep(texts) for row in rows]


def test_it_is_what_the_logits_say(edited):
    tail, rows = edited.tail, rows_of(edited, seed=5)
    logits = tail.logits(rows, edited.delta).double().softmax(-1)
    for wanted in ([], [i % edited.readout.width for i in range(len(rows))]):
        for _ in range(2):
            said = tail.said(rows, edited.delta, wanted)
            about = torch.tensor(wanted) if wanted else logits.argmax(-1)
            assert torch.equal(said.ids, logits.argmax(-1))
            torch.testing.assert_close(said.probability, logits.gather(1, about[:, None])[:, 0], rtol=1e-5, atol=1e-9)
    bare = tail.said(rows, UNCHANGED).ids
    assert 0 < int((bare != said.ids).sum()) < len(rows)


@pytest.fixture
def asked(monkeypatch):
    """How many rows' logits were worked out, call by call."""
    asked, own = [], FrozenTail.logits

    def counted(self, some, change):
        asked.append(len(some))
        return own(self, some, change)

    monkeypatch.setattr(FrozenTail, "logits", counted)
    return asked


def test_the_unedited_model_is_asked_once(edited, asked):
    tail, rows = edited.tail, rows_of(edited, seed=7)
    for wanted in ([], [1] * len(rows)):
        first = tail.said(rows, UNCHANGED, wanted)
        assert sum(asked) == len({row.key for row in rows})
        asked.clear()
        again = tail.said(rows, UNCHANGED, wanted)
        assert not asked
        assert torch.equal(first.ids, again.ids)
        assert torch.equal(first.probability, again.probability)


def test_the_vocabulary_is_asked_again_only_where_an_edit_is_felt(edited, asked):
    tail, rows = edited.tail, rows_of(edited, seed=6)
    first, again = tail.said(rows, edited.delta), None
    once, _ = sum(asked), asked.clear()
    again = tail.said(rows, edited.delta)
    assert len(rows) > sum(asked) > 0
    assert once >= len({row.key for row in rows})
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.probability, again.probability)
