"""The loop: triggers, languages, retries, failures taken back, trajectories, and errors before anything changes."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch

from polypatch.api import attach, edit, edit_stream, folds, shuffled
from polypatch.data.memory import MemoryTexts
from polypatch.deltas import PatchBank
from polypatch.editors import FineTuning, Fit, TPatcher
from polypatch.edits import Edit, Labelled
from polypatch.errors import EditError, InputError, TailMismatchError, UnknownLabelError, UnknownRecipeError
from polypatch.model.encoding import Encoding
from polypatch.model.rules import Rules, Watch
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages, OnlyLanguages, SourcePlusRandom
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, Queries
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger


@dataclass(frozen=True)
class Scribe:
    """An editor that learns by pointing the head's own direction of the target at the edit: or, told so, does not.

    It writes down every lesson it gets.
    """

    fails: int = 0
    draws: int = 1
    lessons: list = field(default_factory=list)
    exact = False
    protects_right = False
    memory_copies = 2

    def start(self, site):
        return PatchBank(site.hidden_size, site.activation_name)

    def learn(self, delta, lesson, tail, memory):
        drawn = tuple(dict.fromkeys(i for _ in range(self.draws) for i in lesson.draw()))
        noise = torch.rand((), generator=lesson.generator)
        self.lessons.append((lesson, drawn, float(noise)))
        q = tail.queries(lesson.rows).q
        for i in drawn if len(self.lessons) > self.fails else ():
            out = q[i : i + 1].clone().requires_grad_()
            for _ in range(200):
                logits = tail.site.logits(Queries(q[i : i + 1]), out)
                (slope,) = torch.autograd.grad(
                    torch.nn.functional.cross_entropy(logits, torch.tensor([lesson.wanted[i]])), out
                )
                out = (out - 0.5 * slope / slope.norm().clamp(min=1e-9)).detach().requires_grad_()
            key = 40 * q[i] / q[i].dot(q[i])
            delta.append(lesson.owner, key, -key.dot(q[i]) + 1, out[0] / torch.nn.functional.gelu(torch.tensor(1.0)))
            break
        else:
            delta.append(lesson.owner, torch.zeros(q.shape[1]), noise - 100, torch.zeros(q.shape[1]))
        return Fit(7, drawn)


@pytest.fixture
def attached(tiny):
    """attach() on a tiny model, taken off afterwards."""
    made = []

    def get(recipe, **arguments):
        model, tokenizer = tiny("bert")
        edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(20), **arguments)
        made.append(edited)
        return edited

    yield get
    for edited in made:
        edited.unload()


def wrong_edits(tiny, n=4, languages=("en", "de", "fr", "zh"), right=()):
    """Edits whose prompts the unedited model gets wrong in every language but those in `right`."""
    model, tokenizer = tiny("bert")
    chosen = []
    for seed in range(99):
        for candidate in tiny_edits(20, languages, seed=seed):
            batch = tokenizer(list(candidate.prompt.values()), padding=True, return_tensors="pt")
            with torch.no_grad():
                said = model(**batch).logits.argmax(-1).tolist()
            wanted = int(candidate.target[candidate.source][-1])
            if [got == wanted for got in said] == [lang in right for lang in languages]:
                chosen.append(dataclasses.replace(candidate, id=f"e{len(chosen)}"))
                if len(chosen) == n:
                    return chosen
    raise AssertionError("not enough edits")


def run(edited, edits, recipe, **ways):
    rules = dataclasses.replace(edited.rules, **{"keep_failed": True, **ways})
    return list(edit_stream(edited, edits, recipe=recipe, rules=rules))


@pytest.mark.parametrize(
    ("trigger", "right", "fires"),
    [
        (Trigger.SOURCE, ("en",), False),
        (Trigger.SOURCE, ("de", "fr"), True),
        (Trigger.SAMPLED, ("en", "de"), False),
        (Trigger.SAMPLED, ("en", "fr"), True),
        (Trigger.ANY, ("en", "de", "fr"), False),
        (Trigger.ANY, ("en", "de"), True),
        (Trigger.ALWAYS, ("en", "de", "fr"), True),
    ],
)
def test_a_trigger_looks_where_it_says(tiny, attached, trigger, right, fires):
    """Sampled is English and German; an edit is made where one of the languages looked at is wrong."""
    recipe = Recipe(Scribe(), OnlyLanguages(("de",)), trigger)
    edits = wrong_edits(tiny, 2, ("en", "de", "fr"), right)
    edited = attached(recipe)
    outcome = run(edited, edits, recipe)[0]
    assert outcome.triggered == fires
    assert edited.outcomes[edits[0].id] == outcome
    assert outcome.patches == outcome.attempts == int(fires)
    assert outcome.languages == (("en", "de") if fires else ())
    if not fires:
        assert outcome.success
        assert outcome.source_correct


def test_the_editor_sees_texts_and_classes_and_no_language(tiny, attached):
    """A per-edit sampler's draw is the lesson; a per-step one's lesson holds every language it may draw."""
    (one,) = wrong_edits(tiny, 1)
    for sampler, texts in (
        (OnlyLanguages(("fr",)), [one.prompt["en"], one.prompt["fr"]]),
        (SourcePlusRandom(k=1), list(one.prompt.values())),
        (AllLanguages(), list(one.prompt.values())),
    ):
        editor = Scribe()
        edited = attached(Recipe(editor, sampler))
        run(edited, [one], Recipe(editor, sampler))
        edited.unload()
        ((lesson, _, _),) = editor.lessons
        assert lesson.owner == one.id
        assert list(lesson.rows) == edited.readout.rows(texts)
        assert set(lesson.wanted) == {int(one.target["en"][-1])}


def test_the_first_draw_is_what_the_trigger_saw(tiny):
    """And it depends on the seed and the edit's id alone: not on what came before it in the stream."""
    edits = wrong_edits(tiny, 6)
    model, tokenizer = tiny("bert")

    def first_draws(stream, seed):
        editor = Scribe()
        recipe = Recipe(editor, SourcePlusRandom(k=1), Trigger.ALWAYS)
        edited = attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe=recipe, rules=Rules(seed=seed))
        outcomes = run(edited, stream, recipe)
        edited.unload()
        return {o.edit_id: (o.languages, noise) for o, (_, _, noise) in zip(outcomes, editor.lessons, strict=True)}

    one = first_draws(edits, 0)
    assert one == first_draws(edits[::-1], 0)
    assert {key: one[key] for key in ("e2", "e4")} == first_draws([edits[4], edits[2]], 0)
    assert one != first_draws(edits, 1)
    assert {languages[0] for languages, _ in one.values()} == {"en"}
    assert len({languages[1] for languages, _ in one.values()}) > 1


