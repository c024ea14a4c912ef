"""Between a folder of edits and the parts of an `EditedModel`: what is written, and how it is put together again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch._version import __version__
from polypatch.data.memory import Given, parted
from polypatch.deltas import Delta
from polypatch.deltas.kinds import on_site
from polypatch.edits import Lang, Text
from polypatch.errors import ArtefactError, InputError
from polypatch.model.rules import Rules
from polypatch.model.state import State
from polypatch.model.stream import build_memory
from polypatch.recipes import recipe_from_plain
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, Maps, load_checkpoint
from polypatch.sites.fingerprint import configuration, model_fingerprint, tokenizer_fingerprint
from polypatch.store.artefact import Artefact, read_artefact
from polypatch.store.differences import different_field
from polypatch.store.write import write_artefact


def artefact_of(edited: State) -> Artefact:
    """The edits as they are written to disk."""
    site, base, tokens = edited.site, edited.model.config, edited.tail.encoder.tokens
    return Artefact(
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
            "labels": [site.labels[i] for i in sorted(site.labels)],
            "base_model": str(getattr(base, "name_or_path", "")),
            "base_revision": getattr(base, "_commit_hash", None),
            "base_fingerprint": edited.fingerprint,
            "base_config": configuration(site),
            "base_tokenizer": tokenizer_fingerprint(tokens.tokenizer),
            "max_length": tokens.max_length,
            "settings": edited.config,
        },
    )


def report_rows(report: Any) -> list[dict[str, Any]]:
    """A report's rows, the unedited model's first; the configuration beside them says how they were made."""
    rows = [row.to_row() for row in (report.original, report) if row is not None]
    return [{name: value for name, value in row.items() if name not in ("config", "original")} for row in rows]


def open_artefact(
    folder: str | Path,
    model: nn.Module | None,
    tokenizer: PreTrainedTokenizerBase | None,
    memory: Given | None,
    revision: str | None,
    cache_dir: Path | None,
) -> dict[str, Any]:
    """The parts of the `EditedModel` that `folder` describes; see `EditedModel.from_pretrained`."""
    artefact = _find(folder, revision)
    config = artefact.config
    if model is None or tokenizer is None:
        loaded, its_tokenizer = _base(folder, config)
        if any(tensor.dtype == torch.float64 for tensor in artefact.tensors.values()):
            loaded.double()  # as the model was when it was edited; its fingerprint says whether it is that one
        model, tokenizer = model or loaded, tokenizer or its_tokenizer
    site = FeedForwardSite(model)
    _require_base(folder, site, tokenizer, config)
    delta = loaded_delta(site, artefact)
    settings = config["settings"]
    if settings.get("exact") or delta.overrides:
        tail: FrozenTail | FullForward = FullForward(site, tokenizer, max_length=config["max_length"])
    else:
        tail = FrozenTail(site, tokenizer, max_length=config["max_length"], cache_dir=cache_dir)
    kept = None if memory is None else parted(memory)
    if kept is not None and kept.parallel is not None:
        learn_maps(tail, kept.parallel)
    recipe = recipe_from_plain(settings["recipe"]) if isinstance(settings.get("recipe"), dict) else None
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
        "memory": None if kept is None else build_memory(tail, kept),
        "held_out": {} if kept is None else kept.held_out,
        "rules": Rules(**settings.get("rules", {"keep_failed": True}), seed=config["seed"]),
        "report": artefact.report,
    }


def learn_maps(tail: FrozenTail | FullForward, parallel: Mapping[Lang, Sequence[Text]]) -> None:
    """Let a tail map queries to the other languages of parallel text.

    Raises:
        InputError: the text cannot be used, or the tail runs the whole model, which needs more than queries.
    """
    if isinstance(tail, FullForward):
        raise InputError("mapped queries have no text to run the whole model on: edit without exact=True")
    if tail.maps is None or tail.maps.corpus is not parallel:  # many runs share a tail and its maps
        tail.maps = Maps.learn(parallel, tail.queries)


def loaded_delta(site: FeedForwardSite, artefact: Artefact) -> Delta:
    """What the artefact holds, as the kind of delta its configuration names; ArtefactError where it cannot be that."""
    delta = on_site(site, artefact.config)
    delta.load_tensors(artefact.tensors, artefact.owners)
    return delta


def push_artefact(artefact: Artefact, repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload an artefact as a model repository; returns its address."""
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


def _base(folder: str | Path, config: Mapping[str, Any]) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    if not config["base_model"]:
        raise InputError(f"{folder}: these edits do not name their model; pass model= and tokenizer=")
    return load_checkpoint(config["base_model"], revision=config.get("base_revision"))


def _require_base(
    folder: str | Path, site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]
) -> None:
    """Refuse another model than the one that was edited: by all that its answers depend on, whatever it is called.

    Folders of formats 1 and 2 know its weights (and labels) alone.
    """
    name = config["base_model"] or "unnamed"
    if model_fingerprint(site) != config["base_fingerprint"]:
        raise ArtefactError(
            f"{folder}: these edits were made on a model with other weights "
            f"({name}, fingerprint {config['base_fingerprint'][:12]}…); load that one"
        )
    if "base_config" in config and (field := different_field(config["base_config"], configuration(site))):
        raise ArtefactError(
            f"{folder}: the model has the weights that were edited, but another configuration ({field}), and would "
            f"answer differently; load the one that was edited ({name})"
        )
    if config.get("base_tokenizer") not in (None, tokenizer_fingerprint(tokenizer)):
        raise ArtefactError(
            f"{folder}: the model is the one that was edited, but the tokenizer is another and cuts texts differently; "
            f"load the model's own ({name})"
        )
    _require_labels(folder, site, config)
    own = {"site": site.layer_path, "hidden_size": site.hidden_size, "activation": site.activation_name}
    for field, value in own.items():
        if config.get(field, value) != value:
            raise ArtefactError(f"{folder}: {field} is {config[field]!r} in the configuration, {value!r} in the model")


def _require_labels(folder: str | Path, site: FeedForwardSite, config: Mapping[str, Any]) -> None:
    labels = [site.labels[i] for i in sorted(site.labels)]
    if labels != config.get("labels", labels):
        raise ArtefactError(
            f"{folder}: the model has the weights that were edited but other labels ({', '.join(labels[:4])}, …; "
            f"the edits know {', '.join(config['labels'][:4])}, …); mend config.id2label"
        )
