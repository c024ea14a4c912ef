"""`check_editor`: the laws that every recipe keeps."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.api import attach
from polypatch.data.given import edits_in
from polypatch.data.memory import MemoryTexts
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Example, Lang, Text
from polypatch.errors import InputError
from polypatch.model.encoding import Encoding
from polypatch.model.rules import Rules
from polypatch.outcomes import EditOutcome
from polypatch.recipes import Recipe
from polypatch.sites import UNCHANGED, Change
from polypatch.sites.layers.two_classes import two_classes
from polypatch.testing.bits import (
    AMPLIFIED,
    TOLERANCE,
    Photograph,
    close,
    random_state,
    require,
    same_bits,
    same_state,
    same_tensors,
    set_random_state,
)
from polypatch.testing.generated import asked_at, check_generated
from polypatch.testing.lifecycle import Life, check_lifecycle


def check_editor(
    recipe: Recipe,
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    edits: Sequence[Edit],
    memory: Sequence[Text],
    *,
    parallel: Mapping[Lang, Sequence[Text]] | None = None,
    seed: int = 0,
    encoding: Encoding | None = None,
) -> None:
    """Hold one recipe, on one model, to the laws every row of the table keeps. Edits the model five times.

    * **no edit ≡ base**: attaching an empty delta changes no logit.
    * **tail ≡ full forward**: logits of tail, encoder and edited model agree, before and after the edits.
    * **honest outcomes**: `success`, `source_correct` and `patches` are what `predict` and the model say right after
      the edit, and an edit that was not triggered changes nothing.
    * **disabled ≡ base**, bit for bit. · **save → load ≡ same logits**, bit for bit.
    * **base weights never change**: weights, gradients' and modes' flags and hooks, bit for bit, also after `unload`.
    * **same seed ≡ same tensors**, bit for bit, whatever the global random state.
    * **two calls ≡ one**: the stream in two calls of `edit_stream` gives the same tensors and outcomes.
    * **stopping half-way** leaves exactly the edits that were yielded.
    * **reverting the last ≡ never made** · **reverting all in random order ≡ base**, bit for bit.
    * **interrupted and resumed ≡ uninterrupted**, bit for bit. · **merged checkpoint ≡ attached patches**, or, where
      the delta says that no stock model can compute it, an `InputError` and a model that is as it was.
    * **right ≡ generated**, of a language model: it writes, or fills in, the answer exactly where the tail calls it
      right, whichever side is padded, whatever the batch.
    * **global random state untouched**: torch's, Python's and NumPy's.

    Args:
        recipe: the method; small hyper-parameters make a fast check.
        model: a classifier or a language model; it comes back as it was.
        tokenizer: its tokenizer.
        edits: at least two, at least one of which the recipe's trigger finds wrong.
        memory: texts that edits should leave alone.
        parallel: texts that say the same in every language, for recipes that map queries.
        seed: of the edits.
        encoding: how texts are read: ``Encoding(exact=True)`` checks on full forward passes.

    Raises:
        AssertionError: a law is broken; the message names it.
        InputError: the edits are too few, or none is triggered, so that the laws would say nothing.
    """
    case = _Case(recipe, model, tokenizer, edits_in(edits), tuple(memory), parallel, seed, encoding)
    if len(case.edits) < 2:
        raise InputError(f"check_editor needs at least two edits, not {len(case.edits)}")
    as_it_was, state = Photograph.of(model), random_state()
    base = case.logits()
    try:
        reference = _reference(case, base, as_it_was)
        if not any(outcome.triggered for outcome in reference.outcomes):
            raise InputError("check_editor: no edit was triggered; give it edits that the model gets wrong")
        require(same_state(state, random_state()), "global random state untouched", "an edit drew from it")
        torch.rand(3), random.random(), np.random.random()  # noqa: NPY002
        check_lifecycle(_life(case, reference, base))
    finally:
        set_random_state(state)
    as_it_was.compare(model, "after unload()")
    require(same_bits(case.logits(), base), "base weights never change", "logits differ after unload()")


@dataclass(frozen=True)
class _Case:
    """What is checked, and how to make a fresh edited model of it."""

    recipe: Recipe
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    edits: tuple[Edit, ...]
    memory: tuple[Text, ...]
    parallel: Mapping[Lang, Sequence[Text]] | None
    seed: int
    encoding: Encoding | None

    @property
    def texts(self) -> list[Text]:
        """What logits are compared on: every prompt and rephrase, and memory of the same kind (text or pair)."""
        prompts = [text for edit in self.edits for text in edit.texts]
        rephrases = [text for edit in self.edits for texts in edit.rephrases.values() for text in texts]
        kind = type(prompts[0])
        return [*prompts, *rephrases, *[text for text in self.memory if isinstance(text, kind)][:8]]

    @property
    def examples(self) -> list[Example]:
        """Every prompt and rephrase with the answer that is wanted."""
        asked = ((lang, text, edit) for edit in self.edits for lang, text in _texts(edit))
        return [Example(lang, text, edit.target_in(lang)) for lang, text, edit in asked]

    @contextmanager
    def attached(self) -> Iterator[EditedModel]:
        """A fresh edited model, taken off again on the way out."""
        edited = attach(
            self.model,
            tokenizer=self.tokenizer,
            recipe=self.recipe,
            memory=MemoryTexts(self.memory, parallel=self.parallel),
            # Failed edits stay in: taken back, they would leave the laws nothing to look at.
            rules=Rules(keep_failed=True, seed=self.seed),
            encoding=self.encoding,
        )
        try:
            yield edited
        finally:
            edited.unload()

    def stream(self, edited: EditedModel, edits: Sequence[Edit]) -> Iterator[EditOutcome]:
        return edited.stream(edits)

    @torch.no_grad()
    def logits(self, model: nn.Module | None = None) -> Tensor:
        """The model's own logits in eval mode, through nothing of polypatch's; of one that writes, where it answers."""
        model = self.model if model is None else model
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        batch, places = asked_at(
            model, self.tokenizer, self.texts, chat=self.encoding is not None and self.encoding.chat
        )
        logits = two_classes(model(**batch).logits)
        if logits.dim() == 3:
            logits = logits[torch.arange(len(logits)), places]
        for module, mode in modes:
            module.training = mode
        return logits


@dataclass(frozen=True)
class _Run:
    """The tensors after 0, 1, 2, … edits, and the outcomes."""

    tensors: list[dict[str, Tensor]]
    outcomes: list[EditOutcome]


def _reference(case: _Case, base: Tensor, as_it_was: Photograph) -> _Run:
    """The run the others are held against; checks every law that needs only one run."""
    with case.attached() as edited, tempfile.TemporaryDirectory() as folder:
        close(case.logits(), base, "no edit ≡ base", "the model with nothing but an empty delta")
        _tail_is_full(case, edited, UNCHANGED, "before the edits")
        run = _Run([_copies(edited)], [])
        for edit, outcome in zip(case.edits, case.stream(edited, case.edits), strict=True):
            run.tensors.append(_copies(edited))
            run.outcomes.append(outcome)
            _honest(edited, edit, outcome, *run.tensors[-2:])
        _tail_is_full(case, edited, edited.delta, "after the edits")
        check_generated(edited, case.examples)
        with edited.disabled():
            require(same_bits(case.logits(), base), "disabled ≡ base", "logits differ inside disabled()")
            as_it_was.compare(case.model, "inside disabled()", hooks=False)
        logits, tail_logits = case.logits(), edited.tail.logits(edited.readout.rows(case.texts), edited.delta)
        edited.save_pretrained(folder + "/saved")
        edited.unload()
        _loads_the_same(case, folder + "/saved", run, logits, tail_logits)
    return run


def _loads_the_same(case: _Case, folder: str, run: _Run, logits: Tensor, tail_logits: Tensor) -> None:
    law = "save → load ≡ same logits"
    loaded = EditedModel.from_pretrained(folder, model=case.model, tokenizer=case.tokenizer)
    try:
        require(same_tensors(_copies(loaded), run.tensors[-1]), law, "a tensor changed on its way through the disk")
        require(list(loaded.outcomes.values()) == run.outcomes, law, "the outcomes differ")
        require(same_bits(case.logits(), logits), law, "the loaded model's logits differ")
        close(
            loaded.tail.logits(loaded.readout.rows(case.texts), loaded.delta),
            tail_logits,
            law,
            "the loaded tail",
            AMPLIFIED,
        )
    finally:
        loaded.unload()


def _tail_is_full(case: _Case, edited: EditedModel, change: Change, when: str) -> None:
    law = "tail ≡ full forward"
    full = edited.tail.encoder.full_logits(edited.readout.rows(case.texts), change, change.overrides)
    tolerance = TOLERANCE if change is UNCHANGED else AMPLIFIED
    close(edited.tail.logits(edited.readout.rows(case.texts), change), full, law, f"the tail {when}", tolerance)
    close(case.logits(), full, law, f"the attached model {when}", tolerance)


def _honest(
    edited: EditedModel, edit: Edit, outcome: EditOutcome, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> None:
    """Compare an outcome with what the model says right after the edit."""
    law = "honest outcomes"

    def right(lang: Lang) -> bool:
        example = edit.example(lang)
        (question,) = edited.ask([example])
        if example.via:  # of which there is only a query
            return edited.tail.right([question], edited.delta)[0]
        if edited.readout.answers is not None:
            return bool(edited.predict(example.text) == example.target)
        said = edited.tail.encoder.full_logits(question.rows, edited.delta, edited.delta.overrides).argmax(-1)
        return said.tolist() == list(question.wanted)

    require(outcome.edit_id == edit.id, law, f"outcome of {outcome.edit_id!r} instead of {edit.id!r}")
    source = right(edit.source)
    require(outcome.source_correct == source, law, f"{edit.id}: source_correct={outcome.source_correct}, is {source}")
    if outcome.triggered:
        wrong = [lang for lang in outcome.languages or (edit.source,) if not right(lang)]
        require(outcome.success == (not wrong), law, f"{edit.id}: success={outcome.success}, wrong in {wrong}")
        require(source or not outcome.success, law, f"{edit.id}: success, but wrong in its source language")
        require(outcome.success or bool(outcome.reason), law, f"{edit.id}: failed without a reason")
    else:
        require(same_tensors(before, after), law, f"{edit.id}: not triggered, but the delta changed")
        require(source and not outcome.languages and not outcome.steps, law, f"{edit.id}: not triggered, yet {outcome}")
    owned = list(edited.delta.owners).count(edit.id)
    require(outcome.patches == owned, law, f"{edit.id}: patches={outcome.patches}, the delta has {owned} of it")


def _life(case: _Case, reference: _Run, base: Tensor) -> Life:
    tensors, outcomes = reference.tensors, reference.outcomes
    return Life(case.edits, case.attached, case.stream, case.logits, base, tensors, outcomes, case.seed)


def _texts(edit: Edit) -> Iterator[tuple[Lang, Text]]:
    yield from ((example.lang, example.text) for example in edit.examples)
    yield from ((lang, text) for lang, texts in edit.rephrases.items() for text in texts)


def _copies(edited: EditedModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in edited.delta.tensors().items()}
