"""Loads a checkpoint from a folder or a hub, and refuses one that is not a trained classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from polypatch.errors import DataError, UnsupportedModelError
from polypatch.sites.families import FAMILIES


def load_checkpoint(name: str | Path, *, revision: str | None = None) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    """The classifier and its tokenizer, in eval mode and float32.

    Args:
        name: a folder with a Hugging Face checkpoint, or a hub name.
        revision: a branch, tag or commit, for hub names.

    Raises:
        DataError: the folder is absent or holds no checkpoint, or the hub has no such model.
        UnsupportedModelError: another architecture, or no trained classification head.
    """
    path = Path(name)
    if path.exists() and not (path / "config.json").is_file():
        raise DataError(f"{name}: no config.json in this folder; give a folder written by save_pretrained")
    try:
        config = AutoConfig.from_pretrained(name, revision=revision)
        _require_known(str(name), config.model_type)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            name,
            config=config,
            revision=revision,
            dtype="float32",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they come back in the report, and are refused below
        )
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{name}: neither a checkpoint folder nor a model the hub can give ({reason})") from error
    _require_trained(str(name), report)
    _require_words(str(name), tokenizer)
    return model.eval(), tokenizer


def _require_known(name: str, model_type: str) -> None:
    if model_type not in FAMILIES:
        raise UnsupportedModelError(
            f"{name}: model_type {model_type!r} has no entry in the table of families; "
            f"looked for one of {', '.join(sorted(FAMILIES))}"
        )


def _require_trained(name: str, report: dict[str, Any]) -> None:
    """Refuse missing weights: transformers fills them weights with noise and only logs that."""
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise UnsupportedModelError(
            f"{name}: no trained classification head: the checkpoint lacks {', '.join(missing[:4])}"
            f"{', …' if len(missing) > 4 else ''}. Fine-tune it as a sequence classifier first."
        )


def _require_words(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that transformers made up for want of files: to it every word is the unknown one."""
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise DataError(f"{name}: no tokenizer files in it; save the model's tokenizer there with save_pretrained")


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars and load reports: for the command line, never called by the library."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
