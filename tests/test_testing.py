"""The checker itself: it passes what is right, and names the law that a wrong editor breaks."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from polypatch.deltas import PatchBank
from polypatch.editors import FineTuning, Fit, TPatcher
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import SourceOnly
from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_bits
from polypatch.testing.tiny import FAMILIES
from polypatch.triggers import Trigger


@dataclass(frozen=True, kw_only=True)
class Honest:
    """A small right editor: one neuron, its value drawn from the lesson's generator. Others break it one way each."""

    exact = False
    protects_right = False
    memory_copies = 1
    strength: float = 1.0

    def start(self, site):
        return PatchBank(site.hidden_size, site.activation_name, site.device)

    def noise(self, lesson, tail, q):
        return torch.randn(q.shape, generator=lesson.generator)

    def learn(self, delta, lesson, tail, memory):
        picks = tuple(dict.fromkeys(lesson.draw()))
        q = tail.queries(lesson.rows).q[0]
        value = self.noise(lesson, tail, q)
        delta.append(lesson.owner, self.strength * q / q.dot(q), torch.zeros(()), value)
        return Fit(1, picks)


class GlobalNoise(Honest):
    def noise(self, lesson, tail, q):
        return torch.randn(q.shape)


class NumpyNoise(Honest):
    def noise(self, lesson, tail, q):
        return torch.from_numpy(np.random.randn(len(q)).astype("float32"))  # noqa: NPY002


class CountsItsCalls(Honest):
    """Remembers in the editor what it should keep in the delta."""

    calls = 0

    def noise(self, lesson, tail, q):
        type(self).calls += 1
        return torch.full_like(q, float(self.calls))


class WritesWeights(Honest):
    def noise(self, lesson, tail, q):
        with torch.no_grad():
            tail.site.layer.writer.bias.add_(1e-3)
        return super().noise(lesson, tail, q)


class FreezesWeights(Honest):
    def noise(self, lesson, tail, q):
        tail.site.model.requires_grad_(False)
        return super().noise(lesson, tail, q)


class LeavesTrainMode(Honest):
    def noise(self, lesson, tail, q):
        tail.site.model.base_model.train()
        return super().noise(lesson, tail, q)


class LeavesAHook(Honest):
    def noise(self, lesson, tail, q):
        tail.site.layer.norm.register_forward_hook(lambda *_: None)
        return super().noise(lesson, tail, q)


class AppendsForAnother(Honest):
    def learn(self, delta, lesson, tail, memory):
        fit = super().learn(delta, lesson, tail, memory)
        delta.owners[-1] = "somebody"
        return fit


class LooseBank(PatchBank):
    """Answers differently in the tail and in the model: it sees how many rows there are."""

    def forward(self, q, out):
        return torch.cat([out[:, :1] + len(q), out[:, 1:]], dim=1)


class SeesBatches(Honest):
    def start(self, site):
        return LooseBank(site.hidden_size, site.activation_name, site.device)


class DropsTheFirst(PatchBank):
    """Takes out somebody else's neuron."""

    def drop(self, edit_ids):
        if self.owners:
            super().drop({self.owners[0]})


class KeepsAHalf(PatchBank):
    """Writes a journal that is not what the bank holds."""

    def since(self, patches):
        return {name: tensor / 2 for name, tensor in super().since(patches).items()}


class SaysItCannotMerge(PatchBank):
    """And merges all the same: a law that would be skipped."""

    mergeable = False


class Unmergeable(Honest):
    def start(self, site):
        return SaysItCannotMerge(site.hidden_size, site.activation_name, site.device)


class DropsAnother(Honest):
    def start(self, site):
        return DropsTheFirst(site.hidden_size, site.activation_name, site.device)


class JournalsAnother(Honest):
    def start(self, site):
        return KeepsAHalf(site.hidden_size, site.activation_name, site.device)


class Reminded(Honest):
    """Learns from how much it remembers: forgetting a reverted edit must show in the next."""

    def noise(self, lesson, tail, q):
        return super().noise(lesson, tail, q) + self.seen

    def learn(self, delta, lesson, tail, memory):
        object.__setattr__(self, "seen", float(memory.train.used))
        return super().learn(delta, lesson, tail, memory)


def broken(editor, trigger=Trigger.SOURCE):
    model, tokenizer = tiny_model("bert")
    check_editor(Recipe(editor, SourceOnly(), trigger), model, tokenizer, tiny_edits(3), tiny_texts(10))


def test_a_right_editor_passes():
    broken(Honest())
    broken(Reminded())


