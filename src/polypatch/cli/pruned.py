"""The work behind ``polypatch prune``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from polypatch.cli.console import as_json
from polypatch.cli.saved import Saved
from polypatch.data.aligned import read_aligned
from polypatch.data.memory import MemoryTexts, read_memory
from polypatch.edits import MAPPED, Lang, Text
from polypatch.model.cost import Cost
from polypatch.model.prune import Pruned


@dataclass(frozen=True)
class PrunedEdits:
    """What was done, and where it is.

    Attributes:
        folder: what was written.
        pruned: the figures.
        cost: what the edits cost elsewhere now.
    """

    folder: str
    pruned: Pruned
    cost: Cost

    def __str__(self) -> str:
        done = self.pruned
        return (
            f"{self.folder}: {done.after} of {done.before} patches ({done.dropped} dropped, {done.merged} merged into "
            f"another) in {done.seconds:.1f} s; of {done.rows} protected texts {done.changed} changed\nElsewhere: "
            f"{self.cost}."
        )

    def to_json(self) -> str:
        """For ``--json``."""
        return as_json({"folder": self.folder, **asdict(self.pruned), "cost": self.cost.to_plain()})


def prune_saved(
    saved: Saved,
    out: Path,
    memory: Path | None,
    parallel: Path | None,
    languages: tuple[Lang, ...],
    sizes: Mapping[str, int],
    max_changed: int,
) -> PrunedEdits:
    """Prune saved edits and write the rest to `out`.

    Raises:
        PolypatchError: the edits, their model or the memory cannot be used, or they cannot be pruned.
    """
    edited = saved.attach(_around(saved, memory, parallel, languages, sizes))
    try:
        bars = saved.bars
        done = edited.prune(
            max_changed=max_changed,
            progress=lambda looked, total, left: bars.update("pruning", looked, total, f"{left} patches"),
        )
        return PrunedEdits(str(edited.save_pretrained(out)), done, edited.cost)
    finally:
        edited.unload()


def _around(
    saved: Saved, memory: Path | None, parallel: Path | None, languages: tuple[Lang, ...], sizes: Mapping[str, int]
) -> MemoryTexts:
    """The memory, and the parallel text where queries were mapped."""
    requests = [record.edit for record in saved.records if record.edit is not None]
    texts = {text for edit in requests for text in edit.prompt.values()}
    mapped = any(lang.startswith(MAPPED) for record in saved.records for lang in record.outcome.languages)
    source = languages[0] if languages else requests[0].source if requests else "en"
    corpus: Mapping[Lang, Sequence[Text]] | None = read_aligned(parallel, source) if parallel is not None else None
    data = saved.read(languages, dict(sizes)) if memory is None or (mapped and corpus is None) else None
    if mapped and corpus is None and data is not None:
        corpus = data.parallel
    if memory is not None:
        free = {
            lang: [text for text in rows if text not in texts] for lang, rows in read_memory(memory, source).items()
        }
        return MemoryTexts(free, parallel=corpus if mapped else None)
    assert data is not None
    parts = (data.memory_texts(languages or data.memory), data.validation_texts(languages or data.validation))
    train, validation = ([text for text in part if text not in texts] for part in parts)
    return MemoryTexts(train, validation, data.others(), corpus if mapped else None)
