"""The work behind ``polypatch merge``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from polypatch.cli.checkpoints import staged
from polypatch.cli.saved import Saved
from polypatch.edited_model import EditedModel
from polypatch.edits import Text
from polypatch.errors import ArtefactError, InputError
from polypatch.evaluation.strict_json import to_json
from polypatch.model.cost import cost_from_plain
from polypatch.sites import MergeCost

TOLERANCE = 1e-4
"""Of logits, relative to the largest: what rounding in another order may change."""

MOST = 32
"""Texts that are compared."""


@dataclass(frozen=True)
class Merged:
    """What merging costs, and what was written.

    Attributes:
        cost: what is added to the checkpoint.
        text: the same for people.
        folder: the checkpoint; None where only the cost was asked for.
        compared: texts on which it was compared with the model that carries the edits.
        difference: the largest difference of a logit, relative to the largest logit.
        megabytes: of the whole folder / 10⁶; `dtype` is the type of its numbers.
        elsewhere: what the edits cost elsewhere when they were measured.
    """

    cost: MergeCost
    text: str
    folder: Path | None = None
    compared: int = 0
    difference: float = 0.0
    megabytes: float = 0.0
    dtype: str = ""
    elsewhere: str = ""

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.megabytes:.1f} MB in {self.dtype}; loaded back by transformers, it answers as the "
            f"edited model does (logits within {self.difference:.0e} on {self.compared} texts)\n"
            f"Elsewhere: {self.elsewhere}."
        )

    def to_json(self) -> str:
        """For ``--json``."""
        return to_json(asdict(self))


def merge_edits(saved: Saved, out: Path | None, *, overwrite: bool, tell: Callable[[str], None]) -> Merged:
    """Merge saved edits into their model and write that to `out`; None only works out the cost.

    Raises:
        PolypatchError: the edits cannot be opened, `out` is taken, or what was written answers differently.
    """
    if out is not None:
        _require_elsewhere(out, saved)
    edited = saved.attach()
    cost = edited.merge_cost
    text = "changed weights replace the model's: no parameter added" if edited.delta.replaces else str(cost)
    tell(text)
    if out is None:
        return Merged(cost, text)
    texts = _texts(saved)
    attached = _logits(edited.model, edited, texts)
    merged = edited.merge_and_unload()
    with staged(out, overwrite) as staging:
        _write(merged, edited, staging, out)
        del merged
        difference = _compared(staging, edited, texts, attached)
        megabytes = sum(path.stat().st_size for path in staging.rglob("*")) / 1e6
    dtype = str(edited.site.up.weight.dtype).removeprefix("torch.")
    return Merged(cost, text, out, len(texts), difference, megabytes, dtype, _elsewhere(edited))


def _elsewhere(edited: EditedModel) -> str:
    """What the report that was saved with the edits says of other answers."""
    known = [row["cost"] for row in edited.report or () if row.get("cost")]
    if not known:
        return "not known, as no report was saved with the edits; polypatch eval measures it"
    return f"{cost_from_plain(known[-1])} when it was measured"


def _write(merged: nn.Module, edited: EditedModel, staging: Path, out: Path) -> None:
    """The checkpoint.

    Raises:
        InputError: the disk refuses.
    """
    try:
        merged.save_pretrained(staging)  # type: ignore[operator]
        edited.tokenizer.save_pretrained(staging)
    except Exception as error:  # of a full disk every writer makes an error of its own type
        raise InputError(f"{out}: cannot be written ({' '.join(str(error).split())[:200]})") from error


def _compared(folder: Path, edited: EditedModel, texts: Sequence[Text], attached: Tensor) -> float:
    """The relative difference of what is on the disk.

    Raises:
        ArtefactError: it is too large.
    """
    back = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False).eval()
    found = _logits(back.to(edited.site.device), edited, texts)
    scale = float(attached.abs().max())
    difference = float((found - attached).abs().max()) / (scale or 1.0)
    if not difference <= TOLERANCE:  # NaN as well
        raise ArtefactError(
            f"the merged checkpoint answers differently (logits off by {difference:.1e} of the largest, at most "
            f"{TOLERANCE:.0e} is rounding); nothing was written. Please report this, with the model's name"
        )
    return difference


@torch.no_grad()
def _logits(model: nn.Module, edited: EditedModel, texts: Sequence[Text]) -> Tensor:
    encoder = edited.tail.encoder
    logits = torch.empty(len(texts), edited.readout.width)
    training = model.training
    model.eval()
    for chosen, rows in encoder.tokens.batches(edited.readout.rows(texts), edited.site.device, filled=False):
        logits[chosen] = model(**encoder.tokens.pad(rows, edited.site.device)).logits.float().cpu()
    model.train(training)
    return logits


def _texts(saved: Saved) -> list[Text]:
    """Prompts of the edits, in every language they have; where they were not kept, the names of the labels."""
    edits = [record.edit for record in saved.records if record.edit is not None]
    texts = list(dict.fromkeys(text for edit in edits for text in edit.prompt.values()))
    return texts[:MOST] or list(saved.config.get("labels", ())) or ["a text", "another text"]


def _require_elsewhere(out: Path, saved: Saved) -> None:
    """Refuse to write over the model that the edits belong to: nothing else can carry them."""
    if Path(saved.base).is_dir() and out.resolve() == Path(saved.base).resolve():
        raise InputError(f"{out}: is the model the edits were made on, and they need it as it is; take another --out")