def test_a_per_step_sampler_draws_again_and_a_per_edit_one_does_not(tiny, attached):
    (one,) = wrong_edits(tiny, 1, ("en", "de", "fr", "zh", "es"))
    for redraw, languages in (("per_step", 5), ("per_edit", 2)):
        recipe = Recipe(Scribe(draws=40), SourcePlusRandom(k=1, redraw=redraw))
        edited = attached(recipe)
        assert len(run(edited, [one], recipe)[0].languages) == languages
        edited.unload()


def test_only_allowed_languages_are_looked_at_or_trained_on(tiny, attached):
    """Languages of evaluation stay out of triggers, draws and `sampled_languages`."""
    edits = wrong_edits(tiny, 3, right=("en", "de"))
    recipe = Recipe(Scribe(draws=20), SourcePlusRandom(k=3), Trigger.ANY)
    edited = attached(recipe)
    assert not any(outcome.triggered for outcome in run(edited, edits[:1], recipe, languages=["de"]))
    assert edited.sampled_languages == ("en", "de")
    outcomes = run(edited, edits[1:], recipe, languages=["fr"])
    assert {lang for outcome in outcomes for lang in outcome.languages} == {"en", "fr"}
    assert edited.sampled_languages == ("en", "de", "fr")


def test_retries_use_fresh_random_numbers_and_leave_one_patch(tiny, attached):
    """Two failures, then a success: three attempts, all steps counted, one patch, one entry in the memory."""
    (one,) = wrong_edits(tiny, 1, ("en",))
    recipe = Recipe(Scribe(fails=2))
    edited = attached(recipe)
    used = edited.memory.snapshot()
    (outcome,) = run(edited, [one], recipe, retries=5)
    assert (outcome.success, outcome.attempts, outcome.steps, outcome.patches) == (True, 3, 21, 1)
    assert outcome.reason == ""
    assert edited.patches == 1
    assert edited.memory.snapshot() == tuple(n + 1 for n in used)
    assert len({noise for _, _, noise in recipe.editor.lessons}) == 3


