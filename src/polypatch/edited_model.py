"""EditedModel: a Hugging Face model that carries edits: predicts, explains, takes more, gives them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.arguments import items_in
from polypatch.data.given import correction, edits_in
from polypatch.data.memory import Given, Texts, probes_in
from polypatch.edits import Edit, Lang, Text
from polypatch.model.asked_model import AskedModel
from polypatch.model.correct import made_fix, trial
from polypatch.model.explain import Firing as Firing
from polypatch.model.fix import Fix
from polypatch.model.gate import Limits, Verdict, check
from polypatch.model.one_language import cautioned
from polypatch.model.prune import OnPruning, Pruned, prune
from polypatch.model.revert import revert
from polypatch.model.rules import Rules
from polypatch.model.stock_save import save_as_usual, warn_on_save
from polypatch.model.stream import adopt, apply, recipe_for, remember_again, rules_for
from polypatch.outcomes import EditOutcome, EditRecord, TrajectoryPoint
from polypatch.recipes import Recipe, recipe_in
from polypatch.sites import MergeCost
from polypatch.store.artefact import Artefact
from polypatch.store.history import HistoryLine
from polypatch.store.load import AS_OPENED, artefact_of, loaded_delta, open_artefact, push_artefact, report_rows
from polypatch.store.write import write_artefact


@dataclass(repr=False)
class EditedModel(AskedModel):
    """A model with its edits attached: every forward pass of `model` answers as edited.

    The model's own weights are never written: ``disabled()`` and ``unload()`` give its own answers, bit for bit.
    What it is made of is in `polypatch.model.state.State`.
    """

    def __post_init__(self) -> None:
        self.site.attach(self.delta, self.delta.overrides)
        warn_on_save(self.model)

    def stream(
        self,
        edits: Sequence[Edit],
        *,
        recipe: str | Recipe | None = None,
        rules: Rules | None = None,
    ) -> Iterator[EditOutcome]:
        """Further edits, one by one, without a warning; see `polypatch.edit_stream`, the public form of it."""
        row = None if recipe is None else recipe_in(recipe)
        return apply(self, edits, recipe_for(self, row), rules_for(self, rules))

    def adopt(self, record: EditRecord, tensors: Mapping[str, Tensor] | None, point: TrajectoryPoint | None) -> None:
        """Take over one edit that was made before, from a journal, as if it had just been made here."""
        adopt(self, record, tensors, point)

    def edit(
        self, more: Sequence[Edit], *, recipe: str | Recipe | None = None, rules: Rules | None = None
    ) -> list[EditOutcome]:
        """Continue the stream with `more`, as `stream` does. Returns what became of each; see `cost` then."""
        edits, row = edits_in(more), None if recipe is None else recipe_in(recipe)
        return list(cautioned(self, row, edits, self.stream(edits, recipe=row, rules=rules)))

    def fix(
        self,
        text: Text,
        label: str | Mapping[Lang, str],
        *,
        translations: Mapping[Lang, Text] | None = None,
        source: Lang = "en",
        id: str | None = None,  # noqa: A002
    ) -> Fix:
        """Correct one text: from now on the model answers `label` to it, and to its translations. ``print`` the result.

        Args:
            text: what is answered wrong; a pair is a tuple.
            label: the answer that is wanted; of a language model in each language, ``{"en": …, "de": …}``.
            translations: the same text in other languages, by their codes; without any, other languages hardly follow.
            source: the language of `text`.
            id: what `revert` calls it; None makes one from the text.

        Raises:
            ContradictionError: an earlier edit wants another answer to the same text; it must be reverted first.
            PolypatchError: as for `polypatch.edit_stream`.
        """
        edit = correction(text, label, translations, source, id)
        return made_fix(self, edit, lambda one, rules: self.edit(one, rules=rules))

    def try_fix(
        self,
        text: Text,
        label: str | Mapping[Lang, str],
        *,
        translations: Mapping[Lang, Text] | None = None,
        source: Lang = "en",
    ) -> Fix:
        """What `fix` would do, arguments as there; the model is as it was afterwards, bit for bit.

        Raises:
            ContradictionError, PolypatchError: as `fix`.
        """
        return trial(self, correction(text, label, translations, source, None))

    def check(self, probe: Texts, limits: Limits | None = None) -> Verdict:
        """Whether the edits do what was asked and leave the rest alone, before they go out; `ok` says so in a word.

        Args:
            probe: texts that should not change, as for a memory: a list, ``{lang: texts}``, or a file.
            limits: what is required; None for every source prompt right, and 1 % of other answers changed at most.
        """
        return check(self, probes_in(probe), limits or Limits())

    def history(self) -> list[HistoryLine]:
        """Every edit that was handled, in order, with what was asked for, and what became of it."""
        return [HistoryLine(record) for record in self.records.values()]

    def revert(self, edit_ids: str | Sequence[str]) -> None:
        """Take edits back, as if they had never been made; the history keeps them as reverted.

        A patch bank loses their neurons. Weights and codebooks are shared by all edits, so the others are made again,
        which takes as long as making them did; taking back the last ones left gives the unedited model at once.
        Later edits keep what they learned beside the one that goes, and are looked at again: one that was right only by
        it is made again, or, without the memory, says so in its outcome. See `polypatch.model.revert`, also for what
        happens after `prune`.

        Raises:
            EditError: no such edit, or one that was reverted already; nothing is changed.
            InputError: the others cannot be made again, because the model was loaded without its memory.
        """
        names = [edit_ids] if isinstance(edit_ids, str) else items_in(edit_ids, "edit_ids", '["an-id"]')
        revert(self, list(dict.fromkeys(names)))

    def prune(self, *, max_changed: int = 0, progress: OnPruning | None = None) -> Pruned:
        """Fewer patches; see `polypatch.model.prune`. At most `max_changed` rows of the memory may get a new answer.

        Raises:
            InputError: the edits changed weights or are exact, or the model was loaded without its memory.
        """
        return prune(self, max_changed, progress)

    @property
    def merge_cost(self) -> MergeCost:
        """What `merge_and_unload` would add to the checkpoint; InputError as there."""
        return self.delta.merge_cost(self.site)

    def merge_and_unload(self) -> nn.Module:
        """A stock model with the edits inside, which runs without polypatch; `model` itself is as it was, bit for bit.

        Patches become neurons of a wider layer (`polypatch.sites.merge`; look at `merge_cost` first). A codebook cannot
        be merged: an InputError, and the edits stay on.
        """
        merged = self.merged()
        self.unload()
        return merged

    def merged(self) -> nn.Module:
        """The same, and the edits stay on this model."""
        with self.site.lock.exclusive(), self.disabled():
            return self.delta.merged(self.site)

    def unload(self) -> nn.Module:
        """Take the edits off the model for good and return it, bit for bit as it was."""
        self.site.detach()
        save_as_usual(self.model)
        return self.model

    def artefact(self, *, memory: str | None = AS_OPENED) -> Artefact:
        """What `save_pretrained` writes."""
        with self.site.reading():
            self.site.require_same(thorough=True)
            return artefact_of(self, memory)

    def save_pretrained(self, folder: str | Path, *, report: Any = None, memory: str | None = AS_OPENED) -> Path:
        """Write the edits (not the model) as a folder; see `polypatch.store.artefact` for its layout.

        The folder keeps the texts of the memory, so that editing can go on another day; its model card says how many
        there are, and how large they are.

        Args:
            folder: where; an older folder of edits there is replaced in one step.
            report: what they achieved, from `evaluate`; it goes into report.json and the model card.
            memory: ``"texts"`` keeps the texts of the memory in the folder; ``"reference"`` keeps the path and the
                checksum of the file that they were read from; None keeps neither, and who opens the folder must give
                the memory again. By default the texts; a reference stays one.

        Raises:
            ArtefactError: `folder` holds something else, or cannot be written or read back.
            InputError: a reference, and the memory did not come from one file.
        """
        self.report = self.report if report is None else report_rows(report)
        return write_artefact(Path(folder), self.artefact(memory=memory), partial(loaded_delta, self.site))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        report: Any = None,
        memory: str | None = None,
        private: bool = False,
        token: str | None = None,
    ) -> str:
        """Upload the folder of edits to a hub; returns its address. InputError where the hub refuses.

        The texts of the memory may be nobody else's business: they go along with ``memory="texts"`` only.
        """
        self.report = self.report if report is None else report_rows(report)
        return push_artefact(self.artefact(memory=memory), repo_id, private=private, token=token)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        model: nn.Module | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        memory: Given | None = None,
        revision: str | None = None,
        cache_dir: Path | None = None,
        device: str = "cpu",
    ) -> EditedModel:
        """Attach saved edits to the model they were made on.

        Args:
            folder: a folder that `save_pretrained` wrote, or the name of one on a hub.
            model: the base model; None loads the one that the edits name.
            tokenizer: its tokenizer; None likewise.
            memory: what the edits were made with, as for `polypatch.edit`, () for none; further edits need it, and
                where queries were mapped the parallel text, in a `MemoryTexts`. None takes what was saved with them.
            revision: branch, tag or commit, for hub names.
            cache_dir: keep queries on disk.
            device: where a model that is loaded goes: ``cpu``, ``cuda``, ``auto``; one that was given stays.

        Raises:
            ArtefactError: the folder is broken, or `model` has other weights or labels than the one that was edited.
        """
        parts = open_artefact(folder, model, tokenizer, memory, revision, cache_dir, device)
        edited = cls(**parts)
        try:
            if edited.memory is not None and edited.recipe is not None:
                remember_again(edited, edited.recipe)
        except BaseException:  # nobody else holds what could take the edits off again
            edited.unload()
            raise
        return edited
