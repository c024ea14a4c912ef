"""Whether a model is the one that saved edits were made on: by all that its answers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from polypatch.arguments import shortened
from polypatch.errors import ArtefactError
from polypatch.sites import FeedForwardSite
from polypatch.sites.encoding.fingerprint import configuration, model_fingerprint, tokenizer_fingerprint
from polypatch.sites.layers.two_classes import labels_of
from polypatch.sites.readouts.readout import Readout, ReadoutSettings
from polypatch.sites.reads import encoder_in
from polypatch.store.card import sentence_encoder_of
from polypatch.store.identity import different_field


def require_base(
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
    labels = [] if site.kind.writes else list(labels_of(site.model).values())
    if labels != config.get("labels", labels):
        raise ArtefactError(
            f"{folder}: the model has the weights that were edited but other labels ({', '.join(labels[:4])}, …; "
            f"the edits know {', '.join(config['labels'][:4])}, …); mend config.id2label"
        )


def require_marks(folder: str | Path, readout: Readout, settings: Mapping[str, Any]) -> None:
    """Refuse a model that has the weights that were edited and would write otherwise: to another end, in another chat.

    Folders of earlier versions do not know.

    Raises:
        ArtefactError: it would, or the settings say it in another way.
    """
    was = settings.get("marks")
    if not isinstance(was, dict | None):
        raise ArtefactError(f"{folder}: settings.marks should be an object, is {shortened(was)}")
    if was is not None and (field := different_field(was, readout.marks)):
        raise ArtefactError(
            f"{folder}: the model has the weights that were edited, but answers hang on more ({field}): load the "
            "generation_config and the tokenizer of the one that was edited"
        )


SENTENCE_ENCODER = "sentence_encoder"
"""The setting that has the fingerprint of the sentence encoder that edits read; its name is in the recipe."""


def require_sentence_encoder(folder: str | Path, site: FeedForwardSite, settings: Mapping[str, Any]) -> None:
    """Refuse another sentence encoder than the one that the edits were made with, whatever it is called.

    Raises:
        ArtefactError: it is another, or the folder does not say which it was.
    """
    was, name = settings.get(SENTENCE_ENCODER), sentence_encoder_of(settings) or encoder_in(site.reads)
    now = site.sentence_encoder
    if was != now:
        made, here = (f"fingerprint {one[:12]}…" if isinstance(one, str) else "none" for one in (was, now))
        raise ArtefactError(
            f"{folder}: these edits were made with another sentence encoder ({made}) than there is here ({here}); put "
            f"the one that they were made with at {name} again"
        )


def require_template(folder: str | Path, asked: ReadoutSettings, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer without a chat template for edits that were made in a chat.

    Raises:
        ArtefactError: it has none.
    """
    if asked.chat and not getattr(tokenizer, "chat_template", None):
        raise ArtefactError(
            f"{folder}: these edits were made in a chat, and the tokenizer has no chat template; set it"
        )
