from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.edits import Edit, Labelled
from polypatch.errors import EditError, UnknownLabelError
from polypatch.evaluation import evaluate
from polypatch.outcomes import TrajectoryPoint

from .fakes import EDITS, LABELS, LOCALITY, OUTCOMES, FakeEdited, golden, outcome

THIRD = pytest.approx(100 / 3)
TWO_THIRDS = pytest.approx(200 / 3)


@pytest.fixture(scope="module")
def report():
    return evaluate(golden(trajectory=[TrajectoryPoint(4, 2)]), EDITS, LOCALITY, config={"lr": 0.01})


def test_golden_final_metrics(report):
    assert report.reliability == 75
    assert report.mlg == 75
    assert report.clg == {"de": 100, "fr": 50, "zh": TWO_THIRDS}
    assert report.clg_avg == pytest.approx((100 + 50 + 200 / 3) / 3)
    assert report.clg_rephrase == 75


def test_golden_splits(report):
    # triggered: e1 (trained on de), e2 (trained on en only); sampled: de, fr
    assert report.clg_seen == 100  # e1 de
    assert report.clg_unseen == 50  # e1 fr wrong, e2 de right
    assert report.clg_never == TWO_THIRDS  # zh


def test_golden_locality(report):
    assert report.locality == {
        "train": (50, TWO_THIRDS, 25),
        "test.de": (100, 200, 50),
        "empty": (None, None, None),
    }


def test_golden_cost(report):
    assert (report.recipe, report.seed, report.patches, report.edits, report.triggered) == ("mpn-all", 0, 2, 4, 2)
    assert report.seconds_per_edit == 3  # (2 + 4) / 2 triggered
    assert report.kilobytes_per_edit == 2  # 4 / 2 triggered
    assert report.seconds_total == 7
    assert report.success_rate == 50
    assert report.retries == 2
    assert report.trajectory == (TrajectoryPoint(4, 2),)
    assert report.config == {"lr": 0.01}


def test_golden_original(report):
    original = report.original
    assert (original.recipe, original.patches, original.triggered) == ("original", 0, 0)
    assert original.reliability == 25
    assert original.source_errors == report.source_errors == 3
    assert original.mlg == 0
    assert original.clg == {"de": THIRD, "fr": 50, "zh": THIRD}
    assert (original.clg_seen, original.clg_unseen) == (0, 50)  # on the edited model's cells
    assert (original.clg_never, original.clg_rephrase) == (THIRD, 0)
    assert original.locality["train"] == (75, 100, 100)
    assert original.seconds_per_edit is None
    assert original.success_rate is None


def test_golden_prompts(report):
    """Every prompt with its answers, edit by edit, which add up to the cells."""
    assert [(one.edit, one.lang) for one in report.prompts] == [
        *(("e1", lang) for lang in ("en", "de", "fr", "zh")),
        *(("e2", lang) for lang in ("en", "de", "zh")),
        *(("e3", lang) for lang in ("en", "de", "fr")),
        *(("e4", lang) for lang in ("en", "zh")),
    ]
    assert report.prompts[1] == ("e1", "de", "e1 de", "yes", "no", "yes", False, True, False, True)
    assert report.prompts[7] == ("e3", "en", "e3 en", "no", "no", "no", True, True, True, False)
    cells = report.cells
    for one in report.prompts:
        at = cells.edits.index(one.edit), cells.languages.index(one.lang)
        assert (cells.before[at], cells.after[at]) == (one.right_before, one.right_after)
        assert (cells.source[at], cells.trained[at]) == (one.source, one.trained)
    assert len(report.prompts) == (cells.before >= 0).sum()
    assert "prompts" not in report.to_row()


def test_each_distinct_text_is_asked_once_in_one_call():
    edited = golden()
    evaluate(edited, [*EDITS, replace(EDITS[0], id="again")], {**LOCALITY, "more": LOCALITY["train"]})
    (asked,) = edited.asked
    assert len(asked) == len(set(asked))


def test_languages_restricts_the_parallel_sets_and_keeps_the_source():
    report = evaluate(golden(), EDITS, languages=["de"])
    assert report.clg == {"de": 100}
    assert report.reliability == 75
    assert report.clg_rephrase == 50
    assert report.clg_never is None


def test_a_language_that_was_trained_on_is_not_never():
    outcomes = {**OUTCOMES, "e2": outcome("e2", "en", "zh")}
    report = evaluate(replace(golden(), outcomes=outcomes), EDITS)
    assert report.clg_never is None
    assert report.cells.sampled == {"en", "de", "fr", "zh"}


def test_an_edit_without_an_outcome_was_not_triggered():
    report = evaluate(replace(golden(), outcomes={}), EDITS)
    assert report.clg_seen is None
    assert report.clg_unseen is None
    assert report.clg_never == TWO_THIRDS
    assert report.seconds_per_edit is None


def test_immediate_is_told_from_the_outcomes_alone():
    edited = golden()
    report = evaluate(edited, EDITS, LOCALITY, when="immediate")
    assert edited.asked == []
    assert report.reliability == 75  # e4 stayed wrong
    assert report.success_rate == 50
    assert report.when == "immediate"
    assert (report.mlg, report.clg_avg, report.clg, report.locality, report.original) == (None, None, {}, {}, None)


def test_immediate_leaves_out_edits_without_an_outcome():
    report = evaluate(golden(), [*EDITS, Edit("late", {"en": "e1 en"}, {"en": "yes"})], when="immediate")
    assert report.reliability == 75


