"""Between a folder of edits and the parts of an `EditedModel`: what is written, and how it is put together again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch._version import __version__
from polypatch.arguments import shortened
from polypatch.data.memory import Given, Kept, parted
from polypatch.data.memory_file import MemoryFile
from polypatch.data.source import WORLDS
from polypatch.deltas import Delta
from polypatch.deltas.kinds import on_site
from polypatch.errors import ArtefactError, DataError, InputError, UnsupportedModelError
from polypatch.model.rules import Rules
from polypatch.model.state import State, transaction
from polypatch.model.stream import build_memory, learn_maps, remember_again
from polypatch.plain_recipes import recipe_from_plain
from polypatch.recipes import Recipe
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, load_checkpoint
from polypatch.sites.encoding.fingerprint import configuration, tokenizer_fingerprint
from polypatch.sites.encoding.sentences import sentences_of
from polypatch.sites.network.device import device_named
from polypatch.sites.readouts.prompts import MOST
from polypatch.sites.readouts.readout import CLASSES, READOUTS, ReadoutSettings
from polypatch.sites.reads import encoder_in
from polypatch.store.artefact import CONFIG, Artefact, read_artefact
from polypatch.store.card import base_name, for_others
from polypatch.store.same_model import require_base, require_marks, require_sentence_encoder, require_template
from polypatch.store.write import write_artefact
from polypatch.world import name_of_world, world_named

AS_OPENED = "as opened"
"""How a memory is saved unless something else is asked for: as texts, or, where it was in a file before, as that."""


def artefact_of(edited: State, memory: str | None = AS_OPENED) -> Artefact:
    """The edits as they are written to disk; `memory` as for `EditedModel.save_pretrained`."""
    site, base, tokens = edited.site, edited.model.config, edited.tail.encoder.tokens
    return Artefact(
        memory=_memory_to_save(edited, memory),
        tensors=edited.delta.tensors(),
        owners=tuple(edited.delta.owners),
        records=tuple(edited.records.values()),
        report=edited.report,
        config={
            "polypatch_version": __version__,
            "recipe": edited.recipe_name,
            "seed": edited.rules.seed,
            "sampled_languages": list(edited.sampled_languages),
            "delta": edited.delta.kind,
            "scope": getattr(edited.delta, "scope", None),
            "site": site.layer_path,
            "hidden_size": site.hidden_size,
            "activation": site.activation_name,
            "labels": list(edited.readout.answers or ()),
            "base_model": _base_model(str(getattr(base, "name_or_path", ""))),
            "base_revision": getattr(base, "_commit_hash", None),
            "base_fingerprint": edited.fingerprint,
            "base_config": configuration(site),
            "base_tokenizer": tokenizer_fingerprint(tokens.tokenizer),
            "max_length": tokens.max_length,
            "settings": edited.config,
            "data": None if edited.data is None else edited.data.to_plain(),
        },
    )


def _memory_to_save(edited: State, how: str | None) -> Kept | MemoryFile | None:
    if how not in (None, AS_OPENED, "texts", "reference"):
        raise InputError(f'memory is "texts", "reference" or None, not {how!r}')
    if how is None or edited.kept is None:
        return None
    if how == "texts":
        return edited.kept.read()
    return MemoryFile.of(edited.kept) if how == "reference" and isinstance(edited.kept, Kept) else edited.kept


def _base_model(name: str) -> str:
    """What a model is called in a folder: an embedded one by its world's name, a folder by its absolute path."""
    if not name or not Path(name).is_dir():
        return name
    return name_of_world(name) or str(Path(name).resolve())


def report_rows(report: Any) -> list[dict[str, Any]]:
    """A report's rows, the unedited model's first; the configuration beside them says how they were made."""
    if not hasattr(report, "original"):
        raise InputError(f"report is {shortened(report)}: give what evaluate(edited, …) returns")
    rows = [row.to_row() for row in (report.original, report) if row is not None]
    return [{name: value for name, value in row.items() if name not in ("config", "original")} for row in rows]


