"""What patches read of a text by a sentence encoder: the same vector while editing and serving, whatever is edited."""

import copy
import dataclasses
import pickle
import threading
from pathlib import Path

import pytest
import torch

import polypatch as pp
from polypatch.errors import ArtefactError, InputError, UnsupportedModelError
from polypatch.plain_recipes import recipe_from_plain, recipe_to_plain
from polypatch.recipes import RECIPES
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.encoding.sentences import sentences_of
from polypatch.sites.reads import reads_in
from polypatch.store.card import for_others
from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts
from sentence_encoders import WIDTH, readable_model, sentence_encoder, written

TEXTS = ("ba", "bi bo bu be ba bi", "bo be")
MEMORY = {"en": tiny_texts(40), "de": tiny_texts(40, 7)}
SOURCES = [edit.prompt["en"] for edit in tiny_edits(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sentence_encoder(tmp_path_factory.mktemp("encoder"))


def site_of(model, tokenizer, folder):
    reads = f"encoder:{folder}"
    return FeedForwardSite(model, reads=reads, sentences=sentences_of(reads, tokenizer))


def batch_of(tokenizer, texts=TEXTS, **how):
    return tokenizer(list(texts), return_tensors="pt", **({"padding": True} | how))


def recipe_of(folder):
    return dataclasses.replace(RECIPES["polypatch"], reads=f"encoder:{folder}")


def attached(folder, model=None, tokenizer=None):
    if model is None:
        model, tokenizer = readable_model()
    return pp.attach(model, tokenizer=tokenizer, recipe=recipe_of(folder), memory=MEMORY)


def lift(q, out):
    """A change that hangs on the vector alone."""
    return out + q[:, -WIDTH:].repeat(1, 2)


def seen_in(site, batch):
    """What a change is given in a pass."""
    seen = []

    def look(q, out):
        seen.append(q)
        return out

    with torch.no_grad(), site.evaluating(), site.applied(look):
        site.model(**batch)
    return seen[0]


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "distilbert", "gpt2"])
def test_a_classifier_reads_the_query_and_the_vector_of_the_text(family, folder):
    model, tokenizer = readable_model(family)
    site = site_of(model, tokenizer, folder)
    d, batch = site.hidden_size, batch_of(tokenizer)
    q = seen_in(site, batch)
    assert q.shape == (len(TEXTS), d + WIDTH) == (len(TEXTS), site.read_size)
    assert torch.equal(q[:, :d], seen_in(FeedForwardSite(model), batch))
    vectors = site.sentences.encoder.vectors(list(TEXTS), q.device)
    assert torch.equal(q[:, d:], vectors)
    # Alone, with more padding, and without a mask.
    for i, text in enumerate(TEXTS):
        assert torch.equal(seen_in(site, batch_of(tokenizer, [text]))[0, d:], vectors[i])
    long = batch_of(tokenizer, padding="max_length", max_length=24)
    assert torch.equal(seen_in(site, long)[:, d:], vectors)
    assert torch.equal(seen_in(site, {"input_ids": batch["input_ids"]})[:, d:], vectors)


@pytest.mark.parametrize("family", ["bert", "gpt2", "modernbert"])
def test_the_frozen_tail_and_the_model_read_the_same(family, folder):
    model, tokenizer = readable_model(family)
    tail = FrozenTail(site_of(model, tokenizer, folder), tokenizer)
    assert tail.check() < 1e-4
    q = tail.queries(tail.readout.rows(list(TEXTS))).q
    seen = seen_in(tail.site, batch_of(tokenizer))
    assert torch.equal(q[:, -WIDTH:], seen[:, -WIDTH:])
    torch.testing.assert_close(q, seen, atol=1e-5, rtol=1e-4)
    full = FullForward(tail.site, tokenizer)
    rows = full.readout.rows(list(TEXTS))
    torch.testing.assert_close(full.logits(rows, UNCHANGED), tail.logits(rows, UNCHANGED), atol=1e-5, rtol=1e-4)


def test_of_a_pair_both_are_read_and_of_unknown_words_nothing(folder):
    model, tokenizer = readable_model()
    sentences = site_of(model, tokenizer, folder).sentences
    pair = tokenizer([("ba bo", "di"), ("ba", "unknown ☃ ba")], padding=True, return_tensors="pt")
    assert sentences.texts(pair["input_ids"], pair["attention_mask"]) == ["ba bo di", "ba unknown ba"]