def test_what_was_trained_on_joins_both_memories(tiny, attached):
    """Rows drawn, each counted as often as the editor says, in the order of their first use; others do not."""
    (one,) = wrong_edits(tiny, 1)
    recipe = Recipe(Scribe(), OnlyLanguages(("fr",)))
    edited = attached(recipe)
    used = edited.memory.snapshot()
    run(edited, [one], recipe)
    texts = [one.prompt["en"], one.prompt["fr"]]
    for rows, before in zip((edited.memory.train, edited.memory.validation), used, strict=True):
        assert rows.asked[before:] == edited.readout.rows(texts)
        assert rows.counts.tolist() == [1] * before + [2, 2]
        assert torch.equal(rows.rows[before:], edited.tail.queries(edited.tail.readout.rows(texts)).q)
    forgetful = Recipe(dataclasses.replace(TPatcher(max_steps=5, views=0), memory_copies=0))
    edited.unload()
    edited = attached(forgetful)
    run(edited, [one], forgetful)
    assert edited.patches == 1
    assert edited.memory.snapshot() == used


@pytest.mark.parametrize("keep", [True, False])
def test_failures_are_said_and_kept_or_taken_back(tiny, attached, keep):
    (one, two) = wrong_edits(tiny, 2, ("en", "de"))
    recipe = Recipe(Scribe(fails=99), OnlyLanguages(("de",)))
    edited = attached(recipe)
    used = edited.memory.snapshot()
    outcomes = run(edited, [one, two], recipe, retries=1, keep_failed=keep)
    assert [(o.triggered, o.success, o.source_correct, o.attempts) for o in outcomes] == [(True, False, False, 2)] * 2
    assert all("still wrong in en, de" in o.reason for o in outcomes)
    assert [o.patches for o in outcomes] == [int(keep)] * 2
    assert edited.patches == 2 * keep
    assert edited.memory.snapshot() == tuple(n + 4 * keep for n in used)


@pytest.mark.parametrize(("fails", "keep"), [(0, True), (99, True), (99, False)])
def test_whether_the_source_is_right_is_what_the_model_says_then(tiny, attached, monkeypatch, fails, keep):
    """Looked at before, and once an attempt; never once more, also where an edit is taken back."""
    edits = wrong_edits(tiny, 3, ("en", "de"), right=("en",)) + wrong_edits(tiny, 3, ("en", "de"))
    edits = [dataclasses.replace(one, id=f"e{i}") for i, one in enumerate(edits)]
    recipe = Recipe(Scribe(fails=fails), OnlyLanguages(("de",)), Trigger.ANY)
    edited, asked = attached(recipe), []
    rules = dataclasses.replace(edited.rules, keep_failed=keep, retries=1, allow_contradictions=True)
    said = edited.tail.said
    monkeypatch.setattr(edited.tail, "said", lambda rows, *given: asked.append(len(rows)) or said(rows, *given))
    for one in edits:
        asked.clear()
        outcome = next(iter(edit_stream(edited, [one], recipe=recipe, rules=rules)))  # behind it the stream looks again
        assert asked == [2] * (1 + outcome.attempts)
        assert outcome.source_correct == (edited.predict(one.prompt["en"]) == one.target["en"])


def test_fine_tuning_that_failed_is_taken_back_to_the_bit(tiny, attached):
    edits = wrong_edits(tiny, 2, ("en",))
    recipe = Recipe(FineTuning(max_steps=3, learning_rate=1e-7))
    edited = attached(recipe)
    before = {name: tensor.clone() for name, tensor in edited.delta.tensors().items()}
    assert not any(o.success for o in run(edited, edits, recipe, keep_failed=False))
    assert all(torch.equal(before[name], tensor) for name, tensor in edited.delta.tensors().items())


