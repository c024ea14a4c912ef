"""What a checkpoint's own files say of how it makes a sentence vector: those of the package sentence-transformers.

::

    modules.json                          the steps, each a type and a folder
    1_Pooling/config.json                 which of the tokens' vectors make the sentence's
    2_Dense/config.json, model.safetensors   a linear map behind it
    sentence_bert_config.json             the longest text, and whether it is lowercased
    config_sentence_transformers.json     prompts, and which of them stands before every text

A checkpoint without any is a mean over the tokens, with nothing before the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from transformers.utils import cached_file

from polypatch.errors import DataError, UnsupportedModelError

POOLING = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens"}
"""Ways to make one vector of those of the tokens, in the order in which several stand, and their older names."""

_PLAIN = ({"type": "Transformer", "path": ""}, {"type": "Pooling", "path": "1_Pooling"})
_BEHIND = ("Dense", "Normalize")


@dataclass(frozen=True)
class SentenceFiles:
    """How a sentence vector is made.

    Attributes:
        folder: where the network is in the checkpoint.
        pooling: names of `POOLING`.
        steps: what follows, each a type and its folder.
        prompt: what stands before every text.
        max_length: longest text in tokens; None where it is the tokenizer's to say.
        lowercase: whether texts are lowercased.
    """

    folder: str = ""
    pooling: tuple[str, ...] = ("mean",)
    steps: tuple[tuple[str, str], ...] = ()
    prompt: str = ""
    max_length: int | None = None
    lowercase: bool = False


def sentence_files(name: str) -> SentenceFiles:
    """What the files of a folder or a hub's model say.

    Raises:
        UnsupportedModelError: it needs a step that is not known here.
        DataError: a file that cannot be read so.
        OSError: the hub does not answer.
    """
    modules = plain_in(name, "modules.json", list) or _PLAIN
    kinds = [(str(one["type"]).rpartition(".")[2], str(one["path"])) for one in modules]
    steps, unknown = kinds[2:], [kind for kind, _ in kinds[2:] if kind not in _BEHIND]
    if [kind for kind, _ in kinds[:2]] != ["Transformer", "Pooling"] or unknown:
        raise UnsupportedModelError(
            f"{name}/modules.json: {', '.join(kind for kind, _ in kinds)}: a sentence encoder is a Transformer and a "
            f"Pooling here, and {' and '.join(_BEHIND)} may follow; take another"
        )
    folder, pooled = kinds[0][1], plain_in(name, f"{kinds[1][1]}/config.json", dict)
    own = plain_in(name, str(PurePosixPath(folder) / "sentence_bert_config.json"), dict)
    prompts = plain_in(name, "config_sentence_transformers.json", dict)
    named = prompts.get("default_prompt_name")
    prompt = (prompts.get("prompts") or {}).get(named, "") if named else ""
    if prompt and pooled.get("include_prompt") is False:
        raise UnsupportedModelError(
            f"{name}/{kinds[1][1]}/config.json: include_prompt is false: its prompt {prompt!r} would have to be left "
            "out of the mean, which is not known here; take another encoder"
        )
    pooling = _pooling(f"{name}/{kinds[1][1]}/config.json", pooled)
    longest, lowercase = own.get("max_seq_length"), bool(own.get("do_lower_case"))
    return SentenceFiles(folder, pooling, tuple(steps), prompt, longest, lowercase)


def plain_in(name: str, file: str, kind: type) -> Any:
    """A JSON file of a folder or a hub's model; an empty value where there is none.

    Raises:
        DataError: it is something else.
        OSError: the hub does not answer.
    """
    place = file_in(name, file)
    if place is None:
        return kind()
    try:
        found = json.loads(place.read_bytes())
    except ValueError as error:
        raise DataError(f"{name}/{file}: not readable as JSON ({error})") from error
    if not isinstance(found, kind):
        raise DataError(f"{name}/{file}: should be a JSON {'object' if kind is dict else 'list'}")
    return found


def file_in(name: str, file: str) -> Path | None:
    """Where a file of a folder or a hub's model is on this machine; None where it has none."""
    found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def _pooling(where: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Which vectors of the tokens: as newer files say it, in one field, or as older ones do, in one for each way."""
    given = config.get("pooling_mode")
    if given is not None:
        chosen: Sequence[str] = [given] if isinstance(given, str) else list(given)
    else:
        flags = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
        if not flags and POOLING["mean"] not in config:
            flags = [POOLING["mean"]]
        known = [way for way, flag in POOLING.items() if flag in flags]
        chosen = [*known, *(flag for flag in flags if flag not in POOLING.values())]
    if not chosen or any(way not in POOLING for way in chosen):
        raise UnsupportedModelError(
            f"{where}: pooling by {', '.join(map(str, chosen)) or 'nothing'}; known are {', '.join(POOLING)}: take "
            "another encoder"
        )
    return tuple(chosen)
