"""Facts that a model reads: the answer is the one behind the fact, for whoever asks; who is near to none hears none."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import polypatch as pp
from polypatch.deltas import TextStore
from polypatch.deltas.fact_reader import FactReader
from polypatch.editors import IKE, SERAC, ReMaKE
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages, SourceOnly
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.generated import check_generated
from polypatch.triggers import Trigger
from sentence_encoders import WIDTH, sentence_encoder
from speaking import decoder, speaker, speaking_edits

KEPT = pp.Rules(keep_failed=True)
BRIEF = pp.Encoding(most=6)
"""A random model does not do as it reads; what it answers is held against the model itself, reading."""


def read_by(build, editor, *, sampler=None, n=3):
    """A tiny model with facts that it reads, and their edits."""
    causal = build in ("gpt2", "qwen3")
    model, tokenizer = speaker(build) if causal else tiny_model(build)
    edits = speaking_edits(n) if causal else tiny_edits(n)
    recipe = Recipe(editor, sampler or SourceOnly(), Trigger.ALWAYS)
    memory = tiny_texts(30, seed=9)
    encoding = BRIEF if causal else pp.Encoding()
    edited = pp.attach(model, tokenizer=tokenizer, recipe=recipe, memory=memory, rules=KEPT, encoding=encoding)
    edited.edit(edits)
    return edited, edits


def short(editor, **settings):
    """Without words about the facts: a tiny tokenizer cuts those into letters, for which there is no room."""
    return editor(before="", between="", **settings)


def known_rows(edited):
    """What nearness is judged by."""
    memory = edited.memory.train
    return [memory.asked[i] for i in memory.spread(len(memory.asked))]


def whole(edited, text, facts):
    """The tokens of a prompt with facts behind its opening mark, and how many marks and tokens of facts there are."""
    row = edited.readout.rows([text])[0]
    tokens = row.tokens[: row.place + 1] if edited.tail.site.text.causal else row.tokens
    marks = 0 if tokens[0] not in edited.tail.site.text.marks else 1
    return [*tokens[:marks], *(one for fact in facts for one in fact), *tokens[marks:]]


def facts_of(edited):
    return [[one for one in fact if one >= 0] for fact in edited.delta.facts.tolist()]


def bare_logits(edited, tokens, place):
    with torch.no_grad(), edited.tail.site.bare():
        logits = edited.model(torch.tensor([tokens])).logits[0]
    return logits if logits.dim() == 1 else logits[place]


def answered_behind_facts(edited, edits, order=lambda facts: facts):
    """Law: the model with its edits says to a text what the unedited one says to it behind its facts, nearest last."""
    for edit in edits:
        (text,) = {edit.prompt["en"]}
        row = edited.readout.rows([text])[0]
        with edited.tail.site.asking([row]):
            acting = edited.delta.activations(edited.tail.queries([row]).q)[0]
        nearest = sorted(acting.nonzero().flatten().tolist(), key=lambda i: float(acting[i]))
        facts = [facts_of(edited)[i] for i in nearest]
        asked = torch.tensor([whole(edited, text, [])])
        with torch.no_grad():
            logits = edited.model(asked).logits[0]
        ours = logits if logits.dim() == 1 else logits[-1]
        theirs = bare_logits(edited, whole(edited, text, order(facts)), -1)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(edited.tail.logits([row], edited.delta)[0], theirs, rtol=1e-4, atol=1e-5)
        assert (theirs - bare_logits(edited, whole(edited, text, []), -1)).abs().max() > 1e-3


@pytest.mark.parametrize("build", ["gpt2", "qwen3", "bert", "modernbert", "llama"])
def test_the_answer_is_the_one_behind_the_facts(build):
    """Causal and classifying, post-norm and pre-norm, read at the first and at the last token."""
    edited, edits = read_by(build, short(IKE, shots=2))
    answered_behind_facts(edited, edits)
    edited.unload()


def test_wrong_formulas_are_caught(monkeypatch):
    edited, edits = read_by("gpt2", short(IKE, shots=2))

    def alone(self, rows, behind):
        with self.text.elsewhere():
            return self.site.ffn(self.encoder.queries(behind).q)

    def first(self, row, facts, own=FactReader.behind):
        return own(self, row, facts[:1])

    def backwards(self, row, facts, own=FactReader.behind):
        return own(self, row, facts[::-1])

    for name, wrong in (("outputs", alone), ("behind", first), ("behind", backwards)):
        with monkeypatch.context() as patched:
            patched.setattr(FactReader, name, wrong)
            with pytest.raises(AssertionError):
                answered_behind_facts(edited, edits)
    with pytest.raises(AssertionError):
        answered_behind_facts(edited, edits, order=lambda facts: facts[:1])
    answered_behind_facts(edited, edits)
    edited.unload()


@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_is_what_is_written_behind_the_facts(beams):
    """With a key-value cache, whose texts beams put in another order; two prompts, padded on the left."""
    edited, edits = read_by("gpt2", short(IKE, shots=1))
    prompts = [whole(edited, edit.prompt["en"], []) for edit in edits[:2]]
    found = []
    for edit in edits[:2]:
        (row,) = edited.readout.rows([edit.prompt["en"]])
        with edited.tail.site.asking([row]):
            fact = facts_of(edited)[int(edited.delta.activations(edited.tail.queries([row]).q)[0].argmax())]
        read = torch.tensor([whole(edited, edit.prompt["en"], [fact])])
        with edited.tail.site.bare():
            found.append(edited.model.generate(read, **written(beams))[0, read.shape[1] :].tolist())
    longest = max(map(len, prompts))
    padded = torch.tensor([[0] * (longest - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
    ours = edited.model.generate(padded, attention_mask=mask, **written(beams))[:, longest:].tolist()
    assert ours == found
    with edited.tail.site.bare():
        assert ours != edited.model.generate(padded, attention_mask=mask, **written(beams))[:, longest:].tolist()
    edited.unload()


def test_of_a_prompt_only_the_position_that_is_written_behind_is_read_with_its_fact(monkeypatch):
    """Elsewhere its output goes nowhere: what is written is what a model that reads it all would write."""
    edited, edits = read_by("gpt2", short(IKE, shots=1))
    prompts = [edited.readout.prompt(edit.prompt["en"]) for edit in edits]
    read, outputs = [], FactReader.outputs

    def counted(self, rows, behind):
        read.append(len(rows))
        return outputs(self, rows, behind)

    monkeypatch.setattr(FactReader, "outputs", counted)
    said = edited.readout.greedy(prompts)
    assert set(read) <= set(range(1, len(prompts) + 1))
    read.clear()
    with monkeypatch.context() as patched:
        patched.setattr("polypatch.sites.text_beside.asked", lambda new: new)
        again = edited.readout.greedy(prompts)
    assert [one.ids for one in again] == [one.ids for one in said]
    assert max(read) > 2 * len(prompts)
    # Whoever runs the model himself may look at every position.
    tokens = torch.tensor([list(prompts[0])])
    read.clear()
    edited.model(tokens)
    assert read == [tokens.numel() - 1]  # there is no text yet at its opening mark
    edited.unload()


def written(beams):
    return {"max_new_tokens": 5, "num_beams": beams, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}


@pytest.mark.parametrize("editor", [SERAC(share=0.0), ReMaKE(share=0.0)])
@pytest.mark.parametrize("build", ["gpt2", "bert"])
def test_who_is_near_to_no_fact_keeps_every_bit(editor, build):
    """A fact's own text is near to it; no text of the memory is, where none may be."""
    edited, edits = read_by(build, editor)
    others = known_rows(edited)
    assert len(others) > 20
    own = edited.readout.rows([edit.prompt["en"] for edit in edits])
    assert torch.equal(edited.tail.logits(others, edited.delta), edited.tail.logits(others, NOTHING))
    assert all((edited.tail.logits(own, edited.delta) != edited.tail.logits(own, NOTHING)).any(1))
    edited.unload()


