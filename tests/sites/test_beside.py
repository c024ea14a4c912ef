"""What patches read beside the query: the model's own hidden states, of a text's own tokens, whatever is edited."""

import copy

import pytest
import torch

import polypatch as pp
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.plain_recipes import recipe_from_plain, recipe_to_plain
from polypatch.recipes import RECIPES, Recipe
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.reads import layers_read, reads_in
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

TEXTS = ("ba", "bi bo bu be ba bi", "bo be")


def batch_of(tokenizer, texts=TEXTS):
    return tokenizer(list(texts), padding=True, return_tensors="pt")


def seen_in(site, batch):
    """What a change is given in a pass, and the hidden states that the model itself shows of it."""
    seen = []

    def look(q, out):
        seen.append(q)
        return out

    with torch.no_grad(), site.evaluating(), site.applied(look):
        hidden = site.model(**batch, output_hidden_states=True).hidden_states
    return seen[0], hidden


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "distilbert"])
def test_a_classifier_reads_means_of_the_hidden_states_over_a_texts_own_tokens(family):
    model, tokenizer = tiny_model(family, layers=3)
    site, batch = FeedForwardSite(model, reads="means"), batch_of(tokenizer)
    d = site.hidden_size
    assert (site.beside.layers, site.read_size) == ((0, 1, 2), 5 * d)
    q, hidden = seen_in(site, batch)
    alone, _ = seen_in(FeedForwardSite(model), batch)
    assert torch.equal(q[:, :d], alone)
    for i, layer in enumerate(site.beside.layers):
        wanted = torch.stack(
            [states[mask.bool()].mean(0) for states, mask in zip(hidden[layer], batch["attention_mask"], strict=True)]
        )
        torch.testing.assert_close(q[:, (i + 1) * d : (i + 2) * d], wanted)
    # The same without the others' padding, and with twice as much.
    for j, text in enumerate(TEXTS):
        single, _ = seen_in(site, batch_of(tokenizer, [text]))
        torch.testing.assert_close(single[0], q[j], atol=1e-5, rtol=1e-4)
    long, _ = seen_in(site, tokenizer(list(TEXTS), padding="max_length", max_length=24, return_tensors="pt"))
    torch.testing.assert_close(long, q, atol=1e-5, rtol=1e-4)


def test_a_language_model_reads_them_at_the_position_itself():
    model, tokenizer = tiny_model("llama", "causal")
    site, batch = FeedForwardSite(model, reads=(0, -1)), batch_of(tokenizer)
    q, hidden = seen_in(site, batch)
    d = site.hidden_size
    assert q.shape == (batch["input_ids"].numel(), 3 * d)
    for i, layer in enumerate((0, 1)):
        assert torch.equal(q[:, (i + 1) * d : (i + 2) * d], hidden[layer].flatten(0, 1))
    assert FeedForwardSite(model, reads="means").read_size == d  # of a model that answers at every position


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "modernbert"])
@pytest.mark.parametrize("reads", ["query", "means", (0,)])
def test_the_frozen_tail_and_the_model_read_the_same(family, reads):
    model, tokenizer = tiny_model(family, layers=2)
    tail = FrozenTail(FeedForwardSite(model, reads=reads), tokenizer)
    assert tail.check() < 1e-4
    assert tail.queries(tail.readout.rows(list(TEXTS))).q.shape == (len(TEXTS), tail.site.read_size)


def test_edits_change_nothing_that_is_read():
    model, tokenizer = tiny_model("bert", layers=2)
    site, batch = FeedForwardSite(model, reads="means"), batch_of(tokenizer)
    before, _ = seen_in(site, batch)
    shown = []

    def change(q, out):
        shown.append(q)
        return out + 3.0

    with torch.no_grad(), site.evaluating(), site.applied(change):
        model(**batch)
    assert torch.equal(shown[0], before)


def test_a_part_of_the_model_called_by_itself_is_unedited_and_leaves_nothing_behind():
    model, tokenizer = tiny_model("bert", layers=2)
    site, batch = FeedForwardSite(model, reads="means"), batch_of(tokenizer)

    def lift(q, out):
        return out + q[:, -out.shape[1] :]

    with torch.no_grad(), site.evaluating():
        before = model.base_model(**batch).last_hidden_state
        plain = model(**batch).logits
        site.attach(lift, {})
        edited = model(**batch).logits
        assert not torch.allclose(edited, plain)
        assert torch.equal(model.base_model(**batch).last_hidden_state, before)
        assert torch.equal(copy.deepcopy(model)(**batch).logits, edited)
        assert torch.equal(
            model(batch["input_ids"], batch["attention_mask"]).logits, model(**{**batch, "token_type_ids": None}).logits
        )
        site.detach()
        assert torch.equal(model(**batch).logits, plain)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_mask_of_another_shape_is_refused():
    model, tokenizer = tiny_model("bert", layers=2)
    site, batch = FeedForwardSite(model, reads="means"), batch_of(tokenizer)
    whole = batch["attention_mask"][:, None, None, :].float().log()
    with torch.no_grad(), site.applied(UNCHANGED), pytest.raises(UnsupportedModelError, match="reads='query'"):
        model(input_ids=batch["input_ids"], attention_mask=whole)


@pytest.mark.parametrize(
    ("edited", "count", "wanted"), [(2, 3, (0, 1, 2)), (11, 12, (0, 4, 7, 11)), (0, 1, (0,)), (5, 12, (0, 2, 3, 5))]
)
def test_layers_are_spread_up_to_the_edited_one(edited, count, wanted):
    assert layers_read("means", edited, count) == wanted
    assert layers_read("query", edited, count) == ()


def test_what_cannot_be_read_is_refused():
    assert reads_in(" 0, -2,3") == (0, -2, 3)
    for given in ("layer", "", (), (0.5,), None, "1;2", True):
        with pytest.raises(InputError, match="reads is"):
            reads_in(given)
    model, _ = tiny_model("bert", layers=3)
    for number in (3, -4):
        with pytest.raises(InputError, match=f"names layer {number}"):
            FeedForwardSite(model, reads=(number,))
    with pytest.raises(InputError, match="leave reads out"):
        Recipe(RECIPES["polypatch-linear"].editor, reads="means")


def test_a_recipe_says_what_it_reads_also_in_a_file():
    recipe = pp.Recipe(RECIPES["polypatch"].editor, reads=[0, 1])
    assert recipe_from_plain(recipe_to_plain(recipe)) == recipe
    assert "reads" not in recipe_to_plain(RECIPES["polypatch-linear"])


def test_edits_that_read_some_layers_are_saved_and_loaded(tmp_path):
    model, tokenizer = tiny_model("bert", layers=3)
    recipe = pp.Recipe(RECIPES["polypatch"].editor, RECIPES["polypatch"].sampler, reads=(0, 2))
    edited = pp.attach(
        model, tokenizer=tokenizer, recipe=recipe, memory={"en": tiny_texts(40), "de": tiny_texts(40, 7)}
    )
    edited.edit(tiny_edits(3))
    texts = [edit.prompt["en"] for edit in tiny_edits(3)]
    said = edited.predict(texts)
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    again = pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    assert again.site.beside.layers == (0, 2)
    assert again.predict(texts) == said
    again.unload()
