"""DiscriminantPatch: its key is the linear discriminant, and no row of the memory changes unless it must."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polypatch import attach, edit_stream
from polypatch.data.memory import MemoryTexts
from polypatch.editors import DiscriminantPatch, FineTuning, Lesson, Memory, MemoryRows
from polypatch.editors.discriminant import _halves
from polypatch.editors.keys import discriminant
from polypatch.editors.moments import Moments
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.model.rules import Rules
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages, SourceOnly
from polypatch.testing import tiny_edits, tiny_texts
from polypatch.triggers import Trigger

RECIPE = Recipe(DiscriminantPatch(tolerance=0), AllLanguages(), Trigger.ANY)


def rows(n, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(1, 4), st.integers(1, 8)), max_size=6))
def test_moments_are_those_of_the_rows_and_do_not_depend_on_when_they_were_asked_for(base, appended):
    once = MemoryRows([""] * base, rows(base))
    often = MemoryRows([""] * base, rows(base))
    late, early = Moments(once), Moments(often)
    for i, (n, count) in enumerate(appended):
        for memory in (once, often):
            memory.append([""] * n, rows(n, seed=i + 1), count)
        early.of(often)
    mean, covariance = late.of(once)
    weighted = once.rows.double().repeat_interleave(once.counts, dim=0)
    torch.testing.assert_close(mean, weighted.mean(0))
    torch.testing.assert_close(covariance, torch.cov(weighted.T, correction=0).reshape(6, 6))
    assert all(torch.equal(a, b) for a, b in zip(early.of(often), (mean, covariance), strict=True))


def test_moments_follow_a_memory_that_is_cut():
    memory = MemoryRows([""] * 9, rows(9))
    moments = Moments(memory)
    first = moments.of(memory)
    for i in range(4):
        memory.append([""], rows(1, seed=i + 1), 1)
        moments.of(memory)
    for used in (12, 10, 9):
        memory.cut(used)
        fresh = MemoryRows([""] * 9, rows(9))
        for i in range(used - 9):
            fresh.append([""], rows(1, seed=i + 1), 1)
        assert all(torch.equal(a, b) for a, b in zip(moments.of(memory), Moments(fresh).of(fresh), strict=True))
    assert torch.equal(moments.of(memory)[0], first[0])


def test_the_key_is_the_linear_discriminant():
    memory, q = MemoryRows([""] * 200, rows(200)), rows(3, seed=5)
    key = discriminant(q, memory, 0.1, scatter=2.0)
    inside = torch.cov(q.T.double(), correction=0)
    total = torch.cov(memory.rows.T.double(), correction=0)
    mean = memory.rows.double().mean(0)
    away = q.double().mean(0) - mean
    wanted = torch.linalg.inv(total + 2 * inside + 0.1 * total.trace() / 6 * torch.eye(6)) @ away
    torch.testing.assert_close(key.double(), wanted / (wanted @ away), rtol=1e-4, atol=1e-6)
    # The edit's mean is at 1 from the memory's, along the key.
    assert float(key.double() @ away) == pytest.approx(1.0, abs=1e-5)


def flat(kind, n, seed):
    """Rows that span next to nothing: one text over and over, one direction, or zeros."""
    one = rows(1, seed=seed)
    along = torch.linspace(-1, 1, n).unsqueeze(1)
    return {
        "same": one.repeat(n, 1),
        "rank one": along * one,
        "shifted": one + 1e-7 * rows(n, seed=1),
        "zero": 0 * one,
    }[kind].expand(n, 6)


KINDS = st.sampled_from(["same", "rank one", "shifted", "zero"])


@given(KINDS, st.integers(0, 3), KINDS, st.integers(1, 3), st.sampled_from([1e-3, 1.0, 1e3]), st.booleans())
def test_a_memory_and_edits_that_span_nothing_still_give_a_key(kind, n, edited, m, size, apart):
    memory, q = MemoryRows([""] * n, size * flat(kind, n, 7)), size * flat(edited, m, 8 if apart else 7)
    away = q.double().mean(0) - (memory.rows.double().mean(0) if n else 0.0)
    key = discriminant(q, memory, 0.00003, scatter=4.0)  # was an exception from the Cholesky factor
    if float(away.norm()) > 1e-5 * size:
        assert float(key.double() @ away) == pytest.approx(1.0, abs=1e-3)


def test_queries_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        discriminant(rows(2) / 0, MemoryRows([""] * 9, rows(9)), 0.03, scatter=4.0)


@pytest.mark.parametrize(
    "memory",
    [[], ["only one"], ["only one", "and another"], [f"{'ba ' * 70}{end}" for end in ("one", "two", "three")]],
    ids=["none", "one", "two", "equal after truncation"],
)
def test_edits_beside_next_to_no_memory_are_made_and_hold(tiny, memory):
    """The covariance of so little is 0, and a matrix of zeros has no Cholesky factor."""
    model, tokenizer = tiny("bert")
    english = [edit.only(["en"]) for edit in tiny_edits(12)]
    edited = attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=MemoryTexts(memory))
    try:
        wrong = [edit for edit in english if edited.predict(edit.prompt["en"]) != edit.target_in("en")][:3]
        assert edited.edit(wrong)[0].status == "taken"
        assert edited.edit(english[12:]) == []
        right = [edited.predict(edit.prompt["en"]) == edit.target_in("en") for edit in wrong]
        assert right == [outcome.success for outcome in edited.outcomes.values()]
    finally:
        edited.unload()


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    made = attach(model, tokenizer=tokenizer, recipe=RECIPE, memory=tiny_texts(60, seed=3), rules=Rules(seed=1))
    yield made
    made.unload()


def answers(edited, texts):
    return said(edited, edited.readout.rows(texts))


def said(edited, rows):
    return edited.tail.said(rows, edited.delta).ids.tolist()


def test_no_text_of_the_memory_and_no_earlier_edit_changes_its_answer(edited):
    memory = [*edited.memory.train.asked, *edited.memory.validation.asked]
    before, took = said(edited, memory), 0
    protected = []
    for edit, outcome in zip(tiny_edits(12), edit_stream(edited, tiny_edits(12)), strict=True):
        assert said(edited, memory) == before
        for text, answer in protected:
            assert answers(edited, [text]) == [answer]
        if outcome.success:
            took += outcome.triggered
            texts = [edit.prompt[lang] for lang in outcome.languages or edit.languages]
            protected += [(text, answers(edited, [text])[0]) for text in texts]
    assert took >= 3


def test_an_edit_that_was_right_already_is_protected(edited):
    right = next(e for e in tiny_edits(30) if edited.predict([*e.prompt.values()]) == [e.target_in("en")] * 3)
    (outcome,) = edit_stream(edited, [right])
    assert not outcome.triggered
    assert edited.memory.train.asked[-3:] == edited.readout.rows([right.prompt[lang] for lang in right.languages])


def test_t_patcher_remembers_what_it_trained_on_alone(tiny):
    model, tokenizer = tiny("electra")
    patcher = attach(model, tokenizer=tokenizer, recipe="t-patcher", memory=tiny_texts(20))
    try:
        fine = next(e for e in tiny_edits(30) if patcher.predict(e.prompt["en"]) == e.target_in("en"))
        list(edit_stream(patcher, [fine]))
        assert patcher.memory.train.used == patcher.memory.train.base
    finally:
        patcher.unload()


def lesson(rows, wanted):
    return Lesson("x", rows, wanted, lambda: range(len(rows)), torch.Generator())


def test_a_text_of_the_memory_itself_cannot_be_edited_and_leaves_no_patch(edited):
    row = edited.memory.train.asked[0]
    wrong = 1 - said(edited, [row])[0] if said(edited, [row])[0] < 2 else 0
    fit = RECIPE.editor.learn(edited.delta, lesson([row], [wrong]), edited.tail, edited.memory)
    assert edited.delta.patches == 0
    assert "1 of 1 texts cannot be told from the memory" in fit.reason
    # One row may change: then it is that one.
    lenient = dataclasses.replace(RECIPE.editor, tolerance=1)
    assert not lenient.learn(edited.delta, lesson([row], [wrong]), edited.tail, edited.memory).reason
    assert said(edited, [row]) == [wrong]


def test_texts_that_one_neuron_cannot_hold_get_several(edited):
    texts = tiny_texts(6, seed=77)
    # Opposite answers: no value can give them both with one neuron's sign.
    before = answers(edited, texts)
    targets = [(answer + 1 + i % 2) % 3 for i, answer in enumerate(before)]
    fit = RECIPE.editor.learn(edited.delta, lesson(edited.readout.rows(texts), targets), edited.tail, edited.memory)
    assert edited.delta.patches > 1
    assert set(edited.delta.owners) == {"x"}
    taken = [i for i in fit.drawn if answers(edited, [texts[i]]) == [targets[i]]]
    assert len(taken) >= 4


def test_halves_part_what_is_farthest_apart_and_the_first_text_leads():
    q = torch.tensor([[0.0], [10.0], [1.0], [9.0]])
    assert _halves(q, [4, 5, 6, 7]) == ([4, 6], [5, 7])
    assert _halves(q.flip(0), [4, 5, 6, 7]) == ([4, 6], [5, 7])
    # Texts that are all the same are parted as well: it must come to an end.
    groups = _halves(torch.zeros(3, 2), [0, 1, 2])
    assert all(groups)
    assert sorted(groups[0] + groups[1]) == [0, 1, 2]


def sure(edited, texts, targets):
    logits = edited.tail.logits(edited.tail.readout.rows(texts), edited.delta).double().softmax(-1)
    return logits.gather(1, torch.tensor(targets).unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("confidence", [0.3, 0.5, 0.9])
def test_a_neuron_gives_its_texts_the_confidence_that_is_asked_for(edited, confidence):
    texts = tiny_texts(12, seed=77)
    targets = edited.tail.logits(edited.tail.readout.rows(texts), edited.delta).argmin(-1).tolist()
    least: dict[float, list[float]] = {0.0: [], confidence: []}
    empty = edited.delta.snapshot()
    for asked, found in least.items():
        editor = dataclasses.replace(RECIPE.editor, margin=0.01, confidence=asked, tolerance=6)
        for text, target in zip(texts, targets, strict=True):
            editor.learn(edited.delta, lesson(edited.readout.rows([text]), [target]), edited.tail, edited.memory)
            if edited.delta.patches:
                assert answers(edited, [text]) == [target]
                found.append(float(sure(edited, [text], [target])))
            edited.delta.restore(empty)
    assert len(least[confidence]) > 6
    assert min(least[confidence]) >= confidence
    assert min(least[0.0]) < 0.5


def test_an_answer_stays_where_the_projections_end_before_it_is_sure_and_the_outcome_says_so(edited):
    hasty = dataclasses.replace(RECIPE.editor, confidence=0.999, max_steps=1, tolerance=6)
    wrong = [edit for edit in tiny_edits(12) if edited.predict(edit.prompt["en"]) != edit.target_in("en")]
    outcomes = edited.edit(wrong, recipe=dataclasses.replace(RECIPE, editor=hasty))
    taken = [outcome for outcome in outcomes if outcome.status == "taken"]
    assert taken
    assert all(0 < outcome.confidence < 0.999 for outcome in taken)
    last, edit = outcomes[-1], wrong[-1]
    texts = [edit.prompt[lang] for lang in last.languages]
    assert last.confidence == float(sure(edited, texts, [edited.class_of(edit.target_in("en"))] * len(texts)).min())
    assert all(outcome.confidence is None for outcome in outcomes if not outcome.success)


def test_without_a_memory_it_edits_all_the_same(tiny):
    model, tokenizer = tiny("bert")
    edited = attach(
        model,
        tokenizer=tokenizer,
        memory=MemoryTexts(),
        recipe=Recipe(DiscriminantPatch(), SourceOnly(), Trigger.SOURCE),
    )
    try:
        assert any(outcome.triggered and outcome.success for outcome in edit_stream(edited, tiny_edits(6)))
    finally:
        edited.unload()


def test_it_grows_patches_and_nothing_else(edited):
    weights = FineTuning().start(edited.site)
    with pytest.raises(UnsupportedModelError, match="DiscriminantPatch grows a PatchBank"):
        RECIPE.editor.learn(weights, lesson(["a"], [0]), edited.tail, edited.memory)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shrinkages": ()}, "at least 1 of them"),
        ({"shrinkages": (0.1, 0.0)}, "above 0"),
        ({"shrinkages": (float("nan"),)}, "above 0"),
        ({"places": ()}, "at least 1 of them"),
        ({"places": (0.5, 1.0)}, "below 1"),
        ({"tolerance": -1}, "not -1"),
    ],
)
def test_settings_that_make_no_neuron_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        DiscriminantPatch(**settings)


def on_a_sphere(n, d, seed):
    made = rows(n, d, seed)
    return made / made.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("where", ["memory", "others"])
def test_a_text_beside_rows_that_are_all_but_its_equals_is_told_from_them_in_a_few_rounds(where):
    """Of points on a sphere each is apart from all others, and the discriminant of the whole memory does not see it."""
    q, few = on_a_sphere(1, 64, seed=1), on_a_sphere(5, 64, seed=4)
    close = q + 0.15 * on_a_sphere(4, 64, seed=2)
    close, far = close / close.norm(dim=1, keepdim=True), on_a_sphere(2000, 64, seed=3)
    train, others = (torch.cat([far, close]), few) if where == "memory" else (far, close)
    whole = Memory(MemoryRows([""] * len(train), train), MemoryRows([""] * 5, few))

    def gaps(editor):
        for look, allowed in editor._looks(q, whole, others):
            looked = look(editor.shrinkages[-1])
            yield float((q @ looked.key).min() - looked.loudest(allowed))

    editor = DiscriminantPatch(tolerance=0)
    assert max(gaps(dataclasses.replace(editor, near_rounds=0))) < editor.separation
    assert max(gaps(editor)) > editor.separation


def test_a_key_is_the_blinder_along_a_row_the_oftener_it_stands_there():
    memory, q = MemoryRows([""] * 500, rows(500)), rows(1, seed=5)
    near = q + 0.3 * rows(2, seed=6)
    mean = memory.rows.double().mean(0)
    found = []
    for often in (0, 1, 40):
        key = discriminant(q, memory, 0.03, 4.0, near.repeat(often, 1)).double()
        assert float((q.double()[0] - mean) @ key) == pytest.approx(1.0, abs=1e-5)
        found.append(float(((near - mean) @ key).abs().max()))
    assert found[0] > 0.5
    assert found[2] < 0.1 < found[1] < found[0]
