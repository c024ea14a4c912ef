"""The edits inside a stock checkpoint: written, loaded back, and compared with the model that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from polypatch.edited_model import EditedModel
from polypatch.edits import Text
from polypatch.errors import ArtefactError, InputError
from polypatch.sites.network.checkpoint import auto_class
from polypatch.sites.network.modes import evaluating
from polypatch.store.checkpoint import staged

TOLERANCE = 1e-4
"""Of logits, relative to the largest: what rounding in another order may change."""

MOST = 32
"""Texts that are compared."""


@dataclass(frozen=True)
class Merged:
    """A checkpoint that was written.

    Attributes:
        folder: where.
        compared: texts on which it was compared with the model that carries the edits.
        difference: the largest difference of a logit, relative to the largest logit.
        megabytes: of the whole folder / 10⁶; `dtype` is the type of its numbers.
    """

    folder: Path | None = None
    compared: int = 0
    difference: float = 0.0
    megabytes: float = 0.0
    dtype: str = ""


def write_merged(edited: EditedModel, out: Path, *, overwrite: bool = False) -> Merged:
    """Write a stock checkpoint with the edits inside into `out`; the model keeps its edits.

    Raises:
        InputError: the edits cannot be merged, `out` is taken or is the model they belong to, or the disk refuses.
        ArtefactError: what was written answers differently, and was thrown away.
    """
    require_elsewhere(out, edited)
    texts = _texts(edited)
    attached = _logits(edited.model, edited, texts)
    merged = edited.merged()
    with staged(out, overwrite) as staging:
        _write(merged, edited, staging, out)
        del merged
        difference = _compared(staging, edited, texts, attached)
        megabytes = sum(path.stat().st_size for path in staging.rglob("*")) / 1e6
    dtype = str(edited.site.dtype).removeprefix("torch.")
    return Merged(out, len(texts), difference, megabytes, dtype)


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
    back = auto_class(edited.site.kind).from_pretrained(folder, trust_remote_code=False).eval()
    found = _logits(back.to(edited.site.device), edited, texts)
    scale = float(attached.abs().max())
    difference = float((found - attached).abs().max()) / (scale or 1.0)
    if not difference <= TOLERANCE:  # NaN as well
        raise ArtefactError(
            f"the merged checkpoint answers differently (logits off by {difference:.1e} of the largest, at most "
            f"{TOLERANCE:.0e} is rounding); nothing was written. Please report this, with the model's name"
        )
    return difference


def _logits(model: nn.Module, edited: EditedModel, texts: Sequence[Text]) -> Tensor:
    with evaluating(model):
        return edited.tail.encoder.logits_of(model, edited.readout.rows(texts)).float()


def _texts(edited: EditedModel) -> list[Text]:
    """Prompts of the edits, in every language they have; where they were not kept, the names of the labels."""
    edits = [record.edit for record in edited.records.values() if record.edit is not None]
    texts = list(dict.fromkeys(text for edit in edits for text in edit.texts))
    return texts[:MOST] or list(edited.readout.answers or ()) or ["a text", "another text"]


def require_elsewhere(out: Path, edited: EditedModel) -> None:
    """Refuse to write over the model that the edits belong to: nothing else can carry them.

    Raises:
        InputError: `out` is that model's folder.
    """
    base = str(getattr(edited.model.config, "name_or_path", ""))
    if base and Path(base).is_dir() and out.resolve() == Path(base).resolve():
        raise InputError(f"{out}: is the model the edits were made on, and they need it as it is; take another --out")
