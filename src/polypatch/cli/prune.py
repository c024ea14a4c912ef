"""``polypatch prune``: fewer patches that give the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch.cli.console import Bars, as_json, say
from polypatch.cli.options import Data, Device, Json, Model, Parallel, Quiet, SizeOptions, Threads, as_list, sizes
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.cli.saved import Saved
    from polypatch.data.memory import Kept, MemoryTexts
    from polypatch.edits import Lang, Text

EXAMPLES = """[bold]Examples[/]

polypatch prune runs/linear

polypatch prune runs/linear --memory texts.jsonl --out fewer --max-changed 5

polypatch prune runs/linear --data massive:data/massive --languages en,de,fr,sw,th
"""


def prune(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the rest goes. Default: pruned-edits, beside edits.")
    ] = None,
    data: Data = None,
    languages: Annotated[
        str | None,
        typer.Option(metavar="L,L,…", help="Languages of the data's memory, the source first. Default: all there are."),
    ] = None,
    memory: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts to leave alone, as for polypatch edit, not the data's.")
    ] = None,
    parallel: Parallel = None,
    max_changed: Annotated[
        int, typer.Option(min=0, metavar="N", help="So many texts of the memory may get a new answer.")
    ] = 0,
    model: Model = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the data's sampled sets. Default: the edits' own.")
    ] = None,
    size: SizeOptions = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Drop patches that others made needless and merge those of one answer. RUN itself stays as it is.

    No text that an edit was made for, and that is right, becomes wrong, and no
    text of the memory gets a new answer. The memory is the one that was saved with
    the edits; --data or --memory names another.
    An edit may rest on another's patch then: it is taken back in Python, with the
    memory, and not by polypatch revert.
    """
    folder = find_edits(edits)
    where = out or folder.with_name(f"pruned-{folder.name}")
    if where.exists():
        raise InputError(f"{where} exists; take another --out")
    prepare(threads, quiet=quiet)
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, seed=seed, device=device)
        edited = saved.attach(_memory(saved, memory, parallel, as_list(languages), sizes(size)))
        done = edited.prune(
            max_changed=max_changed,
            progress=lambda looked, total, left: bars.update("pruning", looked, total, f"{left} patches"),
        )
        edited.save_pretrained(where)
        cost = edited.cost
    if json:
        say(as_json({"folder": str(where), **asdict(done), "cost": cost.to_plain()}))
        return
    say(
        f"{where}: {done.after} of {done.before} patches ({done.dropped} dropped, {done.merged} merged into another) "
        f"in {done.seconds:.1f} s; of {done.rows} protected texts {done.changed} changed\nElsewhere: {cost}."
    )


def _memory(
    saved: Saved, memory: Path | None, parallel: Path | None, languages: tuple[Lang, ...], sizes: Mapping[str, int]
) -> MemoryTexts | None:
    """The memory, and the parallel text where queries were mapped; None for the edits' own, where no other is named."""
    from polypatch.data.aligned import read_aligned
    from polypatch.data.memory import MemoryTexts, memory_of_data, read_memory
    from polypatch.edits import MAPPED

    requests = [record.edit for record in saved.records if record.edit is not None]
    texts = {text for edit in requests for text in edit.texts}
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
    from polypatch.store.artefact import read_artefact

    kept = read_artefact(saved.folder).memory
    return None if kept is None else kept.read()