@pytest.mark.parametrize(
    ("editor", "law"),
    [
        (GlobalNoise(), "global random state untouched"),
        (NumpyNoise(), "global random state untouched"),
        (CountsItsCalls(), "same seed ≡ same tensors"),
        (WritesWeights(), "tail ≡ full forward|disabled ≡ base|base weights never change"),
        (FreezesWeights(), "base weights never change"),
        (LeavesTrainMode(), "base weights never change"),
        (LeavesAHook(), "base weights never change"),
        (AppendsForAnother(), "honest outcomes"),
        (DropsAnother(), "reverting the last ≡ never made|reverting all"),
        (JournalsAnother(), "interrupted and resumed ≡ uninterrupted"),
        (Unmergeable(), "not mergeable, yet merge_cost gives a MergeCost"),
        (SeesBatches(), "no edit ≡ base|tail ≡ full forward"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_wrong_editor_is_caught_by_name(editor, law):
    with pytest.raises(AssertionError, match=law):
        broken(editor)


def test_a_failed_check_leaves_the_model_unattached():
    model, tokenizer = tiny_model("bert")
    for _ in range(2):
        with pytest.raises(AssertionError, match="same seed"):
            check_editor(Recipe(CountsItsCalls()), model, tokenizer, tiny_edits(3), tiny_texts(10))


def test_edits_that_show_nothing_are_refused(tiny):
    """A checker that checks nothing would be green: one edit, or none that is triggered, is an error."""
    model, tokenizer = tiny("bert")
    quick = dataclasses.replace(RECIPES["t-patcher"], editor=TPatcher(max_steps=5))
    with pytest.raises(InputError, match="at least two"):
        check_editor(quick, model, tokenizer, tiny_edits(1), tiny_texts(10))
    edits = tiny_edits(3)
    right = [Edit(edit.id, edit.prompt, {"en": label}) for edit, label in zip(edits, answers(tiny, edits), strict=True)]
    with pytest.raises(InputError, match="triggered"):
        check_editor(quick, model, tokenizer, right, tiny_texts(10))


def answers(tiny, edits):
    model, tokenizer = tiny("bert")
    batch = tokenizer([edit.prompt["en"] for edit in edits], padding=True, return_tensors="pt")
    with torch.no_grad():
        return [model.config.id2label[i] for i in model(**batch).logits.argmax(-1).tolist()]


@pytest.mark.parametrize("family", FAMILIES)
def test_tiny_models_are_real_models(family):
    """Seeded, different from text to text, and with a tokenizer that knows its words and the model's padding."""
    before = torch.get_rng_state()
    model, tokenizer = tiny_model(family, hidden=16, layers=1, classes=4, seed=3)
    again, _ = tiny_model(family, hidden=16, layers=1, classes=4, seed=3)
    other, _ = tiny_model(family, hidden=16, layers=1, classes=4, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not any(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert tokenizer.pad_token_id == model.config.pad_token_id
    assert model.config.hidden_size == 16
    assert model.config.num_labels == 4
    texts = [text for edit in tiny_edits(4) for text in edit.prompt.values()]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    assert not (batch["input_ids"] == tokenizer.unk_token_id).any()
    assert (batch["input_ids"][:, 0] == tokenizer.cls_token_id).all()
    with torch.no_grad():
        logits = model(**batch).logits
        alone = model(**tokenizer(texts[0], return_tensors="pt")).logits
    assert len(logits.unique(dim=0)) == len(texts)
    torch.testing.assert_close(alone[0], logits[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tiny_tokenizer_marks_pairs_as_the_family_does(family):
    _, tokenizer = tiny_model(family)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("ba", "be")["input_ids"])
    if "roberta" in family:
        assert tokens == ["<s>", "ba", "</s>", "</s>", "be", "</s>"]
    else:
        assert tokens == ["[CLS]", "ba", "[SEP]", "be", "[SEP]"]
    assert ("token_type_ids" in tokenizer("ba")) == (family in ("bert", "electra"))


def test_tiny_edits_are_seeded_and_parallel():
    assert tiny_edits(5, seed=1) == tiny_edits(5, seed=1) != tiny_edits(5, seed=2)
    assert all(edit.languages == ("sw", "zh") and edit.source == "sw" for edit in tiny_edits(3, ["sw", "zh"]))
    assert {edit.target["en"] for edit in tiny_edits(40, classes=2)} == {"class-0", "class-1"}
    assert len(set(tiny_texts(50))) == 50


def test_it_needs_no_test_framework():
    """An author runs it from an installed package: importing it imports neither pytest nor hypothesis."""
    code = "import sys, polypatch.testing; sys.exit(bool({'pytest', 'hypothesis', '_pytest'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fine_tuning_that_does_nothing_is_honest_about_it():
    """No law asks that an edit takes, only that the outcome says so."""
    broken(FineTuning(max_steps=0))
