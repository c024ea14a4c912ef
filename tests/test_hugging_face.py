"""An edited model stays a Hugging Face model to those who use it: pipelines, Trainer, torch.compile, copies."""

import copy
import dataclasses
import threading

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments, pipeline

import polypatch as pp
from polypatch.deltas import PatchBank
from polypatch.editors import GRACE, FineTuning, LoRA, NearestPatch, TPatcher
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.tiny import FAMILIES

MORE = dataclasses.replace(tiny_edits(1, seed=5)[0], id="more")
TEXTS = [*(text for edit in (*tiny_edits(3), MORE) for text in edit.prompt.values()), *tiny_texts(6)]
PATCHES = pp.Recipe(TPatcher(views=0, max_steps=30, first_validation=5, validate_every=5), trigger=pp.Trigger.ALWAYS)
MATRICES = {
    scope: pp.Recipe(FineTuning(scope=scope, max_steps=25, learning_rate=3e-3), trigger=pp.Trigger.ALWAYS)
    for scope in ("ffn", "layer")
}
RECIPES = {
    "patches": PATCHES,
    "two matrices": MATRICES["ffn"],
    "six matrices": MATRICES["layer"],
    "adapter": pp.Recipe(LoRA(max_steps=25, learning_rate=3e-3), trigger=pp.Trigger.ALWAYS),
    "codebook": pp.Recipe(GRACE(radius=0.5), trigger=pp.Trigger.ALWAYS),
    "nearest": pp.Recipe(NearestPatch(), trigger=pp.Trigger.ALWAYS),
}


def edited_model(family="bert", recipe=PATCHES):
    """A tiny model after three real edits, and its own logits before the first."""
    model, tokenizer = tiny_model(family)
    before = logits(model, tokenizer)
    edited = edit(model, tokenizer, recipe)
    assert not torch.equal(logits(model, tokenizer), before)
    return edited, before


def edit(model, tokenizer, recipe=PATCHES, edits=None):
    """Whether an edit takes is not the question here, so that few steps will do."""
    memory = tiny_texts(10, seed=1)
    return pp.edit(
        model,
        edits or tiny_edits(3),
        tokenizer=tokenizer,
        recipe=recipe,
        memory=memory,
        rules=pp.Rules(keep_failed=True),
    )


def edit_on(edited, edits, recipe=PATCHES):
    return list(pp.edit_stream(edited, edits, recipe=recipe, rules=pp.Rules(keep_failed=True)))


@torch.no_grad()
def logits(model, tokenizer, texts=TEXTS):
    return model(**tokenizer(texts, padding=True, return_tensors="pt").to(model.device)).logits


def own_logits(edited):
    return logits(edited.model, edited.tokenizer)


def same(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)


families = pytest.mark.parametrize("family", FAMILIES)
recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@families
def test_a_pipeline_gives_the_edited_labels(family):
    edited, _ = edited_model(family)
    classify = pipeline("text-classification", model=edited.model, tokenizer=edited.tokenizer, device="cpu")
    rows = classify(TEXTS)
    assert [row["label"] for row in rows] == edited.predict(TEXTS)
    with edited.disabled():
        bare = classify(TEXTS)
    assert bare != rows
    edited.unload()
    assert classify(TEXTS) == bare
    assert [row["label"] for row in bare] == edited.predict(TEXTS)