NOTHING = pp.sites.UNCHANGED


def test_a_scope_holds_its_share_of_the_memory():
    edited, _ = read_by("gpt2", SERAC(share=0.2), n=4)
    known = known_rows(edited)
    cosines = edited.delta.place(known) @ edited.delta.keys.T
    for column, reach in zip(cosines.T, edited.delta.reach, strict=True):
        assert int((column > reach).sum()) == len(known) // 5
    edited.unload()
    edited, _ = read_by("gpt2", ReMaKE(share=0.2), n=4)
    cosines = edited.delta.place(known) @ edited.delta.place(known).T - 2 * torch.eye(len(known))
    assert int((cosines.amax(1) > edited.delta.reach[0]).sum()) == len(known) // 5
    assert edited.delta.reach.unique().numel() == 1
    edited.unload()
    edited, _ = read_by("gpt2", IKE(), n=2)
    assert edited.delta.reach.tolist() == [-2.0, -2.0]
    edited.unload()


def test_a_prompt_without_room_for_a_fact_is_answered_as_ever():
    edited, edits = read_by("gpt2", IKE(shots=3))
    longest = edited.tail.encoder.tokens.max_length
    (row,) = edited.readout.rows([" ".join(["ba"] * (longest - 4))])
    assert torch.equal(edited.tail.logits([row], edited.delta), edited.tail.logits([row], NOTHING))
    (short,) = edited.readout.rows([edits[0].prompt["en"]])
    assert not torch.equal(edited.tail.logits([short], edited.delta), edited.tail.logits([short], NOTHING))
    edited.unload()


