"""Marian translation models from a folder or a hub; needs the extra ``translate``.

Source: MPN appendix A.1 (the five models); the models' cards (language tokens, beams).
**Deviates:** the paper says nothing about decoding. Ours: the checkpoint's own beams (four in the opus-mt models), no
sampling, float32, at most 128 tokens; and, for models that can write several languages, the token that names the one
wanted, which their cards call required (``>>cmn_Hans<<``, ``>>ara<<``).
"""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from transformers import MarianMTModel, MarianTokenizer

from polypatch.data.quoting import quoted
from polypatch.edits import Lang
from polypatch.errors import DataError, InputError, PolypatchError
from polypatch.files import read_plain, strict_json

MODELS: Mapping[Lang, str] = {lang: f"Helsinki-NLP/opus-mt-en-{lang}" for lang in ("de", "fr", "es", "zh", "ar")}
"""THE TABLE of models out of English. Another language is a row, or `Marian`'s `name`."""

LANGUAGE_TOKENS: Mapping[Lang, str] = {"zh": ">>cmn_Hans<<", "ar": ">>ara<<"}
"""What is put before a sentence, where the model's vocabulary has it."""

EXTRA = ("sentencepiece", "sacremoses")
_PARTS = (".json", ".spm", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a translation is searched for. All of it is part of the cache's key.

    Attributes:
        num_beams: beams of the search; None for the checkpoint's own number.
        max_tokens: longest translation, unless the checkpoint's own bound is lower; a model that repeats itself stops
            there.
        language_token: put the token of `LANGUAGE_TOKENS` before each sentence, for models that know it.
    """

    num_beams: int | None = None
    max_tokens: int = 128
    language_token: bool = True


class Marian:
    """A Marian model that writes one language; its weights are read when the first sentence comes.

    Args:
        lang: the language wanted.
        name: a folder or a hub name; None for that of `MODELS`.
        revision: a branch, tag or commit, for hub names.
        device: ``cpu`` or ``cuda``.
        decoding: how it searches.

    Raises:
        InputError: the extra is not installed; no model is known for `lang`; there is no such device.
        DataError: no such folder, not a Marian model, or nothing that a hub can give.
    """

    def __init__(
        self,
        lang: Lang,
        name: str | None = None,
        *,
        revision: str | None = None,
        device: str = "cpu",
        decoding: Decoding | None = None,
    ) -> None:
        require_extra()
        if name is None and lang not in MODELS:
            raise InputError(f"no translation model is known for {lang!r} (known: {', '.join(MODELS)}); name one")
        if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
            raise InputError(f"device {device!r}: not there; use cpu, or cuda where torch sees a GPU")
        self.lang = lang
        self.name = name or MODELS[lang]
        self.device = device
        self.decoding = decoding or Decoding()
        self._config, self._revision, source = _identify(self.name, revision)
        token = LANGUAGE_TOKENS.get(lang, "") if self.decoding.language_token else ""
        how = f"beams={self.decoding.num_beams or 'own'} max_tokens={self.decoding.max_tokens} token={token or 'none'}"
        self._token = token
        self._fingerprint = f"{source} {how}"

    @property
    def fingerprint(self) -> str:
        """The commit of a hub's model or the hash of a folder's files, and the decoding."""
        return self._fingerprint

    def __call__(self, sentences: list[str]) -> list[str]:
        """Translate one batch.

        Raises:
            DataError: the checkpoint's files cannot be read.
            InputError: the device has too little memory for the batch.
        """
        model, tokenizer, settings, prefix, longest = self._loaded
        texts = [f"{prefix}{sentence}" for sentence in sentences]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=longest)
        try:
            with torch.no_grad():
                made = model.generate(**inputs.to(self.device), generation_config=settings)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.name}: {self.device} has too little memory for {len(sentences)} sentences at once; "
                "lower the batch size"
            ) from error
        return [str(text) for text in tokenizer.batch_decode(made, skip_special_tokens=True)]

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any, Any, str, int]:
        """Model, tokenizer, settings of the search, what is put before a sentence, and most tokens of an input."""
        try:
            tokenizer = MarianTokenizer.from_pretrained(self.name, revision=self._revision)
            model = MarianMTModel.from_pretrained(self.name, revision=self._revision, dtype="float32")
        except Exception as error:  # a damaged file raises whatever its parser stumbles over
            raise _unreadable(self.name, error) from error
        settings = copy.deepcopy(model.generation_config)
        settings.do_sample = False
        # `max_length`, because most checkpoints set that one, and both would clash; its first token only says "begin".
        places = model.config.max_position_embeddings
        own = settings.max_length or places
        settings.max_length, settings.max_new_tokens = min(self.decoding.max_tokens + 1, own, places), None
        if self.decoding.num_beams is not None:
            settings.num_beams = self.decoding.num_beams
        known = self._token in tokenizer.get_vocab()
        longest = min(tokenizer.model_max_length, places)
        return model.eval().to(self.device), tokenizer, settings, f"{self._token} " if known else "", longest


def require_extra() -> None:
    """Raise an InputError unless the packages of the extra ``translate`` are installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"translation needs {' and '.join(missing)}: pip install 'polypatch[translate]'")


def _identify(name: str, revision: str | None) -> tuple[dict[str, Any], str | None, str]:
    """The config, the exact revision (None for folders) and a name for exactly these files, without the weights."""
    folder = Path(name)
    if folder.is_dir():
        config, exact, source = folder / "config.json", None, f"sha256:{_digest(folder)}"
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise DataError(f"{name}: no such folder; give a Marian checkpoint's folder, or a hub name")
    else:
        try:
            config = Path(hf_hub_download(name, "config.json", revision=revision))
        except Exception as error:
            raise _unreadable(name, error) from error
        exact = config.parent.name  # the hub's cache calls a snapshot by its commit
        source = f"{name}@{exact}"
    found = strict_json(read_plain(config, True, DataError), str(config), DataError)
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind != "marian":
        raise DataError(f"{config}: field 'model_type': {quoted(kind)}; translation needs a 'marian' model")
    return found, exact, source


def _digest(folder: Path) -> str:
    """Of the names and contents of a checkpoint's files; a folder that is moved keeps it, a retrained one does not."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _PARTS and path.is_file()):
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _unreadable(name: str, error: Exception) -> PolypatchError:
    words = " ".join(str(error).split())[:200]
    return DataError(
        f"{name}: neither a Marian checkpoint's folder nor a model the hub can give ({type(error).__name__}: {words})"
    )
