"""Batches: every text once, padded to its own bucket on the right, whatever stands beside it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from polypatch.sites.encoding.tokens import ACCELERATED, BUCKET, TILE, TOKENS, Tokens, rows_of
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES

CPU = torch.device("cpu")
TOKENIZERS = {family: tiny_model(family)[1] for family in FAMILIES}
sentences = st.lists(st.sampled_from(["ba", "be", "gigo", "x", "?"]), min_size=1, max_size=80).map(" ".join)


@given(st.sampled_from(sorted(FAMILIES)), st.lists(sentences, min_size=1, max_size=60), st.booleans(), st.booleans())
def test_batches_hold_every_text_once_in_its_own_bucket(family, texts, paired, filled):
    """Law: a row's padded length is a function of the text alone, and a filled batch's height one of its length."""
    tokenizer = TOKENIZERS[family]
    tokens = Tokens(tokenizer)
    inputs = [(text, "be bo") for text in texts] if paired else texts
    alone = [Tokens(tokenizer).rows([text])[0] for text in inputs]
    seen = []
    for chosen, rows in tokens.batches(tokens.rows(inputs), CPU, filled=filled):
        batch = tokens.pad(rows, CPU)
        height, width = batch["input_ids"].shape
        assert 1 <= len(chosen) <= rows_of(width, CPU)
        assert height == (rows_of(width, CPU) if filled else len(chosen))
        seen += chosen
        assert ("token_type_ids" in batch) == bool(alone[0].context)
        for i, text in enumerate([*chosen, *[chosen[0]] * (height - len(chosen))]):
            ids = list(alone[text].tokens)
            length = batch["input_ids"].shape[1]
            assert length == min(-(-len(ids) // BUCKET) * BUCKET, 64)
            assert batch["input_ids"][i].tolist() == ids + [tokenizer.pad_token_id] * (length - len(ids))
            assert batch["attention_mask"][i].tolist() == [1] * len(ids) + [0] * (length - len(ids))
            if "token_type_ids" in batch:
                kinds = list(alone[text].context)
                assert batch["token_type_ids"][i].tolist() == kinds + [0] * (length - len(ids))
    assert sorted(seen) == list(range(len(inputs)))


@given(st.integers(1, 600), st.sampled_from(["cpu", "cuda"]))
def test_no_kernel_has_rows_left_over(length, kind):
    """At every length: whole tiles, enough of them, and no more texts than that takes."""
    device = torch.device(kind)
    least, height = TOKENS.get(kind, ACCELERATED), rows_of(length, device)
    assert height * length % TILE == 0
    assert height * length >= least
    fewer = [n for n in range(1, height) if n * length % TILE == 0 and n * length >= least]
    assert not fewer


@given(sentences, st.integers(4, 70))
def test_long_texts_are_cut_at_the_limit(text, limit):
    """Never longer than the limit, also where the limit is no multiple of the bucket; the end mark stays."""
    tokens = Tokens(TOKENIZERS["bert"], limit)
    (row,) = tokens.rows([text])
    assert len(row.tokens) <= limit
    assert row.tokens[-1] == TOKENIZERS["bert"].sep_token_id
    ((_, rows),) = tokens.batches([row], CPU)
    batch = tokens.pad(rows, CPU)
    assert batch["input_ids"].shape[1] <= max(limit, len(row.tokens))


def test_padding_is_on_the_right_whatever_the_tokenizer_prefers():
    """The head reads position 0."""
    _, tokenizer = tiny_model("bert")
    tokenizer.padding_side = "left"
    tokens = Tokens(tokenizer)
    batch = tokens.pad(tokens.rows(["ba", "ba be"]), CPU)
    assert (batch["input_ids"][:, 0] == tokenizer.cls_token_id).all()


def test_limits_come_from_the_tokenizer_or_are_512():
    _, tokenizer = tiny_model("bert")
    assert Tokens(tokenizer).max_length == 64
    assert Tokens(tokenizer, 10).max_length == 10
    tokenizer.model_max_length = int(1e30)
    assert Tokens(tokenizer).max_length == 512


def test_texts_and_pairs_may_stand_side_by_side():
    tokens, mixed = Tokens(TOKENIZERS["bert"]), ["ba", ("ba", "be"), "bo"]
    assert tokens.rows(mixed) == [Tokens(TOKENIZERS["bert"]).rows([text])[0] for text in mixed]


def test_the_last_token_is_read_where_a_head_reads_it():
    (row,) = Tokens(TOKENIZERS["bert"]).rows(["ba be bi"], last=True)
    assert row.place == len(row.tokens) - 1


def test_no_texts_are_no_batches():
    assert Tokens(TOKENIZERS["bert"]).rows([]) == []
    assert list(Tokens(TOKENIZERS["bert"]).batches([], CPU)) == []
