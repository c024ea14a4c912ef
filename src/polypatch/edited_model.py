"""EditedModel: a Hugging Face model that carries edits. It predicts, explains, and can be switched back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.artefact import Artefact, read_artefact, write_artefact
from polypatch.deltas import Delta, PatchBank, WeightDelta
from polypatch.editors import Memory
from polypatch.edits import Lang, Text
from polypatch.errors import ArtefactError, UnknownLabelError
from polypatch.outcomes import EditOutcome, TrajectoryPoint
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.frozen_tail import model_fingerprint


@dataclass(frozen=True)
class Firing:
    """One patch at work in one text: the edit it belongs to, and its activation act(q·k + b)."""

    edit_id: str
    activation: float


@dataclass
class EditedModel:
    """A model with its edits attached: every forward pass of `model` answers as edited.

    The model's own weights are never written. Inside ``disabled()``, and for good after ``unload()``, its answers are
    bit for bit those of the unedited model.

    Attributes:
        model: the Hugging Face classifier, as it was passed in.
        tokenizer: its tokenizer.
        tail: what editing and evaluation compute from.
        delta: what the edits left in the model.
        recipe_name: row of the table that made the edits; ``"original"`` before the first.
        seed: of the edits.
        sampled_languages: the languages a sampler could draw, the source first.
        outcomes: what became of each edit, in stream order.
        trajectory: how the model stood every so many edits, where that was asked for.
        config: the hyper-parameters behind the edits, as plain data.
        memory: what later edits of the same stream must leave alone; None in a model loaded from disk.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    tail: FrozenTail | FullForward
    delta: Delta
    recipe_name: str = "original"
    seed: int = 0
    sampled_languages: tuple[Lang, ...] = ()
    outcomes: dict[str, EditOutcome] = field(default_factory=dict)
    trajectory: list[TrajectoryPoint] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    memory: Memory | None = None

    def __post_init__(self) -> None:
        self.site.attach(self.delta, self.delta.overrides)

    @property
    def site(self) -> FeedForwardSite:
        """Where the edits are."""
        return self.tail.site

    @property
    def labels(self) -> Mapping[int, str]:
        """Class index -> label."""
        return self.site.labels

    @property
    def patches(self) -> int:
        """Neurons added."""
        return self.delta.patches

    def class_of(self, label: str) -> int:
        """The class index of a label.

        Raises:
            UnknownLabelError: the model has no such class.
        """
        if label not in self.site.classes:
            known = ", ".join(list(self.site.classes)[:8])
            more = "" if len(self.site.classes) <= 8 else f", … ({len(self.site.classes)} in all)"
            raise UnknownLabelError(f"the model has no class {label!r}; it has {known}{more}")
        return self.site.classes[label]

    @torch.no_grad()
    def probabilities(self, texts: Sequence[Text]) -> Tensor:
        """Softmax of the model's own forward passes: [n, classes]."""
        encoder = self.tail.encoder
        logits = torch.empty(len(texts), len(self.labels))
        with self.site.evaluating():
            for chosen, batch in encoder.tokens.batches(texts, encoder.batch_size, self.site.device):
                logits[chosen] = self.model(**batch).logits.float().cpu()
        return logits.softmax(-1)

    def predict(self, texts: Text | Sequence[Text]) -> Any:
        """The label of one text (a string or a pair), or the list of labels of several (a list).

        Runs the model itself, with its edits unless inside ``disabled()``.
        """
        if isinstance(texts, str | tuple):
            return self.predict([texts])[0]
        return [self.labels[i] for i in self.probabilities(texts).argmax(-1).tolist()]

    def predict_before_after(self, texts: Sequence[Text]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Class indices of the unedited and of the edited model, from the tail: [n], [n]."""
        before, after = (self.tail.logits(texts, change).argmax(-1).cpu().numpy() for change in (UNCHANGED, self.delta))
        return before, after

    def firing(self, text: Text, threshold: float = 0.0) -> list[Firing]:
        """The patches whose activation in `text` exceeds `threshold`, strongest first; none for changed weights."""
        if not isinstance(self.delta, PatchBank) or not self.delta.patches:
            return []
        with torch.no_grad():
            activations = self.delta.activations(self.tail.queries([text]))[0].tolist()
        fired = (Firing(owner, a) for owner, a in zip(self.delta.owners, activations, strict=True) if a > threshold)
        return sorted(fired, key=lambda firing: -firing.activation)

    @contextmanager
    def disabled(self) -> Iterator[EditedModel]:
        """Inside the block the model is the unedited one, bit for bit."""
        with self.site.bare():
            yield self

    def unload(self) -> nn.Module:
        """Take the edits off the model for good and return it, bit for bit as it was."""
        self.site.detach()
        return self.model

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the edits (not the model) as a folder; see `polypatch.artefact` for its layout."""
        return write_artefact(
            Path(folder),
            Artefact(
                tensors=self.delta.tensors(),
                owners=tuple(self.delta.owners),
                outcomes=tuple(self.outcomes.values()),
                config={
                    "recipe": self.recipe_name,
                    "seed": self.seed,
                    "sampled_languages": list(self.sampled_languages),
                    "delta": "patches" if isinstance(self.delta, PatchBank) else "weights",
                    "scope": getattr(self.delta, "scope", None),
                    "site": self.site.layer_path,
                    "base_model": str(getattr(self.model.config, "name_or_path", "")),
                    "base_fingerprint": self.fingerprint,
                    "max_length": self.tail.encoder.tokens.max_length,
                    "settings": self.config,
                },
            ),
        )

    @property
    def fingerprint(self) -> str:
        """Names the unedited weights: a hash over all of them."""
        with self.disabled():
            return model_fingerprint(self.site)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, model: nn.Module, tokenizer: PreTrainedTokenizerBase
    ) -> EditedModel:
        """Attach saved edits to the model they were made on.

        Raises:
            ArtefactError: the folder is broken, or `model` has other weights than the one that was edited.
        """
        artefact = read_artefact(Path(folder))
        config = artefact.config
        site = FeedForwardSite(model)
        if model_fingerprint(site) != config["base_fingerprint"]:
            raise ArtefactError(
                f"{folder}: these edits were made on a model with other weights "
                f"({config['base_model'] or 'unnamed'}, fingerprint {config['base_fingerprint'][:12]}…)"
            )
        delta = _empty_delta(site, config)
        delta.load_tensors(artefact.tensors, artefact.owners)
        tail_type = FullForward if delta.overrides else FrozenTail
        return cls(
            model=model,
            tokenizer=tokenizer,
            tail=tail_type(site, tokenizer, max_length=config["max_length"]),
            delta=delta,
            recipe_name=config["recipe"],
            seed=config["seed"],
            sampled_languages=tuple(config["sampled_languages"]),
            outcomes={outcome.edit_id: outcome for outcome in artefact.outcomes},
            config=config["settings"],
        )


def _empty_delta(site: FeedForwardSite, config: Mapping[str, Any]) -> Delta:
    if config["delta"] == "patches":
        return PatchBank(site.hidden_size, site.activation_name, site.device)
    return WeightDelta(site, config["scope"])
