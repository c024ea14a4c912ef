"""For authors of editors: tiny models and edits, and `check_editor`, which holds a recipe to polypatch's laws.

::

    from polypatch.recipes import Recipe
    from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts

    model, tokenizer = tiny_model("bert")
    check_editor(Recipe(MyEditor(max_steps=40)), model, tokenizer, tiny_edits(4, ["en", "de"]), tiny_texts(40))

Needs no network, no test framework, and a second or two. Hyper-parameters may be small: no law asks that an edit takes,
only that the outcome says so where it does not. Nothing in polypatch imports this module.
"""

from __future__ import annotations

import dataclasses
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError
from polypatch.outcomes import EditOutcome
from polypatch.recipes import Recipe
from polypatch.sequence import attach, edit_stream
from polypatch.sites import UNCHANGED, Change
from polypatch.sites.families import FAMILIES

TOLERANCE = 1e-5
"""Largest difference of logits, in units of the largest logit where that is above 1, between tail and model."""

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
_PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789", *_SYLLABLES]
_BERT_MARKS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA_MARKS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
_MAX_LENGTH = 64


# Tiny things.


def tiny_model(
    family: str, *, hidden: int = 32, layers: int = 2, classes: int = 3, seed: int = 0
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """A random classifier of one supported family, in eval mode, and a tokenizer for it. No network.

    Every parameter is random, those of layer norms and biases too, so that one forgotten anywhere shows. The labels
    are ``class-0``, ``class-1``, …

    Args:
        family: a key of `polypatch.sites.families.FAMILIES`.
        hidden: width d, a multiple of 4.
        layers: encoder layers.
        classes: labels.
        seed: of the weights; the caller's random state stays as it was.
    """
    tokenizer = _tiny_tokenizer(family)
    config = AutoConfig.for_model(family, num_labels=classes)
    config.hidden_size, config.num_hidden_layers, config.num_attention_heads = hidden, layers, 4
    config.intermediate_size = config.hidden_dim = 2 * hidden  # the second is DistilBERT's name
    config.embedding_size = hidden // 2  # ELECTRA's, which is projected to the hidden size
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
    config.max_position_embeddings = _MAX_LENGTH + 2  # RoBERTa counts positions from pad_token_id + 1
    config.id2label = {i: f"class-{i}" for i in range(classes)}
    config.label2id = {label: i for i, label in config.id2label.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = FAMILIES[family].architecture(config)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval(), tokenizer


def _tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Syllables and single characters as word pieces, with the family's special tokens and templates."""
    roberta = "roberta" in family
    marks = _ROBERTA_MARKS if roberta else _BERT_MARKS
    pieces = [*marks.values(), *_PIECES, *(f"##{piece}" for piece in _PIECES)]
    core = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=marks["unk"]))
    core.normalizer, core.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    cls, sep = marks["cls"], marks["sep"]
    core.post_processor = TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} {sep} $B {sep}" if roberta else f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(mark, core.token_to_id(mark)) for mark in (cls, sep)],
    )
    typed = ["token_type_ids"] if family in ("bert", "electra") else []
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=_MAX_LENGTH,
        model_input_names=["input_ids", *typed, "attention_mask"],
        **{f"{name}_token": mark for name, mark in marks.items()},
    )


def tiny_texts(n: int, seed: int = 0) -> list[str]:
    """`n` different invented sentences of 3 to 8 words: a memory."""
    rng = random.Random(f"texts:{seed}")
    return [f"{i} {_sentence(rng, rng.randint(2, 7))}" for i in range(n)]


def tiny_edits(n: int, languages: Sequence[Lang] = ("en", "de", "fr"), seed: int = 0, classes: int = 3) -> list[Edit]:
    """`n` edits of a `tiny_model`: a prompt in each language (the first is the source), one rephrase, a random label.

    About one in `classes` is right before any edit: a stream with both kinds.
    """
    rng = random.Random(f"edits:{seed}")
    edits = []
    for i in range(n):
        prompts = {lang: f"{lang} {i} {_sentence(rng, rng.randint(2, 9))}" for lang in languages}
        source = languages[0]
        rephrases = {source: (f"{source} again {i} {_sentence(rng, 3)}",)}
        target = f"class-{rng.randrange(classes)}"
        edits.append(Edit(f"tiny-{i}", prompts, {source: target}, source=source, rephrases=rephrases))
    return edits


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3))) for _ in range(words))