def test_compiled_code_and_other_threads_read_the_same():
    """Four threads at once, each with its own texts; compiled code steps out of itself for what is read."""
    torch.compiler.reset()
    edited, edits = read_by("gpt2", short(IKE, shots=1))
    texts = [torch.tensor([whole(edited, edit.prompt[lang], [])]) for edit in edits for lang in ("en", "de")]
    with torch.no_grad():
        alone = [edited.model(one).logits for one in texts]
        compiled = torch.compile(edited.model, backend="aot_eager")
        for one, logits in zip(texts, alone, strict=True):
            torch.testing.assert_close(compiled(one).logits, logits, atol=1e-5, rtol=1e-4)

    def ask(number):
        with torch.no_grad():
            return [edited.model(texts[(number + i) % len(texts)]).logits for i in range(3 * len(texts))]

    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(ask, range(4))):
            for i, logits in enumerate(found):
                torch.testing.assert_close(logits, alone[(number + i) % len(texts)], atol=1e-5, rtol=1e-4)
    edited.unload()
    torch.compiler.reset()


def test_a_sentence_encoder_says_how_near_texts_are(tmp_path):
    """Of what has been written, too; saved edits are loaded with it, and with no other."""
    sentence_encoder(tmp_path / "encoder")
    model, tokenizer = speaker("gpt2")
    recipe = Recipe(short(SERAC, share=0.0), AllLanguages(), Trigger.ANY, reads=f"text:{tmp_path / 'encoder'}")
    edits, memory = speaking_edits(3), tiny_texts(30, seed=9)
    edited = pp.attach(model, tokenizer=tokenizer, recipe=recipe, memory=memory, rules=KEPT, encoding=BRIEF)
    edited.edit(edits)
    assert edited.delta.keys.shape == (9, WIDTH)
    own = edited.readout.rows([edit.prompt["en"] for edit in edits])
    assert all((edited.tail.logits(own, edited.delta) != edited.tail.logits(own, NOTHING)).any(1))
    check_generated(edited, [one for edit in edits for one in edit.examples])
    edited.save_pretrained(tmp_path / "edits")
    said = edited.predict([edit.prompt["en"] for edit in edits])
    edited.unload()
    again = pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    assert again.predict([edit.prompt["en"] for edit in edits]) == said
    again.unload()
    sentence_encoder(tmp_path / "encoder", seed=6)
    with pytest.raises(pp.errors.ArtefactError, match="another sentence encoder"):
        pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)


# --- a model that does as it reads ------------------------------------------------------------------------------------

WORDS = [f"w{i}" for i in range(60)]
COPIES = IKE(before="", between="", shots=1)


@pytest.fixture(scope="module")
def copier():
    """Two layers, trained for two seconds to say behind ``a b a`` what stands behind the first a: b, and the end."""
    tokens = Tokenizer(
        models.WordLevel(
            {word: i for i, word in enumerate(["[PAD]", "[BOS]", "[END]", *WORDS, "[UNK]"])}, unk_token="[UNK]"
        )
    )
    tokens.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokens.post_processor = processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 1)])
    marks = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[END]", "unk_token": "[UNK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, model_max_length=64, **marks)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=64, max_position_embeddings=64, num_key_value_heads=4, **sizes)
        model = LlamaForCausalLM(config)
    model.config.pad_token_id, model.config.bos_token_id, model.config.eos_token_id = 0, 1, 2
    model.generation_config.eos_token_id = 2
    draws = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.0)
    for _ in range(200):
        pairs = torch.rand(128, 60, generator=draws).argsort(1)[:, :2] + 3
        end = torch.full((128, 1), 2)
        ids = torch.cat([end - 1, pairs, pairs, end], dim=1)
        labels = ids.clone()
        labels[:, :-2] = -100
        optimiser.zero_grad()
        model(ids, labels=labels).loss.backward()
        optimiser.step()
    return model.eval(), tokenizer