def open_artefact(
    folder: str | Path,
    model: nn.Module | None,
    tokenizer: PreTrainedTokenizerBase | None,
    memory: Given | None,
    revision: str | None,
    cache_dir: Path | None,
    device: str,
) -> dict[str, Any]:
    """The parts of the `EditedModel` that `folder` describes; see `EditedModel.from_pretrained`."""
    artefact = _find(folder, revision)
    config = artefact.config
    if model is None or tokenizer is None:
        loaded, its_tokenizer = _base(folder, config)
        if any(tensor.dtype == torch.float64 for tensor in artefact.tensors.values()):
            loaded.double()  # as the model was when it was edited; its fingerprint says whether it is that one
        loaded.to(device_named(device))
        model, tokenizer = model or loaded, tokenizer or its_tokenizer
    recipe = _recipe(config["settings"])
    site = _site(folder, model, tokenizer, recipe)
    require_base(folder, site, tokenizer, config)
    require_sentence_encoder(folder, site, config["settings"])
    delta = loaded_delta(site, artefact)
    settings, length = config["settings"], config["max_length"]
    asked = readout_in(folder, settings)
    require_template(folder, asked, tokenizer)
    if settings.get("exact") or delta.overrides:
        tail: FrozenTail | FullForward = FullForward(site, tokenizer, max_length=length, readout=asked)
    else:
        tail = FrozenTail(site, tokenizer, max_length=length, cache_dir=cache_dir, readout=asked)
    require_marks(folder, tail.readout, settings)
    given = None if memory is None else parted(memory)
    if given is not None:
        learn_maps(tail, given.parallel)
    return {
        "model": model,
        "tokenizer": tokenizer,
        "tail": tail,
        "delta": delta,
        "recipe": recipe and recipe.at(site.hidden_size),
        "recipe_name": config["recipe"],
        "sampled_languages": tuple(config["sampled_languages"]),
        "records": {record.outcome.edit_id: record for record in artefact.records},
        "config": settings,
        "memory": None if given is None else build_memory(tail, given),
        "kept": given or artefact.memory,
        "data": artefact.data,
        "rules": Rules(**settings.get("rules", {"keep_failed": True}), seed=config["seed"]),
        "report": artefact.report,
    }


def _site(
    folder: str | Path, model: nn.Module, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None
) -> FeedForwardSite:
    """Where the edits are, and what they read of a text.

    Raises:
        ArtefactError: a sentence encoder that is not to be had.
    """
    if recipe is None:
        return FeedForwardSite(model)
    try:
        sentences = sentences_of(recipe.reads, tokenizer)
    except (DataError, UnsupportedModelError) as error:
        name = encoder_in(recipe.reads)
        raise ArtefactError(
            f"{folder}: these edits read the sentence encoder {name}, which cannot be loaded: put it back ({error})"
        ) from error
    return FeedForwardSite(model, layer=recipe.layer, reads=recipe.reads, sentences=sentences)


def readout_in(folder: str | Path, settings: Mapping[str, Any]) -> ReadoutSettings:
    """What the model was asked when edits were made, as their settings say.

    Raises:
        ArtefactError: by a readout that is not in the table, or they say it in another way.
    """
    kind, most, chat = settings.get("readout", CLASSES), settings.get("most", MOST), settings.get("chat", False)
    if not isinstance(kind, str) or kind not in READOUTS:
        raise ArtefactError(f"{folder}: made with the readout {kind!r}, which nothing has added to the table of them")
    if type(most) is not int or most < 1 or type(chat) is not bool:
        raise ArtefactError(
            f"{folder}: settings.most and settings.chat should be a number and a truth, are {most!r}, {chat!r}"
        )
    return ReadoutSettings(kind, most, chat)