@families
def test_trainer_predicts_the_edited_logits(family, tmp_path):
    edited, _ = edited_model(family)
    arguments = TrainingArguments(
        tmp_path,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        per_device_eval_batch_size=4,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(edited.model, arguments, processing_class=edited.tokenizer)
    rows = Dataset.from_list([dict(edited.tokenizer(text)) for text in TEXTS])
    torch.testing.assert_close(
        torch.from_numpy(trainer.predict(rows).predictions), own_logits(edited), rtol=0, atol=1e-5
    )


@pytest.fixture
def fresh_compiler():
    """Nothing compiled before, nothing left behind: torch gives up on a function after eight versions of it."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize(("family", "backend"), [("bert", "aot_eager"), ("electra", "eager"), ("distilbert", "eager")])
def test_compiled_code_follows_the_edits(fresh_compiler, family, backend):
    """The worst outcome would be an old answer: after edits, disabled(), revert to a snapshot, and unload()."""
    model, tokenizer = tiny_model(family, layers=1)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    before = logits(model, tokenizer)
    same(logits(compiled, tokenizer), before)
    # Compiled before it carries anything, and edited afterwards.
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=tiny_texts(10, seed=1))
    snapshot, edits = edited.delta.snapshot(), tiny_edits(3)
    for part in (edits[:2], edits[2:]) if family == "bert" else (edits,):
        edit_on(edited, part)
        assert not torch.equal(own_logits(edited), before)
        same(logits(compiled, tokenizer), own_logits(edited))
    with edited.disabled():
        same(logits(compiled, tokenizer), before)
    same(logits(compiled, tokenizer), own_logits(edited))
    if family == "bert":
        edited.delta.restore(snapshot)
        same(logits(compiled, tokenizer), before)
    edited.unload()
    same(logits(compiled, tokenizer), before)


def test_compiled_code_follows_a_second_set_of_edits(fresh_compiler):
    """Code compiled after unload() has no hook in it, and must not be what answers after the next attach."""
    edited, before = edited_model()
    model, tokenizer = edited.model, edited.tokenizer
    compiled = torch.compile(model, backend="eager")
    same(logits(compiled, tokenizer), own_logits(edited))
    edited.unload()
    same(logits(compiled, tokenizer), before)
    again = edit(model, tokenizer, edits=tiny_edits(2, seed=1))
    same(logits(compiled, tokenizer), own_logits(again))
    assert not torch.equal(own_logits(again), before)
    again.unload()
    assert not {"forward"} & {name for module in model.modules() for name in vars(module)}


def test_a_model_compiled_in_place_can_be_edited(fresh_compiler):
    """`model.compile()`: polypatch's own passes run through the compiled code as well, until torch gives up on it."""
    (reference, tokenizer), (model, _) = (tiny_model("bert", layers=1) for _ in range(2))
    model.compile(backend="eager")
    before, one = logits(model, tokenizer), tiny_edits(1)
    with torch._dynamo.config.patch(recompile_limit=2):
        edited, wanted = edit(model, tokenizer, edits=one), edit(reference, tokenizer, edits=one)
    assert not torch.equal(own_logits(wanted), before)
    torch.testing.assert_close(own_logits(edited), own_logits(wanted), rtol=1e-4, atol=1e-4)
    with edited.disabled():
        same(own_logits(edited), before)
    edited.unload()
    same(logits(model, tokenizer), before)


def test_somebody_else_s_forward_is_left_where_it_is(fresh_compiler):
    """As accelerate's hooks put it on modules; compiled code follows all the same."""
    model, tokenizer = tiny_model("bert", layers=1)
    down = model.bert.encoder.layer[-1].output.dense
    theirs = lambda x, old=down.forward: 2.0 * old(x)  # noqa: E731
    down.forward = theirs
    compiled = torch.compile(model, backend="eager")
    before = logits(compiled, tokenizer)
    bank = PatchBank(32)
    bank.append("one", torch.ones(32), torch.ones(()), torch.ones(32).cumsum(0))
    site = FeedForwardSite(model)
    site.attach(bank, {})
    assert not torch.allclose(logits(model, tokenizer), before)
    same(logits(compiled, tokenizer), logits(model, tokenizer))
    site.detach()
    assert down.forward is theirs
    same(logits(compiled, tokenizer), before)


@recipes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near(recipe, dtype):
    edited, before = edited_model(recipe=recipe)
    wanted = own_logits(edited)
    edited.model.to(dtype)
    got = own_logits(edited)
    assert got.dtype == dtype
    # What acts by nearness acts by degrees: two hundredths of similarity, bfloat16's step, are two fifths of an edit.
    limit = (0.2 if dtype == torch.bfloat16 else 0.1) * float(wanted.abs().max())
    torch.testing.assert_close(got.float(), wanted, rtol=0, atol=limit)
    with edited.disabled():
        torch.testing.assert_close(own_logits(edited).float(), before, rtol=0, atol=limit)
    edited.unload()
    torch.testing.assert_close(own_logits(edited).float(), before, rtol=0, atol=limit)


@pytest.mark.parametrize(
    ("recipe", "compiled"), [*((recipe, False) for recipe in RECIPES.values()), (MATRICES["ffn"], True)]
)
def test_the_edits_go_where_the_model_goes(fresh_compiler, recipe, compiled):
    """`model.to(device)`, as pipelines and Trainer call it; the meta device stands for a GPU."""
    edited = edit(*tiny_model("bert", layers=1), recipe)
    edited.model.to("meta")
    model = torch.compile(edited.model, backend="eager") if compiled else edited.model
    # Without a mask, whose numbers transformers would want to see.
    batch = {"input_ids": torch.ones(2, 8, dtype=torch.long, device="meta")}
    with torch.no_grad():
        assert model(**batch).logits.is_meta
        assert all(tensor.is_meta for tensor in (*edited.delta.buffers(), *edited.delta.parameters()))
        with edited.disabled():
            assert model(**batch).logits.is_meta


@recipes
def test_a_deep_copy_is_its_own_model(recipe):
    """It answers as edited, and keeps doing so whatever becomes of the original."""
    edited, before = edited_model(recipe=recipe)
    after, twin = own_logits(edited), copy.deepcopy(edited.model)
    assert torch.equal(logits(twin, edited.tokenizer), after)
    with edited.disabled():
        assert torch.equal(logits(twin, edited.tokenizer), after)
        bare = copy.deepcopy(edited.model)
    edit_on(edited, [MORE], recipe)
    assert not torch.equal(own_logits(edited), after)
    assert torch.equal(logits(twin, edited.tokenizer), after)
    edited.unload()
    assert torch.equal(logits(twin, edited.tokenizer), after)
    assert torch.equal(logits(bare, edited.tokenizer), before)


@recipes
def test_a_deep_copy_of_the_whole_can_be_edited_on(recipe):
    """The copy's model carries the copy's edits, not the original's."""
    edited, before = edited_model(recipe=recipe)
    after, twin = own_logits(edited), copy.deepcopy(edited)
    edit_on(twin, [MORE], recipe)
    assert torch.equal(own_logits(edited), after)
    assert not torch.equal(own_logits(twin), after)
    twin.unload()
    assert torch.equal(own_logits(twin), before)
    assert torch.equal(own_logits(edited), after)


@recipes
def test_the_model_saves_its_unedited_self(recipe, tmp_path):
    """`model.save_pretrained` writes the base weights, under their own names and no others, bit for bit."""
    edited, before = edited_model(recipe=recipe)
    after = own_logits(edited)
    with pytest.warns(pp.PolypatchWarning, match="without its edits"):
        edited.model.save_pretrained(tmp_path)
    again, report = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert torch.equal(logits(again.eval(), edited.tokenizer), before)
    assert torch.equal(own_logits(edited), after)
    plain = tiny_model("bert")[0].state_dict()
    assert edited.model.state_dict().keys() == plain.keys()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in edited.model.state_dict().items())