def test_targets_may_differ_by_language():
    edit = Edit("a", {"en": "x", "de": "y"}, {"en": "yes", "de": "no"})
    report = evaluate(FakeEdited({"x": ("no", "yes"), "y": ("yes", "no")}), [edit])
    assert (report.reliability, report.clg) == (100, {"de": 100})


def test_pairs_are_texts():
    edit = Edit("a", {"en": ("p", "h")}, {"en": "yes"})
    assert evaluate(FakeEdited({("p", "h"): ("no", "yes")}), [edit]).reliability == 100


def test_nothing_at_all():
    edited = FakeEdited({})
    report = evaluate(edited, [], {"train": []})
    assert edited.asked == []
    assert report.reliability is None
    assert report.locality["train"] == (None, None, None)
    assert report.original.reliability is None


@pytest.mark.parametrize("when", ["final", "immediate"])
def test_an_unknown_target_is_named(when):
    edit = Edit("e9", {"en": "x"}, {"en": "maybe"})
    with pytest.raises(UnknownLabelError, match=r"edit 'e9', target\[en\]: 'maybe' .*it has 2: no, yes"):
        evaluate(FakeEdited({}), [edit], when=when)


def test_an_unknown_locality_label_is_named():
    with pytest.raises(UnknownLabelError, match=r"locality\[test\]\[1\]: 'ja'"):
        evaluate(FakeEdited({}), [], {"test": [Labelled("a", "yes"), Labelled("b", "ja")]})


def test_two_edits_with_one_id():
    with pytest.raises(EditError, match="'e1'"):
        evaluate(golden(), [EDITS[0], EDITS[0]])


def test_a_model_that_answers_too_little():
    class Short(FakeEdited):
        def answers_before_after(self, texts):
            return np.array(["yes"]), np.array(["yes"]), np.zeros(1)

    with pytest.raises(ValueError, match="texts were asked"):
        evaluate(Short({}), EDITS)


def test_how_sure_the_model_is_of_what_was_mended():
    """Mended: e1 and e2 in en and de, e2 in zh, e3 in fr; kept: e3 in en and de, e1 in zh."""
    sure = {"e1 en": 0.9, "e1 de": 0.4, "e2 en": 0.3, "e2 de": 0.5, "e2 zh": 0.1, "e3 fr": 0.8}
    kept = {"e3 en": 0.2, "e3 de": 0.8, "e1 zh": 0.7}
    report = evaluate(golden(confidence={**sure, **kept, "e4 en": 0.01, "e1 fr": 0.01}), EDITS, LOCALITY)
    assert report.confidence == pytest.approx(50)
    assert report.below_half == 50
    assert report.below_half_kept == pytest.approx(100 / 3)
    assert report.original.confidence is report.original.below_half is None
    assert "Confidence" in report.to_markdown()
    nothing = evaluate(FakeEdited({"e4 en": ("no", "no")}, {}), [EDITS[3].only(["en"])])
    assert nothing.confidence is nothing.below_half is nothing.below_half_kept is None


LANGUAGES = ("en", "de", "fr", "zh")


@st.composite
def streams(draw):
    """Random edits in random languages, random answers, random training."""
    edits, answers, outcomes = [], {}, {}
    for i in range(draw(st.integers(1, 5))):
        others = draw(st.sets(st.sampled_from(LANGUAGES[1:])))
        prompt = {lang: f"{i} {lang}" for lang in LANGUAGES if lang == "en" or lang in others}
        edits.append(Edit(str(i), prompt, {"en": draw(st.sampled_from(["yes", "no"]))}))
        for text in prompt.values():
            answers[text] = (draw(st.sampled_from(["yes", "no"])), draw(st.sampled_from(["yes", "no"])))
        trained = draw(st.lists(st.sampled_from(sorted(prompt)), unique=True))
        outcomes[str(i)] = outcome(str(i), *trained, triggered=bool(trained))
    sampled = draw(st.sets(st.sampled_from(LANGUAGES)))
    return edits, FakeEdited(answers, outcomes, ("en", *sampled))


@given(streams())
def test_seen_and_unseen_are_all_cells_of_the_triggered_edits(stream):
    edits, edited = stream
    cells = evaluate(edited, edits).cells
    triggered = {edit.id for edit in edits if edited.outcomes[edit.id].triggered}
    expected = sum(lang in cells.sampled and edit.id in triggered for edit in edits for lang in edit.languages[1:])
    assert cells.seen.sum() + cells.unseen.sum() == expected
    parts = np.stack([cells.seen, cells.unseen, cells.never, cells.untriggered])
    assert np.array_equal(parts.sum(axis=0), cells.parallel.astype(int))


@given(streams())
def test_percentages_are_within_bounds(stream):
    report = evaluate(stream[1], stream[0])
    for one in (report, report.original):
        numbers = [one.reliability, one.mlg, one.clg_avg, one.clg_seen, one.clg_unseen, one.clg_never]
        assert all(value is None or 0 <= value <= 100 for value in [*numbers, *one.clg.values()])


@given(streams())
def test_an_unedited_model_reports_its_original(stream):
    edits, edited = stream
    same = replace(edited, answers={text: (was, was) for text, (was, _) in edited.answers.items()})
    sets = {"train": [Labelled(text, LABELS[0]) for text in edited.answers]}
    report = evaluate(same, edits, sets)
    assert report.locality["train"].agreement == 100
    assert (report.clg, report.clg_seen, report.reliability) == (
        report.original.clg,
        report.original.clg_seen,
        report.original.reliability,
    )