# The laws.


def check_editor(
    recipe: Recipe,
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    edits: Sequence[Edit],
    memory: Sequence[Text],
    *,
    seed: int = 0,
    exact: bool = False,
) -> None:
    """Hold one recipe, on one model, to the laws every row of the table keeps. Edits the model five times or so.

    * **no edit ≡ base**: attaching without an edit changes no bit of any logit.
    * **tail ≡ full forward**: logits of tail, encoder and edited model agree, before and after the edits.
    * **honest outcomes**: `success`, `source_correct` and `patches` are what `predict` and the model say right after
      the edit, and an edit that was not triggered changes nothing.
    * **disabled ≡ base**, bit for bit. · **save → load ≡ same logits**, bit for bit.
    * **base weights never change**: weights, gradients' and modes' flags and hooks, bit for bit, also after `unload`.
    * **same seed ≡ same tensors**, bit for bit, whatever the global random state.
    * **two calls ≡ one**: the stream in two calls of `edit_stream` gives the same tensors and outcomes.
    * **stopping half-way** leaves exactly the edits that were yielded.
    * **global random state untouched**: torch's, Python's and NumPy's.

    Args:
        recipe: the method; small hyper-parameters make a fast check.
        model: a classifier; it comes back as it was.
        tokenizer: its tokenizer.
        edits: at least two, at least one of which the recipe's trigger finds wrong.
        memory: texts that edits should leave alone.
        seed: of the edits.
        exact: check on full forward passes instead of the frozen tail.

    Raises:
        AssertionError: a law is broken; the message names it.
        InputError: the edits are too few, or none is triggered, so that the laws would say nothing.
    """
    case = _Case(recipe, model, tokenizer, tuple(edits), tuple(memory), seed, exact)
    if len(case.edits) < 2:
        raise InputError(f"check_editor needs at least two edits, not {len(case.edits)}")
    as_it_was, state = _Photograph.of(model), _random_state()
    base = case.logits()
    try:
        reference = _reference(case, base, as_it_was)
        if not any(outcome.triggered for outcome in reference.outcomes):
            raise InputError("check_editor: no edit was triggered; give it edits that the model gets wrong")
        _require(_same_state(state, _random_state()), "global random state untouched", "an edit drew from it")
        torch.rand(3), random.random(), np.random.random()  # noqa: NPY002
        _same_seed(case, reference)
        _two_calls(case, reference)
        _half_way(case, reference)
    finally:
        _set_random_state(state)
    as_it_was.compare(model, "after unload()")
    _require(_same_bits(case.logits(), base), "base weights never change", "logits differ after unload()")


