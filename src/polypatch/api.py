"""The one loop: a stream of edits goes in, outcomes come out, one by one, and the model is edited as they do."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.arguments import of_type
from polypatch.cautions import caution
from polypatch.data.given import edits_in
from polypatch.data.memory import Given, Kept, MemoryTexts, memory_of_data, parted, require_unlabelled
from polypatch.data.source import WORLDS
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.model.encoding import Encoding
from polypatch.model.one_language import cautioned
from polypatch.model.rules import Rules
from polypatch.model.stream import build_memory, learn_maps
from polypatch.outcomes import EditOutcome
from polypatch.plain_recipes import recipe_to_plain
from polypatch.recipes import DEFAULT, Recipe, recipe_in, with_mapped, with_named
from polypatch.sites import FrozenTail, FullForward, load_checkpoint
from polypatch.sites.network.device import device_named
from polypatch.sites.readouts.readout import CLASSES
from polypatch.store.folder import aside
from polypatch.store.load import on_hub
from polypatch.store.places import find_edits, session_journal
from polypatch.store.same_model import SENTENCE_ENCODER
from polypatch.world import world_named

NOT_SAID: Any = object()
"""So that going without a memory is a decision: it has to be written out."""


def attach(
    model: nn.Module,
    *,
    tokenizer: PreTrainedTokenizerBase,
    memory: Given | None = NOT_SAID,
    recipe: str | Recipe = DEFAULT,
    rules: Rules | None = None,
    encoding: Encoding | None = None,
    name: str = "",
) -> EditedModel:
    """A model ready to be edited, no edit in it yet. Arguments as for `edit`; `name` is the recipe's in reports."""
    kept = _kept(memory)
    row = with_mapped(recipe_in(recipe), kept.parallel)
    encoding, rules = of_type(encoding, Encoding, "encoding"), of_type(rules, Rules, "rules")
    tail = (encoding or Encoding()).tail_of(model, tokenizer, exact=row.editor.exact, layer=row.layer, reads=row.reads)
    require_unlabelled(kept, tail.readout.answers or ())
    learn_maps(tail, kept.parallel)
    row = row.at(tail.site.hidden_size)
    row = with_named(row) if tail.readout.answers is None else row
    return EditedModel(
        model=model,
        tokenizer=tokenizer,
        tail=tail,
        delta=row.editor.start(tail.site),
        recipe=row,
        recipe_name=name or (recipe if isinstance(recipe, str) else "custom"),
        rules=rules or Rules(),
        config=_settings(row, tail),
        memory=build_memory(tail, kept),
        kept=kept,
    )


def open(  # noqa: A001
    place: str | Path,
    *,
    memory: Given | None = NOT_SAID,
    recipe: str | Recipe | None = None,
    revision: str | None = None,
    cache_dir: Path | None = None,
    device: str = "cpu",
    encoding: Encoding | None = None,
) -> EditedModel:
    """Saved edits on their model, or a model that has none yet.

    Args:
        place: a folder of edits, the folder of a run, or a checkpoint; on this machine or a hub; ``world`` and
            ``speaking-world`` are the embedded ones.
        memory: texts that further edits must leave alone, as for `edit`. Saved edits bring their own, and so does the
            world; a checkpoint needs one, and None goes without.
        recipe: how a checkpoint is edited; saved edits know it.
        revision: branch, tag or commit, for hub names.
        cache_dir: keep queries on disk.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        encoding: how a checkpoint reads and writes; saved edits know it.

    Raises:
        InputError: a checkpoint and no word about its memory; edits, and a recipe or an encoding; no such device.
        PolypatchError: as for `EditedModel.from_pretrained`, `load_checkpoint` and `attach`.
    """
    edits = _edits_at(str(place), revision)
    if edits is not None:
        for name, given_too in (("recipe", recipe), ("encoding", encoding)):
            if given_too is not None:
                raise InputError(f"{place}: saved edits have their {name}; leave {name} out")
        if isinstance(edits, Path) and session_journal(edits).exists():
            caution(
                f"{edits}: a session on these edits was cut short, or goes on: polypatch.Session takes over its edits"
            )
        given = None if memory is NOT_SAID else () if memory is None else memory
        return EditedModel.from_pretrained(edits, memory=given, revision=revision, cache_dir=cache_dir, device=device)
    if str(place) in WORLDS:
        world: Any = world_named(str(place))
        model, tokenizer = world.model.to(device_named(device)), world.tokenizer
        memory = memory_of_data(world.data, tuple(world.data.memory)) if memory is NOT_SAID else memory
    else:
        model, tokenizer = load_checkpoint(place, revision=revision)
        model = model.to(device_named(device))
    encoding = of_type(encoding, Encoding, "encoding") or Encoding()
    encoding = replace(encoding, cache_dir=cache_dir or encoding.cache_dir)
    return attach(model, tokenizer=tokenizer, memory=memory, recipe=recipe or DEFAULT, encoding=encoding)


