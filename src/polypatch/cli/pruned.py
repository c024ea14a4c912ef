"""The work behind ``polypatch prune``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from polypatch.cli.console import as_json
from polypatch.cli.saved import Saved
from polypatch.data.aligned import read_aligned
from polypatch.data.memory import Kept, MemoryTexts, memory_of_data, read_memory
from polypatch.edits import MAPPED, Lang, Text
from polypatch.model.cost import Cost
from polypatch.model.prune import Pruned
from polypatch.store.artefact import read_artefact


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
) -> MemoryTexts | None:
    """The memory, and the parallel text where queries were mapped; None for the edits' own, where no other is named."""
    requests = [record.edit for record in saved.records if record.edit is not None]
    texts = {text for edit in requests for text in edit.prompt.values()}
    mapped = any(lang.startswith(MAPPED) for record in saved.records for lang in record.outcome.languages)
    source = languages[0] if languages else requests[0].source if requests else "en"
    own = _own(saved) if saved.data is None and not languages and not sizes else None
    if own is not None and memory is None and parallel is None:
        return None
    corpus: Mapping[Lang, Sequence[Text]] | None = read_aligned(parallel, source) if parallel is not None else None
    if mapped and corpus is None:
        corpus = own.parallel if own is not None else saved.read(languages, dict(sizes)).parallel
    if memory is not None:
        free = {
            lang: [text for text in rows if text not in texts] for lang, rows in read_memory(memory, source).items()
        }
        return MemoryTexts(free, parallel=corpus if mapped else None)
    if own is not None:
        return MemoryTexts(own.train, own.validation, own.held_out, corpus)
    data = saved.read(languages, dict(sizes))
    return memory_of_data(data, languages or data.memory, without=texts, parallel=corpus if mapped else None)


def _own(saved: Saved) -> Kept | None:
    """The memory that was saved with the edits."""
    kept = read_artefact(saved.folder).memory
    return None if kept is None else kept.read()