@dataclass(frozen=True)
class _Case:
    """What is checked, and how to make a fresh edited model of it."""

    recipe: Recipe
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    edits: tuple[Edit, ...]
    memory: tuple[Text, ...]
    seed: int
    exact: bool

    @property
    def texts(self) -> list[Text]:
        """What logits are compared on: every prompt and rephrase, and some memory."""
        prompts = [text for edit in self.edits for text in edit.prompt.values()]
        rephrases = [text for edit in self.edits for texts in edit.rephrases.values() for text in texts]
        return [*prompts, *rephrases, *self.memory[:8]]

    @contextmanager
    def attached(self) -> Iterator[EditedModel]:
        """A fresh edited model, taken off again on the way out."""
        edited = attach(
            self.model,
            tokenizer=self.tokenizer,
            recipe=self.recipe,
            memory=self.memory,
            seed=self.seed,
            exact=self.exact,
        )
        try:
            yield edited
        finally:
            edited.unload()

    def stream(self, edited: EditedModel, edits: Sequence[Edit]) -> Iterator[EditOutcome]:
        return edit_stream(edited, edits, recipe=self.recipe)

    @torch.no_grad()
    def logits(self) -> Tensor:
        """The model's own logits in eval mode, one text at a time, through nothing of polypatch's."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        device = next(self.model.parameters()).device
        rows = []
        for text in self.texts:
            parts = text if isinstance(text, tuple) else (text,)
            batch = self.tokenizer(*parts, truncation=True, return_tensors="pt").to(device)
            rows.append(self.model(**batch).logits)
        for module, mode in modes:
            module.training = mode
        return torch.cat(rows)


@dataclass(frozen=True)
class _Run:
    """The tensors after 0, 1, 2, … edits, and the outcomes."""

    tensors: list[dict[str, Tensor]]
    outcomes: list[EditOutcome]


def _reference(case: _Case, base: Tensor, as_it_was: _Photograph) -> _Run:
    """The run the others are held against; checks every law that needs only one run."""
    with case.attached() as edited, tempfile.TemporaryDirectory() as folder:
        _require(_same_bits(case.logits(), base), "no edit ≡ base", "attaching alone changed logits")
        _tail_is_full(case, edited, UNCHANGED, "before the edits")
        run = _Run([_copies(edited)], [])
        for edit, outcome in zip(case.edits, case.stream(edited, case.edits), strict=True):
            run.tensors.append(_copies(edited))
            run.outcomes.append(outcome)
            _honest(edited, edit, outcome, *run.tensors[-2:])
        _tail_is_full(case, edited, edited.delta, "after the edits")
        with edited.disabled():
            _require(_same_bits(case.logits(), base), "disabled ≡ base", "logits differ inside disabled()")
            as_it_was.compare(case.model, "inside disabled()", hooks=False)
        logits, tail_logits = case.logits(), edited.tail.logits(case.texts, edited.delta)
        edited.save_pretrained(folder + "/saved")
        edited.unload()
        _loads_the_same(case, folder + "/saved", run, logits, tail_logits)
    return run


def _loads_the_same(case: _Case, folder: str, run: _Run, logits: Tensor, tail_logits: Tensor) -> None:
    law = "save → load ≡ same logits"
    loaded = EditedModel.from_pretrained(folder, model=case.model, tokenizer=case.tokenizer)
    try:
        _require(_same_tensors(_copies(loaded), run.tensors[-1]), law, "a tensor changed on its way through the disk")
        _require(list(loaded.outcomes.values()) == run.outcomes, law, "the outcomes differ")
        _require(_same_bits(case.logits(), logits), law, "the loaded model's logits differ")
        _close(loaded.tail.logits(case.texts, loaded.delta), tail_logits, law, "the loaded tail")
    finally:
        loaded.unload()


def _tail_is_full(case: _Case, edited: EditedModel, change: Change, when: str) -> None:
    law = "tail ≡ full forward"
    full = edited.tail.encoder.full_logits(case.texts, change, change.overrides)
    _close(edited.tail.logits(case.texts, change), full, law, f"the tail {when}")
    _close(case.logits(), full, law, f"the attached model {when}")


def _honest(
    edited: EditedModel, edit: Edit, outcome: EditOutcome, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> None:
    """Compare an outcome with what the model says right after the edit."""
    law = "honest outcomes"

    def right(lang: Lang) -> bool:
        return bool(edited.predict(edit.prompt[lang]) == edit.target_in(lang))

    _require(outcome.edit_id == edit.id, law, f"outcome of {outcome.edit_id!r} instead of {edit.id!r}")
    source = right(edit.source)
    _require(outcome.source_correct == source, law, f"{edit.id}: source_correct={outcome.source_correct}, is {source}")
    if outcome.triggered:
        wrong = [lang for lang in outcome.languages if not right(lang)]
        _require(outcome.success == (not wrong), law, f"{edit.id}: success={outcome.success}, wrong in {wrong}")
        _require(bool(outcome.languages), law, f"{edit.id}: triggered, but trained on no language")
        _require(outcome.success or bool(outcome.reason), law, f"{edit.id}: failed without a reason")
    else:
        _require(_same_tensors(before, after), law, f"{edit.id}: not triggered, but the delta changed")
        _require(source and not outcome.languages and not outcome.steps, law, f"{edit.id}: not triggered, yet {outcome}")
    owned = list(edited.delta.owners).count(edit.id)
    _require(outcome.patches == owned, law, f"{edit.id}: patches={outcome.patches}, the delta has {owned} of it")


def _same_seed(case: _Case, reference: _Run) -> None:
    with case.attached() as edited:
        outcomes = list(case.stream(edited, case.edits))
        _equal_run(edited, outcomes, reference, "same seed ≡ same tensors")


def _two_calls(case: _Case, reference: _Run) -> None:
    middle = len(case.edits) // 2
    with case.attached() as edited:
        outcomes = [*case.stream(edited, case.edits[:middle]), *case.stream(edited, case.edits[middle:])]
        _equal_run(edited, outcomes, reference, "two calls ≡ one")


def _half_way(case: _Case, reference: _Run) -> None:
    middle = len(case.edits) // 2
    with case.attached() as edited:
        stream = case.stream(edited, case.edits)
        outcomes = [next(stream) for _ in range(middle)]
        del stream
        half = _Run(reference.tensors[: middle + 1], reference.outcomes[:middle])
        _equal_run(edited, outcomes, half, "stopping half-way")


def _equal_run(edited: EditedModel, outcomes: list[EditOutcome], reference: _Run, law: str) -> None:
    timeless = [[dataclasses.replace(outcome, seconds=0.0) for outcome in run] for run in (outcomes, reference.outcomes)]
    _require(timeless[0] == timeless[1], law, f"outcomes differ: {timeless[0]} against {timeless[1]}")
    _require(list(edited.outcomes.values()) == outcomes, law, "the model's outcomes are not the ones yielded")
    _require(_same_tensors(_copies(edited), reference.tensors[-1]), law, "the delta's tensors differ")


@dataclass(frozen=True)
class _Photograph:
    """Everything of a model that editing must leave as it was."""

    weights: dict[str, Tensor]
    wanted: dict[str, bool]
    modes: dict[str, bool]
    hooks: dict[str, int]

    @classmethod
    def of(cls, model: nn.Module) -> _Photograph:
        return cls(
            {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
            {name: parameter.requires_grad for name, parameter in model.named_parameters()},
            {name: module.training for name, module in model.named_modules()},
            {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.named_modules()},
        )

    def compare(self, model: nn.Module, when: str, *, hooks: bool = True) -> None:
        law, now = "base weights never change", _Photograph.of(model)
        _require(_same_tensors(self.weights, now.weights), law, f"a weight is another one {when}")
        _require(self.wanted == now.wanted, law, f"requires_grad was not restored {when}")
        _require(self.modes == now.modes, law, f"train and eval modes were not restored {when}")
        _require(not hooks or self.hooks == now.hooks, law, f"a hook is left {when}")


_State: TypeAlias = tuple[Tensor, Any, Any]


def _random_state() -> _State:
    return torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002


def _set_random_state(state: _State) -> None:
    torch.set_rng_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])  # noqa: NPY002


def _same_state(one: _State, two: _State) -> bool:
    return torch.equal(one[0], two[0]) and repr(one[1:]) == repr(two[1:])


def _copies(edited: EditedModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in edited.delta.tensors().items()}


def _same_bits(one: Tensor, two: Tensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    # As bytes: 0.0 == -0.0 and NaN != NaN, but bits are bits.
    return torch.equal(*(tensor.detach().cpu().contiguous().flatten().view(torch.uint8) for tensor in (one, two)))


def _same_tensors(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(_same_bits(one[name], two[name]) for name in one)


def _close(got: Tensor, wanted: Tensor, law: str, what: str) -> None:
    gap = float((got.cpu() - wanted.cpu()).abs().max())
    limit = TOLERANCE * max(1.0, float(wanted.abs().max()))
    # Not `gap > limit` turned round: a NaN is a difference too.
    _require(gap <= limit, law, f"logits of {what} differ by {gap:.2g} (limit {limit:.2g})")


def _require(holds: bool, law: str, detail: str) -> None:
    if not holds:
        raise AssertionError(f"broken law: {law}: {detail}")