def _edits_at(place: str, revision: str | None) -> str | Path | None:
    """The saved edits that a place has; None where it is a checkpoint, or the world."""
    path = Path(place)
    if place in WORLDS or (path / "config.json").is_file():
        return None
    if path.exists() or aside(path).exists() or path.is_absolute() or place.count("/") != 1 or place.startswith("."):
        return find_edits(path)
    return place if on_hub(place, revision) else None


def edit_stream(
    edited: EditedModel, edits: Sequence[Edit], *, recipe: str | Recipe | None = None, rules: Rules | None = None
) -> Iterator[EditOutcome]:
    """Apply edits one after another; yields what became of each, as it happens.

    Stopping the iteration at any point leaves a model with exactly the edits yielded so far.

    Args:
        edited: the model, from `attach`, from an earlier stream, or from `EditedModel.from_pretrained` with a memory.
        edits: the stream, in order.
        recipe: row of the table, or a `Recipe`; None for the one the model was attached with.
        rules: how they are made and judged; None for the rules that the model has, from `attach` or the last stream.

    Raises:
        EditError: two edits share an id, or one was applied already; raised before anything is changed.
        ContradictionError: two edits want different answers to one input; likewise.
        UnknownLabelError: a target the model has no class for; likewise.
        InputError: the model was loaded without its memory, or has edits of another recipe or another seed in it.
    """
    if not isinstance(edited, EditedModel):
        raise InputError(f"{type(edited).__name__} is no EditedModel: attach(model, tokenizer=…, memory=…) makes one")
    row = None if recipe is None else recipe_in(recipe)
    edits = edits_in(edits)
    return cautioned(edited, row, edits, edited.stream(edits, recipe=row, rules=rules))


def edit(
    model: nn.Module,
    edits: Sequence[Edit],
    *,
    tokenizer: PreTrainedTokenizerBase,
    memory: Given | None = NOT_SAID,
    recipe: str | Recipe = DEFAULT,
    rules: Rules | None = None,
    encoding: Encoding | None = None,
) -> EditedModel:
    """Edit a model: one call for the whole stream.

    Args:
        model: a Hugging Face sequence classifier or causal language model; its weights are never written.
        edits: the corrections, in order.
        tokenizer: the model's tokenizer.
        memory: unlabelled texts that edits must leave alone, best in every language that is served: a list of texts,
            ``{lang: texts}``, or the path of a file (a text a line, or ``{"lang", "text"}`` a line in .jsonl). Every
            tenth text of a language is held out, for `EditedModel.cost`, and a fifth of the rest watches the stopping
            rule; a `MemoryTexts` gives the parts one by one, and the parallel text of a recipe that maps queries. None
            goes without, and warns.
        recipe: row of the table, or a `Recipe`.
        rules: how edits are made and judged: retries, a guard, the languages, the seed.
        encoding: how texts are read and answers written: the longest of both, where queries are kept, a chat template.

    Raises:
        InputError: nothing is said about the memory.
        PolypatchError: see `FeedForwardSite`, `FrozenTail` and `edit_stream`.
    """
    edited = attach(model, tokenizer=tokenizer, memory=memory, recipe=recipe, rules=rules, encoding=encoding)
    try:
        for _ in edit_stream(edited, edits):
            pass
    except BaseException:  # Ctrl-C as well: nobody else holds what could take the edits off again
        edited.unload()
        raise
    return edited


def folds(edits: Sequence[Edit], n: int, seed: int = 0) -> list[list[Edit]]:
    """Split a stream at random into n folders that are edited independently (Transformer-Patcher uses 20, MPN one)."""
    if not 1 <= n <= max(1, len(edits)):
        raise InputError(f"{len(edits)} edits cannot be split into {n} folds")
    order = shuffled(edits, seed)
    return [order[i::n] for i in range(n)]


def shuffled(edits: Sequence[Edit], seed: int) -> list[Edit]:
    """The stream in another order."""
    order = list(edits)
    random.Random(f"order:{seed}").shuffle(order)
    return order


def _settings(recipe: Recipe, tail: FrozenTail | FullForward) -> dict[str, Any]:
    """What is written beside saved edits of how they are made; of the readout only where it is not the classes.

    `polypatch.store.load.readout_in` reads that back, `require_marks` and `require_sentence_encoder` compare the rest.
    """
    own = tail.readout
    asked = {} if own.kind == CLASSES else {"readout": own.kind, **own.settings, "marks": dict(own.marks)}
    encoder = tail.site.sentence_encoder
    read = {} if encoder is None else {SENTENCE_ENCODER: encoder}
    return {"recipe": recipe_to_plain(recipe), "exact": isinstance(tail, FullForward), **asked, **read}


def _kept(memory: Given | None) -> Kept:
    """The memory, parted; a warning where there is none."""
    if memory is NOT_SAID:
        raise InputError(
            "memory is missing: which texts must stay as they are? A list of them, memory=[…]; by language, "
            'memory={"en": […], "de": […]}; or a file, memory="texts.txt". memory=None goes without'
        )
    kept = Kept() if memory is None else parted(memory)
    if not isinstance(memory, MemoryTexts) and not kept.train:
        caution("no memory: nothing keeps other answers as they are, and what edits change elsewhere is not known")
    return kept