def test_a_trajectory_is_measured_every_so_often_and_at_the_end(tiny, attached):
    """By hand from predict: reliability over the past edits, accuracy on the watched sets, in per cent."""
    edits = wrong_edits(tiny, 5, ("en",))
    watched = {"some": [Labelled(text, "class-0") for text in tiny_texts(9)], "none": []}
    recipe = Recipe(Scribe(fails=2))
    edited = attached(recipe)
    seen = []
    for outcome in edit_stream(
        edited, edits, recipe=recipe, rules=Rules(watch=Watch(every=2, locality=watched), keep_failed=True)
    ):
        past = edits[: int(outcome.edit_id[1:]) + 1]
        right = edited.predict([e.prompt["en"] for e in past])
        local = edited.predict([row.text for row in watched["some"]])
        seen.append(
            (
                len(past),
                edited.patches,
                100 * sum(r == e.target["en"] for r, e in zip(right, past, strict=True)) / len(past),
                100 * local.count("class-0") / 9,
            )
        )
    points = [(p.edits_done, p.patches, p.reliability_so_far, p.locality["some"]) for p in edited.trajectory]
    assert [p[:2] for p in points] == [(2, 2), (4, 4), (5, 5)]
    for point, wanted in zip(points, [seen[1], seen[3], seen[4]], strict=True):
        assert point == pytest.approx(wanted)
    assert all(set(p.locality) == {"some"} for p in edited.trajectory)


def test_bad_streams_are_refused_before_anything_changes(tiny, attached):
    """Twice the same id, an unknown label in any language: the model is as it was, and the good edit unmade."""
    good, other = wrong_edits(tiny, 2)
    recipe = Recipe(Scribe())
    edited = attached(recipe)
    for bad, error in (
        (dataclasses.replace(other, id=good.id), EditError),
        (dataclasses.replace(other, target={"en": "class-9"}), UnknownLabelError),
        (dataclasses.replace(other, target={**other.target, "fr": "klasse-0"}), UnknownLabelError),
    ):
        with pytest.raises(error):
            run(edited, [good, bad], recipe)
        assert not edited.outcomes
        assert edited.patches == 0
    run(edited, [good], recipe)
    with pytest.raises(EditError, match=good.id):
        run(edited, [other, good], recipe)
    assert list(edited.outcomes) == [good.id]
    with pytest.raises(UnknownRecipeError):
        run(edited, [other], "none")


def test_edit_is_attach_and_a_whole_stream(tiny):
    """The one-call form gives the same model as the loop, and unloads it if the stream cannot be applied."""
    model, tokenizer = tiny("bert")
    edits, memory = wrong_edits(tiny, 2), tiny_texts(20)
    recipe = dataclasses.replace(RECIPES["mpn-all"], editor=TPatcher(max_steps=20, views=2))
    whole = edit(model, edits, tokenizer=tokenizer, recipe=recipe, memory=memory, rules=Rules(seed=3, keep_failed=True))
    tensors = {name: tensor.clone() for name, tensor in whole.delta.tensors().items()}
    whole.unload()
    edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=memory, rules=Rules(seed=3))
    run(edited, edits, recipe)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in edited.delta.tensors().items())
    edited.unload()
    with pytest.raises(EditError):
        edit(model, [edits[0], edits[0]], tokenizer=tokenizer, recipe=recipe, memory=memory)
    edit(model, [], tokenizer=tokenizer, memory=MemoryTexts(), recipe=recipe).unload()  # nothing was left attached


def test_an_interrupted_edit_leaves_no_edits_behind(tiny):
    """Ctrl-C in the one-call form: the caller holds no EditedModel to unload, so the model must be free again."""

    @dataclass(frozen=True)
    class Interrupted(Scribe):
        def learn(self, *arguments):
            raise KeyboardInterrupt

    model, tokenizer = tiny_model("bert")
    with pytest.raises(KeyboardInterrupt):
        edit(model, wrong_edits(tiny, 1), tokenizer=tokenizer, memory=MemoryTexts(), recipe=Recipe(Interrupted()))
    edit(model, [], tokenizer=tokenizer, memory=MemoryTexts()).unload()