def take_over(edited: State, artefact: Artefact, folder: Path) -> None:
    """Put saved edits into a model that has none; one that has them already stays as it is.

    Raises:
        ArtefactError: they belong to another model.
        InputError: the model has other edits; or it is edited by another recipe, or another seed.
    """
    if edited.records:
        if tuple(edited.records.values()) != artefact.records:
            raise InputError(f"{folder}: holds other edits than the model; open it by polypatch.open, or take another")
        return
    require_base(folder, edited.site, edited.tokenizer, artefact.config)
    settings = artefact.config["settings"]
    require_sentence_encoder(folder, edited.site, settings)
    require_marks(folder, edited.readout, settings)
    recipe = _recipe(settings)
    own = edited.recipe and edited.recipe.at(edited.site.hidden_size)
    if recipe is None or recipe.at(edited.site.hidden_size) != own or edited.rules.seed != artefact.config["seed"]:
        raise InputError(f"{folder}: holds edits by another recipe or seed than the model's; open it by polypatch.open")
    put_in(edited, artefact)


def put_in(edited: State, artefact: Artefact) -> None:
    """Put edits in the place of those that a model has, whole or not at all; they must be its own, by its recipe.

    Raises:
        ArtefactError: the tensors do not fit; the model is as it was.
    """
    with transaction(edited):
        edited.delta.load_tensors(artefact.tensors, artefact.owners)
        edited.records.clear()
        edited.records.update({record.outcome.edit_id: record for record in artefact.records})
        edited.sampled_languages = tuple(artefact.config["sampled_languages"])
        edited.config.update(artefact.config["settings"])
        edited.recipe_name, edited.report, edited.data = artefact.config["recipe"], artefact.report, artefact.data
        if edited.memory is not None and edited.recipe is not None:
            remember_again(edited, edited.recipe.at(edited.site.hidden_size))


def _recipe(settings: Mapping[str, Any]) -> Recipe | None:
    """The recipe that settings describe, if this polypatch knows it."""
    plain = settings.get("recipe")
    return recipe_from_plain(plain) if isinstance(plain, dict) else None


def loaded_delta(site: FeedForwardSite, artefact: Artefact) -> Delta:
    """What the artefact holds, as the kind of delta its configuration names; ArtefactError where it cannot be that."""
    delta = on_site(site, artefact.config)
    delta.load_tensors(artefact.tensors, artefact.owners)
    return delta


def push_artefact(artefact: Artefact, repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload an artefact as a model repository; returns its address.

    What is about this machine alone stays here: where the data are, and the folders of the model and of a sentence
    encoder but for their names.
    """
    config = {**artefact.config, "data": None, "base_model": base_name(artefact.config["base_model"])}
    config["settings"] = for_others(config["settings"])
    artefact = replace(artefact, config=config)
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_artefact(Path(temporary) / "edits", artefact)
        try:
            address = api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Edits by polypatch")
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{repo_id}: the hub refuses the upload ({reason}); see `hf auth login`") from error
    return str(address)


def _find(folder: str | Path, revision: str | None) -> Artefact:
    path = Path(folder)
    # Only owner/name can be meant as a hub's; anything else that is not there is a folder that is not there.
    if path.exists() or path.is_absolute() or str(folder).count("/") != 1 or str(folder).startswith("."):
        return read_artefact(path)
    try:
        cached = snapshot_download(str(folder), revision=revision)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtefactError(f"{folder}: neither a folder of edits nor one that the hub can give ({reason})") from error
    return read_artefact(Path(cached), follow_links=True)


def on_hub(name: str, revision: str | None) -> bool:
    """Whether a hub's repository holds edits, and not a checkpoint; only its configuration is fetched."""
    try:
        hf_hub_download(name, CONFIG, revision=revision)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return False
    return True


def _base(folder: str | Path, config: Mapping[str, Any]) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    if not config["base_model"]:
        raise InputError(f"{folder}: these edits do not name their model; pass model= and tokenizer=")
    if config["base_model"] in WORLDS:
        world = world_named(config["base_model"])
        return world.model, world.tokenizer
    return load_checkpoint(config["base_model"], revision=config.get("base_revision"))