def test_edits_change_nothing_that_is_read_and_leave_nothing_behind(folder):
    model, tokenizer = readable_model()
    site, batch = site_of(model, tokenizer, folder), batch_of(tokenizer)

    with torch.no_grad(), site.evaluating():
        before = model.base_model(**batch).last_hidden_state
        plain = model(**batch).logits
        site.attach(lift, {})
        edited = model(**batch).logits
        assert not torch.allclose(edited, plain)
        assert torch.equal(model.base_model(**batch).last_hidden_state, before)
        twin = copy.deepcopy(model)
        assert torch.equal(twin(**batch).logits, edited)
        site.detach()
        assert torch.equal(model(**batch).logits, plain)
        assert torch.equal(twin(**batch).logits, edited)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_compiled_code_is_whole_and_reads_what_it_is_shown(folder):
    torch.compiler.reset()
    edited = attached(folder, *readable_model(layers=1))
    edited.edit(tiny_edits(2))
    batches = [batch_of(edited.tokenizer, texts, padding="max_length", max_length=24) for texts in (SOURCES, TEXTS)]
    compiled = torch.compile(edited.model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for batch in (*batches, *batches):
            torch.testing.assert_close(compiled(**batch).logits, edited.model(**batch).logits, atol=1e-5, rtol=1e-4)
        shown = edited.model(**batches[0]).logits
        with edited.disabled():
            assert not torch.allclose(edited.model(**batches[0]).logits, shown)
    edited.unload()
    torch.compiler.reset()


def test_every_law_holds(folder):
    check_editor(recipe_of(folder), *readable_model(), tiny_edits(3), tiny_texts(20))


def test_in_full_passes_the_laws_hold_as_well(folder):
    check_editor(recipe_of(folder), *readable_model(), tiny_edits(2), tiny_texts(12), encoding=pp.Encoding(exact=True))


def test_half_precision_and_another_device_are_followed(folder):
    edited = attached(folder)
    edited.edit(tiny_edits(2))
    batch = batch_of(edited.tokenizer, SOURCES)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        shown = seen_in(edited.site, batch)
    assert torch.equal(shown[:, -WIDTH:].float(), seen_in(edited.site, batch)[:, -WIDTH:].to(shown.dtype).float())
    edited.model.to("meta")
    with torch.no_grad():
        assert edited.model(input_ids=torch.ones(2, 8, dtype=torch.long, device="meta")).logits.is_meta
    edited.unload()


def test_threads_read_each_their_own_text(folder):
    model, tokenizer = readable_model()
    site = site_of(model, tokenizer, folder)
    site.attach(lift, {})
    texts = [f"{word} {word}" for word in ("ba", "bo", "di", "du")]
    batches = [batch_of(tokenizer, [text]) for text in texts]
    with torch.no_grad():
        wanted = [model(**batch).logits for batch in batches]
        assert not any(torch.equal(wanted[0], other) for other in wanted[1:])
        found = [[] for _ in batches]

        def serve(i):
            with torch.no_grad():
                found[i].extend(model(**batches[i]).logits for _ in range(20))

        threads = [threading.Thread(target=serve, args=(i,)) for i in range(len(batches))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    site.detach()
    assert all(torch.equal(logits, one) for one, many in zip(wanted, found, strict=True) for logits in many)
    assert [len(many) for many in found] == [20] * 4


def test_a_pickled_reader_reads_the_same(folder):
    model, tokenizer = readable_model()
    sentences = site_of(model, tokenizer, folder).sentences
    again = pickle.loads(pickle.dumps(sentences))  # noqa: S301
    batch = batch_of(tokenizer)
    given = batch["input_ids"], batch["attention_mask"]
    assert again.number != sentences.number
    assert torch.equal(again.of(*given), sentences.of(*given))


def test_where_a_text_has_no_one_answer_it_is_refused(folder):
    speaking, tokenizer = tiny_model("gpt2", "causal")
    with pytest.raises(InputError, match="a sentence encoder reads a whole text"):
        pp.attach(speaking, tokenizer=tokenizer, recipe=recipe_of(folder), memory=MEMORY)
    model, tokenizer = readable_model()
    with pytest.raises(InputError, match="edit the last layer of a classifier"):
        FeedForwardSite(model, layer=0, sentences=sentences_of(f"encoder:{folder}", tokenizer))


def test_what_it_cannot_read_is_refused(folder):
    model, tokenizer = readable_model()
    site, batch = site_of(model, tokenizer, folder), batch_of(tokenizer)
    with torch.no_grad(), site.applied(UNCHANGED):
        with pytest.raises(InputError, match="give input_ids"):
            model(inputs_embeds=torch.zeros(1, 3, site.hidden_size))
        with pytest.raises(UnsupportedModelError, match="give a mask of one number for each token"):
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"][:, None, None, :].float().log())
    with pytest.raises(InputError, match="needs the model's tokenizer"):
        FeedForwardSite(model, reads=f"encoder:{folder}")
    with pytest.raises(InputError, match="give the model's tokenizer, and not None"):
        pp.attach(model, tokenizer=None, recipe=recipe_of(folder), memory=MEMORY)
    for given in ("encoder:", "encoder: "):
        with pytest.raises(InputError, match="encoder:NAME"):
            reads_in(given)


def test_a_folder_is_named_by_its_whole_path_and_a_hub_name_stays(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    recipe = recipe_of(folder.name)
    assert recipe.reads == f"encoder:{folder.resolve()}"
    assert recipe_from_plain(recipe_to_plain(recipe)) == recipe
    assert reads_in("encoder:intfloat/multilingual-e5-small") == "encoder:intfloat/multilingual-e5-small"


def test_saved_edits_know_their_encoder_and_take_no_other(tmp_path):
    own = sentence_encoder(tmp_path / "own")
    edited = attached(own)
    outcomes = edited.edit(tiny_edits(3))
    assert all(outcome.success for outcome in outcomes)
    said = edited.predict(SOURCES)
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    model, tokenizer = edited.model, edited.tokenizer

    def loaded():
        return pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)

    again = loaded()
    assert again.predict(SOURCES) == said
    assert again.config["sentence_encoder"] == edited.site.sentences.fingerprint
    again.edit(tiny_edits(4)[3:])
    again.revert([edit.id for edit in tiny_edits(4)])
    with again.disabled():
        before = again.probabilities(SOURCES)
    torch.testing.assert_close(again.probabilities(SOURCES), before)
    again.unload()
    own.rename(tmp_path / "away")
    with pytest.raises(ArtefactError, match=r"own, which cannot be loaded: put it back"):
        loaded()
    sentence_encoder(own, seed=6)
    with pytest.raises(ArtefactError, match=r"made with another sentence encoder \(fingerprint .*own again"):
        loaded()
    card = (tmp_path / "edits" / "README.md").read_text(encoding="utf-8")
    assert "The edits read a sentence encoder as well, `own`" in card


def test_what_is_uploaded_names_no_folder_of_this_machine(folder, tmp_path, monkeypatch):
    from polypatch.store import load

    edited, taken = attached(folder), []

    class Hub:
        def __init__(self, token):
            pass

        def create_repo(self, name, **_):
            return f"https://hub/{name}"

        def upload_folder(self, *, folder_path, **_):
            taken.extend(path.read_bytes() for path in Path(folder_path).iterdir())

    monkeypatch.setattr(load, "HfApi", Hub)
    edited.push_to_hub("me/edits")
    edited.unload()
    assert taken
    assert not any(str(folder.parent).encode() in raw for raw in taken)
    assert any(f'"reads": "encoder:{folder.name}"'.encode() in raw for raw in taken)


@pytest.mark.parametrize("what", ["encoder", "text"])
def test_what_is_read_keeps_its_kind_for_others(what):
    settings = {"recipe": {"reads": f"{what}:/home/me/own", "layer": 1}, "exact": False}
    assert for_others(settings) == {"recipe": {"reads": f"{what}:own", "layer": 1}, "exact": False}


def test_queries_of_another_encoder_are_in_another_folder(tmp_path):
    model, tokenizer = readable_model()
    one, other = (sentence_encoder(tmp_path / str(seed), seed=seed) for seed in (5, 6))
    prints = {FrozenTail(site_of(model, tokenizer, folder), tokenizer).fingerprint for folder in (one, other)}
    prints.add(FrozenTail(FeedForwardSite(model), tokenizer).fingerprint)
    assert len(prints) == 3


def test_a_session_goes_on_with_the_same_encoder_alone(tmp_path):
    own = sentence_encoder(tmp_path / "own")
    model, tokenizer = readable_model()
    edited = attached(own, model, tokenizer)
    with pp.Session(tmp_path / "edits", edited) as session:
        session.edit(tiny_edits(1))
    edited.unload()
    sentence_encoder(own, seed=6)
    with pytest.raises(ArtefactError, match="another sentence encoder"):
        pp.Session(tmp_path / "edits", attached(own, *readable_model())).__enter__()


def test_a_prompt_is_written_by_hand_where_the_checkpoint_names_none(tmp_path):
    """As the documentation says of E5."""
    plain = sentence_encoder(tmp_path / "plain")
    asked = sentence_encoder(tmp_path / "asked")
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    written(asked / "config_sentence_transformers.json", prompts)
    _, tokenizer = readable_model()
    one, other = (sentences_of(f"encoder:{folder}", tokenizer).encoder for folder in (plain, asked))
    cpu = torch.device("cpu")
    assert torch.equal(one.vectors(["query: ba"], cpu), other.vectors(["ba"], cpu))
