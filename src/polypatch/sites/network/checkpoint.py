"""Loads a checkpoint from a folder or a hub, and refuses one that is no trained, sound classifier or language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from polypatch.arguments import shortened
from polypatch.errors import DataError, InputError, PolypatchError, UnsupportedModelError
from polypatch.sites.network.model_kind import AUTO_CLASSES, ModelKind, kind_of_class


def load_checkpoint(name: str | Path, *, revision: str | None = None) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    """The model and its tokenizer, in eval mode and float32.

    It is a language model where the ``architectures`` of its configuration say so, and a classifier else. No code that
    comes with a checkpoint is run or asked about; weights in pickles (``.bin``) are read as weights only.

    Args:
        name: a folder with a Hugging Face checkpoint, or a hub name.
        revision: a branch, tag or commit, for hub names.

    Raises:
        DataError: the folder is absent or its files cannot be read as a checkpoint, or the hub has no such model; two
            classes have one name; a weight is NaN or infinite.
        UnsupportedModelError: another architecture, or no trained head.
    """
    require_folder(name)
    with readable(name):
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        kind = _kind(config)
        _require_known(str(name), type(config), kind)
        if kind is ModelKind.CLASSIFIER:
            _require_labels(str(name), config.id2label, config.label2id or {})
        model, report = weights_of(auto_class(kind), name, config=config, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
    _require_trained(str(name), report, kind)
    require_tokenizer(str(name), tokenizer, model)
    require_finite(str(name), model)
    return model.eval(), tokenizer


def require_folder(name: str | Path, within: str = "") -> None:
    """Refuse a folder that is there and holds no checkpoint; `within` is where the network is in it."""
    if Path(name).exists() and not (Path(name) / within / "config.json").is_file():
        where = f"{name}/{within}" if within else name
        raise DataError(f"{where}: no config.json in this folder; give a folder written by save_pretrained")


@contextmanager
def readable(name: str | Path) -> Iterator[None]:
    """Inside the block a checkpoint is read, of a folder or a hub name.

    Raises:
        DataError: its files cannot be read, the folder is absent, or the hub has no such model.
    """
    try:
        yield
    except PolypatchError:
        raise
    except Exception as error:
        # A damaged file raises whatever its parser stumbles over, KeyError and ZeroDivisionError included.
        reason = _first_words(error)
        raise DataError(f"{name}: neither a checkpoint folder nor a model the hub can give ({reason})") from error


def weights_of(auto: Any, name: str | Path, **where: Any) -> tuple[Any, dict[str, Any]]:
    """A network in float32, and what its checkpoint lacks. No code that comes with it is run or asked about.

    Args:
        auto: a class of transformers that loads.
        name: a folder or a hub name.
        where: the revision, the configuration, the folder.
    """
    model, report = auto.from_pretrained(
        name,
        trust_remote_code=False,
        weights_only=True,
        dtype="float32",
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they come back in the report, for the caller to refuse
        **where,
    )
    return model, report


def auto_class(kind: ModelKind) -> Any:
    """What transformers loads models of a kind with."""
    return getattr(transformers, AUTO_CLASSES[kind])


def _kind(config: Any) -> ModelKind:
    """What the checkpoint was saved as; a classifier where it does not say, or names a model without a head."""
    named = config.architectures if isinstance(config.architectures, list) else []
    for name in named:
        with suppress(UnsupportedModelError):
            return kind_of_class(str(name))
    return ModelKind.CLASSIFIER


def _require_known(name: str, config: type[object], kind: ModelKind) -> None:
    if config not in auto_class(kind)._model_mapping:
        what = "sequence classifier" if kind is ModelKind.CLASSIFIER else f"{kind} language model"
        raise UnsupportedModelError(
            f"{name}: transformers has no {what} of model_type {getattr(config, 'model_type', '')!r}"
        )


def _first_words(error: Exception) -> str:
    """What a foreign error says, in one line; its type too, where the message alone would be a bare value."""
    words = " ".join(str(error).split())[:200]
    return words if words and isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {words}"


def _require_labels(name: str, names: Mapping[int, object], ids: Mapping[str, object]) -> None:
    """Refuse a label map that leaves open which class a target means: the edit would train the wrong one."""
    where = f"{name}/config.json: field 'id2label'"
    if sorted(names) != list(range(len(names))):
        raise DataError(f"{where}: the classes are {sorted(names)[:8]}; number them 0 to {len(names) - 1}")
    seen: dict[str, int] = {}
    for i, label in names.items():
        if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
            raise DataError(f"{where}: class {i} is called {str(label)[:60]!r}; give it a name")
        if seen.setdefault(str(label), i) != i:
            raise DataError(f"{where}: classes {seen[str(label)]} and {i} are both called {label!r}; rename one")
        if ids.get(str(label), i) != i:
            raise DataError(f"{where}: {label!r} is class {i}, but class {ids[str(label)]} in 'label2id'; correct one")


def require_finite(name: str, model: nn.Module) -> None:
    """Refuse NaN and infinity: every logit after them is NaN, and every comparison with it False."""
    for key, tensor in model.state_dict().items():
        # The extremes say it in one pass and without a mask the size of the tensor: 25 times faster on a large one.
        if tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            bad = tensor.numel() - int(tensor.isfinite().sum())
            raise DataError(
                f"{name}: {bad} of the {tensor.numel()} numbers in {key!r} are NaN or infinite, so training it went "
                f"wrong or the file is damaged; give an earlier or an undamaged checkpoint"
            )


def _require_trained(name: str, report: dict[str, Any], kind: ModelKind) -> None:
    """Refuse missing weights: transformers fills them with noise and only logs that. Tied ones are none."""
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        what, how = "no whole language model", "Save it whole, with save_pretrained."
        if kind is ModelKind.CLASSIFIER:
            what, how = "no trained classification head", "Fine-tune it as a sequence classifier first."
        raise UnsupportedModelError(
            f"{name}: {what}: the checkpoint lacks {', '.join(missing[:4])}{', …' if len(missing) > 4 else ''}. {how}"
        )


def require_tokenizer(name: str, tokenizer: Any, model: Any) -> None:
    """Refuse a tokenizer that transformers made up for want of files, or one of another model.

    To the first every word is the unknown one; of the second the model does not know every word.

    Args:
        name: of the checkpoint, for messages.
        tokenizer: what was given for one.
        model: the model that is to read what it writes.

    Raises:
        InputError: no tokenizer at all.
        DataError: one that does not fit.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InputError(
            f"{name}: the tokenizer is {shortened(tokenizer)}: give the model's own, such as "
            "model, tokenizer = polypatch.load_checkpoint(…)"
        )
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise DataError(f"{name}: no tokenizer files in it; save the model's tokenizer there with save_pretrained")
    last, known = max(tokenizer.get_vocab().values()), model.get_input_embeddings().num_embeddings
    if last >= known:
        raise DataError(
            f"{name}: the tokenizer numbers its entries up to {last}, and the model has embeddings for {known}, 0 to "
            f"{known - 1}; save the model's own tokenizer there, or resize the model's embeddings and train it"
        )


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars and load reports: for the command line, never called by the library."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