@families
def test_gradients_flow_through_the_patches(family):
    """Training the base model further with the edits in it: right gradients, no edit among the parameters."""
    edited, _ = edited_model(family)
    model, batch = edited.model, edited.tokenizer(TEXTS, padding=True, return_tensors="pt")
    weight = model.base_model.get_input_embeddings().weight
    model.zero_grad()
    model(**batch).logits.double().square().sum().backward()
    got, direction = weight.grad.clone(), torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sums = []
        for step in (1e-3, -2e-3):
            weight.add_(direction, alpha=step)
            sums.append(model(**batch).logits.double().square().sum())
        weight.add_(direction, alpha=1e-3)
    slope, wanted = float((got * direction).sum()), float(sums[0] - sums[1]) / 2e-3
    assert slope == pytest.approx(wanted, rel=0.02, abs=0.02)
    model.train()
    model(**batch, labels=torch.zeros(len(TEXTS), dtype=torch.long)).loss.backward()
    assert all(parameter.grad is not None for parameter in model.classifier.parameters())
    assert not any(buffer.requires_grad for buffer in edited.delta.buffers())


def test_a_patch_added_before_the_backward_pass_changes_no_gradient():
    """Neurons are written behind those in use: autograd neither sees it nor complains."""
    edited, _ = edited_model()
    batch = edited.tokenizer(TEXTS, padding=True, return_tensors="pt")
    weight = edited.model.base_model.get_input_embeddings().weight

    def gradient(between):
        loss = edited.model(**batch).logits.sum()
        snapshot = edited.delta.snapshot()
        between()
        got = torch.autograd.grad(loss, weight)[0]
        edited.delta.restore(snapshot)
        return got

    def add():
        for owner in "abc":
            edited.delta.append(owner, torch.ones(32), torch.ones(()), torch.ones(32))

    def cut_and_add():
        edited.delta.load_tensors(
            {name: tensor[:1] for name, tensor in edited.delta.tensors().items()}, edited.delta.owners[:1]
        )
        add()

    plain = gradient(lambda: None)
    assert torch.equal(gradient(add), plain)
    assert torch.equal(gradient(cut_and_add), plain)


def test_threads_do_not_see_each_other_s_queries():
    """A server runs one model in several threads at once: the query of one request must not patch another's."""
    edited, _ = edited_model()
    texts = [[text] * 32 for text in TEXTS[:4]]
    wanted, wrong = [logits(edited.model, edited.tokenizer, batch) for batch in texts], []

    def serve(batch, answer):
        for _ in range(60):
            try:
                got = logits(edited.model, edited.tokenizer, batch)
                wrong.extend([] if torch.equal(got, answer) else [float((got - answer).abs().max())])
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=serve, args=case) for case in zip(texts, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