FACTS = [
    pp.Edit(f"f{i}", {"en": f"w{i}", "de": f"w{i + 10}"}, dict.fromkeys(("en", "de"), f"w{i + 20}"), source="en")
    for i in range(8)
]
MEMORY = [f"w{i}" for i in range(40, 60)]


@pytest.mark.parametrize("editor", [COPIES, SERAC(before="", between="", share=0.0)])
def test_a_model_that_does_as_it_reads_is_corrected(copier, editor):
    """Each fact is found among eight; in German where a German text of it was drawn as well, and not otherwise."""
    model, tokenizer = copier
    for sampler, german in ((SourceOnly(), 0), (AllLanguages(), 8)):
        recipe = Recipe(editor, sampler, Trigger.ANY)
        edited = pp.attach(model, tokenizer=tokenizer, recipe=recipe, memory=MEMORY, encoding=pp.Encoding(most=4))
        outcomes = edited.edit(FACTS)
        assert all(outcome.success for outcome in outcomes)
        wanted = [edit.target_in("en") for edit in FACTS]
        assert edited.predict([edit.prompt["en"] for edit in FACTS]) == wanted
        said = edited.predict([edit.prompt["de"] for edit in FACTS])
        assert sum(one == other for one, other in zip(said, wanted, strict=True)) == german
        edited.revert("f3")
        assert edited.predict(["w3", "w4"])[1] == "w24" != edited.predict(["w3"])[0]
        edited.unload()


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", ["gemma2", "eurobert"])
@pytest.mark.filterwarnings("ignore:.*it is edited by full forward passes")
def test_a_layer_that_cannot_give_any_output_is_refused(build):
    model, tokenizer = tiny_model(build)
    with pytest.raises(UnsupportedModelError, match="the last layer's output cannot be made any other"):
        pp.attach(model, tokenizer=tokenizer, recipe="ike", memory=tiny_texts(5))


def test_lower_layers_and_other_models_are_refused():
    model, tokenizer = speaker("gpt2")
    recipe = dataclasses.replace(RECIPES["ike"], layer=0)
    with pytest.raises(UnsupportedModelError, match="leave layer= out"):
        pp.attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(5), encoding=BRIEF)
    for model, tokenizer in (decoder("bart"), tiny_model("bert", "masked")):
        with pytest.raises(UnsupportedModelError, match="classifier or a causal language model"):
            pp.attach(model, tokenizer=tokenizer, recipe="remake", memory=tiny_texts(5), encoding=BRIEF)


def test_who_reads_what_is_settled_by_the_recipe():
    assert Recipe(IKE()).reads == "text"
    for editor, reads in ((IKE(), "means"), (pp.RECIPES["polypatch"].editor, "text")):
        with pytest.raises(InputError, match="reads='text'"):
            Recipe(editor, reads=reads)


def test_a_pass_without_its_text_is_refused():
    edited, _ = read_by("gpt2", IKE())
    with pytest.raises(InputError, match="not inputs_embeds"):
        edited.model(inputs_embeds=torch.zeros(1, 3, 32))
    with edited.tail.site.bare():
        edited.model.eval()
    edited.unload()
    cache = edited.model(torch.tensor([[2, 5, 6]]), use_cache=True).past_key_values
    again, _ = read_by("gpt2", IKE())
    with pytest.raises(InputError, match="holds 3 tokens which they never saw"):
        again.model(torch.tensor([[7]]), past_key_values=cache)
    again.unload()


def test_a_store_is_itself_behind_a_file():
    edited, _ = read_by("bert", SERAC(), sampler=AllLanguages())
    tensors, owners = edited.delta.tensors(), list(edited.delta.owners)
    alone = TextStore(None)
    alone.load_tensors(tensors, owners)
    alone.drop({owners[0]})
    assert alone.owners == [owner for owner in owners if owner != owners[0]]
    for name, wrong in (("facts", -2), ("shots", 0)):
        broken = {**tensors, name: torch.full_like(tensors[name], wrong)}
        with pytest.raises(pp.errors.ArtefactError, match="no token and no count"):
            alone.load_tensors(broken, owners)
    edited.unload()