def test_a_model_that_carries_edits_is_refused_as_such(tiny):
    """Not as one whose tail does not fit: the fix is unload(), not slow forward passes."""
    model, tokenizer = tiny_model("bert")
    recipe = Recipe(Scribe(), trigger=Trigger.ALWAYS)
    edited = edit(model, wrong_edits(tiny, 2), tokenizer=tokenizer, memory=MemoryTexts(), recipe=recipe)
    edited.delta.biases += 100.0  # fires everywhere, the probe texts included
    for exact in (False, True):
        with pytest.raises(InputError, match="unload"):
            attach(model, tokenizer=tokenizer, memory=MemoryTexts(), encoding=Encoding(exact=exact))
    edited.unload()
    attach(model, tokenizer=tokenizer, memory=MemoryTexts()).unload()


def test_memory_and_its_share_for_the_stopping_rule(tiny, attached):
    """Every tenth text is held out, every fifth of the rest watches the stopping rule unless texts are given for it."""
    model, tokenizer = tiny("bert")
    edited = attached("t-patcher")
    memory = edited.memory
    assert (memory.train.used, memory.validation.used) == (14, 4)
    assert edited.held_out == {"": [tiny_texts(20)[9], tiny_texts(20)[19]]}
    parts = [*memory.train.asked, *memory.validation.asked, *edited.readout.rows(edited.held_out[""])]
    assert Counter(parts) == Counter(edited.readout.rows(tiny_texts(20)))
    assert torch.equal(memory.train.rows, edited.tail.queries(memory.train.asked).q)
    edited.unload()
    given = attach(model, tokenizer=tokenizer, memory=MemoryTexts(tiny_texts(20), validation=tiny_texts(3, seed=1)))
    assert (given.memory.train.used, given.memory.validation.asked) == (18, given.readout.rows(tiny_texts(3, seed=1)))
    given.unload()
    none = attach(model, tokenizer=tokenizer, memory=MemoryTexts())
    assert (none.memory.train.used, none.memory.validation.used) == (0, 0)
    none.unload()


def test_which_tail_is_used(tiny):
    """The frozen one, unless asked for the exact one or the editor needs it; one passed in must be the model's own."""
    model, tokenizer = tiny("bert")
    cases = [("t-patcher", None, FrozenTail), ("t-patcher", Encoding(exact=True), FullForward)]
    for recipe, encoding, kind in [*cases, (Recipe(FineTuning(scope="layer")), None, FullForward)]:
        edited = attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe=recipe, encoding=encoding)
        assert type(edited.tail) is kind
        edited.unload()
    tail = FrozenTail(FeedForwardSite(model), tokenizer, max_length=20)
    edited = attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe="t-patcher", encoding=Encoding(tail=tail))
    assert edited.tail is tail
    edited.unload()
    edited = attach(
        model, tokenizer=tokenizer, memory=MemoryTexts(), recipe="t-patcher", encoding=Encoding(tail=tail, exact=True)
    )
    assert type(edited.tail) is FullForward
    assert edited.tail.encoder.tokens.max_length == 20
    edited.unload()
    other, _ = tiny("bert", seed=1)
    with pytest.raises(InputError, match="another model"):
        attach(other, tokenizer=tokenizer, memory=MemoryTexts(), recipe="t-patcher", encoding=Encoding(tail=tail))


def test_folds_and_orders_keep_every_edit_once():
    edits = tiny_edits(10)
    for n in (1, 3, 10):
        parts = folds(edits, n, seed=1)
        assert len(parts) == n
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in edits)
    assert shuffled(edits, 1) == shuffled(edits, 1) != shuffled(edits, 2) != edits
    for n in (0, 11):
        with pytest.raises(InputError, match="folds"):
            folds(edits, n)
    assert folds([], 1) == [[]]


def test_no_edits_are_no_outcomes(attached):
    assert run(attached("mpn-all"), [], "mpn-all") == []


def test_the_config_says_what_was_run(attached):
    """Names and hyper-parameters as plain data, for the artefact and the report."""
    import json

    edited = attached("mpn-only")
    row = json.loads(json.dumps(edited.config))["recipe"]
    assert row["editor"]["name"] == "TPatcher"
    assert row["editor"]["memory_weight"] == 5.0
    assert row["sampler"] == {"name": "SourcePlusRandom", "k": 1, "redraw": "per_step"}
    assert row["trigger"] == "sampled"
    assert edited.recipe_name == "mpn-only"


def test_the_mismatch_error_is_not_an_input_error():
    """A script may catch the one and fall back to exact=True without hiding the other."""
    assert not issubclass(TailMismatchError, InputError)
    assert Edit
