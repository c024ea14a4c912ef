"""A translation model's checkpoint, from a folder or a hub: what Marian and the multilingual models share.

Weights are read from safetensors where the checkpoint has them. Many translation models on the hub have ``.bin`` files
only; transformers reads those by torch's restricted unpickler, which builds tensors and runs no code. Code that lies
beside a checkpoint is never run.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from polypatch.data.quoting import quoted
from polypatch.data.scored import ScoredText
from polypatch.errors import DataError, InputError, PolypatchError
from polypatch.files import read_plain, strict_json

EXTRA = ("sentencepiece", "sacremoses")
INSTALL = "pip install 'polypatch[translate]'"
MARIAN = ("marian",)
MULTILINGUAL = ("m2m_100", "mbart", "nllb-moe")
"""Models whose first written token names the language. NLLB-200's dense checkpoints are ``m2m_100``."""
_AT_ONCE = 2**26
"""Numbers of a pass that looks at how sure the model was, at most: outputs × tokens × vocabulary."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_WORDS = (".spm", ".model", "tokenizer.json")
_PARTS = (".json", ".spm", ".model", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a translation is searched for. All of it is part of the cache's key.

    Attributes:
        num_beams: beams of the search; None for the checkpoint's own number.
        max_tokens: longest translation, unless the checkpoint's own bound is lower; a model that repeats itself stops
            there.
        language_token: put the token of `LANGUAGE_TOKENS` before each sentence, for Marian models that know it.
    """

    num_beams: int | None = None
    max_tokens: int = 128
    language_token: bool = True

    def __str__(self) -> str:
        return f"beams={self.num_beams or 'own'} max_tokens={self.max_tokens}"


class Checkpoint:
    """One translation model; tokenizer and weights are read when they are first needed, and once.

    Args:
        name: a folder or a hub name.
        revision: a branch, tag or commit, for hub names.
        device: ``cpu`` or ``cuda``.
        kinds: the ``model_type`` it may have.
        local: take it from this machine, a folder or the hub's cache, whole; no hub is asked.

    Raises:
        InputError: the extra is not installed; there is no such device.
        DataError: no such folder, another kind of model, or nothing that a hub can give; with `local`, not here.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        device: str = "cpu",
        kinds: tuple[str, ...] = (*MARIAN, *MULTILINGUAL),
        local: bool = False,
    ) -> None:
        require_extra()
        if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
            raise InputError(f"device {device!r}: not there; use cpu, or cuda where torch sees a GPU")
        self.name, self.device = name, device
        self.kind, self.revision, self.source, folder = _identify(name, revision, kinds, local)
        # Files in a folder are read without a question to a hub; a snapshot's folder is one.
        self._from = (str(folder), None) if local else (name, self.revision)
        if local:
            _require_whole(folder)

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The tokenizer; a DataError where its files cannot be read."""
        try:
            place, revision = self._from
            return AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)
        except Exception as error:  # a damaged file raises whatever its parser stumbles over
            raise _unreadable(self.name, error) from error

    @functools.cached_property
    def model(self) -> Any:
        """The weights, in float32, on the device; a DataError where their files cannot be read."""
        try:
            place, revision = self._from
            model = AutoModelForSeq2SeqLM.from_pretrained(
                place, revision=revision, trust_remote_code=False, weights_only=True, dtype="float32"
            )
        except Exception as error:  # as above
            raise _unreadable(self.name, error) from error
        return model.eval().to(self.device)

    def search(self, decoding: Decoding) -> Any:
        """The checkpoint's own settings of the search, without sampling and bounded."""
        settings = copy.deepcopy(self.model.generation_config)
        settings.do_sample = False
        # `max_length`, because most checkpoints set that one, and both would clash; its first token only says "begin".
        places = self.model.config.max_position_embeddings
        own = settings.max_length or places
        settings.max_length, settings.max_new_tokens = min(decoding.max_tokens + 1, own, places), None
        if decoding.num_beams is not None:
            settings.num_beams = decoding.num_beams
        return settings

    def write(self, texts: list[str], settings: Any) -> Any:
        """The ids of one output per text; a text that is longer than the model reads is cut.

        Raises:
            DataError: the checkpoint's files cannot be read.
            InputError: the device has too little memory for the batch.
        """
        with self._room_for(len(texts)):
            return self.model.generate(**self._inputs(texts), generation_config=settings)

    def n_best(self, texts: list[str], settings: Any, count: int, given: int) -> list[list[ScoredText]]:
        """Up to `count` outputs per text, the best of the search first, that of `write` being the best one.

        A search of fewer beams than `count` is done for its output, and another one with so many for the others.

        `texts` and `settings` are as for `write`, `given` the number of tokens before each output that were not the
        model's choice: "begin", the language.

        Raises:
            DataError, InputError: as `write`.
        """
        beams = settings.num_beams or 1
        if 1 < count > beams:
            wider = copy.deepcopy(settings)
            wider.num_beams = count
            both = zip(self.n_best(texts, settings, 1, given), self.n_best(texts, wider, count, given), strict=True)
            return [[*first, *(one for one in others if one.text != first[0].text)][:count] for first, others in both]
        several = copy.deepcopy(settings)
        several.num_return_sequences = count
        ids = self.write(texts, several)
        written = self.decoded(ids[:, given:])
        scored = list(map(ScoredText, written, self.confidence(texts, ids, given)))
        return [scored[i : i + count] for i in range(0, len(scored), count)]

    def confidence(self, texts: list[str], ids: Any, given: int) -> list[float]:
        """How sure the model is of outputs: exp(mean log p) over the tokens of each, its end included.

        Each p is the model's own, given the text and the tokens before: bans and bounds of a search left aside. That is
        what `generate` reports as scores, which it holds for every step, beam and word at once; here outputs are read
        anew, a few at a time.

        Args:
            texts: what was translated.
            ids: outputs [several × texts, tokens], those of one text together.
            given: as for `n_best`.
        """
        inputs, several = self._inputs(texts), len(ids) // len(texts)
        chosen = ids[:, given:]
        ends = torch.isin(chosen, torch.tensor(self.model.generation_config.eos_token_id, device=ids.device))
        own = ends.int().cumsum(1) - ends.int() == 0  # up to the first end
        with self._room_for(len(texts)):
            read = self.model.get_encoder()(**inputs).last_hidden_state.repeat_interleave(several, 0)
            seen = inputs["attention_mask"].repeat_interleave(several, 0)
            rows = max(1, _AT_ONCE // (ids.shape[1] * self.model.config.vocab_size))
            parts = [slice(start, start + rows) for start in range(0, len(ids), rows)]
            likely = torch.cat([self._log_likely(read[one], seen[one], ids[one])[:, given - 1 :] for one in parts])
        return torch.exp(likely.masked_fill(~own, 0.0).sum(1) / own.sum(1)).tolist()

    def _log_likely(self, read: torch.Tensor, seen: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Log p of each token but the first, given those before: [outputs, tokens − 1]."""
        said = self.model(encoder_outputs=(read,), attention_mask=seen, decoder_input_ids=ids[:, :-1]).logits
        likely: torch.Tensor = said.log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(2)
        return likely

    def _inputs(self, texts: list[str]) -> Any:
        longest = min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=longest)
        return inputs.to(self.device)

    @contextmanager
    def _room_for(self, number: int) -> Iterator[None]:
        """Inside the block nothing is differentiated, and a device that is too small is an InputError."""
        try:
            with torch.no_grad():
                yield
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.name}: {self.device} has too little memory for {number} sentences at once; lower the batch size"
            ) from error

    def decoded(self, ids: Any) -> list[str]:
        """The texts that ids stand for."""
        return [str(text) for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def lacking() -> list[str]:
    """The packages of the extra ``translate`` that are not installed."""
    return [name for name in EXTRA if importlib.util.find_spec(name) is None]


def require_extra() -> None:
    """Raise an InputError unless the packages of the extra ``translate`` are installed."""
    if missing := lacking():
        raise InputError(f"translation needs {' and '.join(missing)}: {INSTALL}")


def _identify(
    name: str, revision: str | None, kinds: tuple[str, ...], local: bool
) -> tuple[str, str | None, str, Path]:
    """The kind, the exact revision (None for folders), a name for exactly these files, and where the config lies."""
    folder = Path(name)
    if folder.is_dir():
        config, exact = folder / "config.json", None
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise DataError(f"{name}: no such folder; give a translation model's folder, or a hub name")
    else:
        try:
            config = Path(_cached(name, revision) if local else hf_hub_download(name, "config.json", revision=revision))
        except Exception as error:
            raise _unreadable(name, error) from error
        exact = config.parent.name  # the hub's cache calls a snapshot by its commit
    found: Mapping[str, Any] | Any = strict_json(read_plain(config, True, DataError), str(config), DataError)
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in kinds:
        raise DataError(f"{config}: field 'model_type': {quoted(kind)}; translation needs a {_or(kinds)} model")
    source = f"sha256:{_digest(folder)}" if exact is None else f"{name}@{exact}"
    return kind, exact, source, config.parent


def _cached(name: str, revision: str | None) -> str:
    # Not hf_hub_download(local_files_only=True), which asks a server which program is at work.
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    if not isinstance(found, str):
        raise FileNotFoundError("it is not in the hub's cache")
    return found


def _require_whole(folder: Path) -> None:
    """Raise a DataError where a part is not there, as after a download that was stopped."""
    there = {path.name for path in folder.iterdir() if path.is_file()}
    shards = set[str]()
    for name in {f"{weights}.index.json" for weights in _WEIGHTS} & there:
        index: Any = strict_json(read_plain(folder / name, True, DataError), str(folder / name), DataError)
        shards = set(map(str, dict(index.get("weight_map") or {}).values()))
    whole = any(name in there for name in _WEIGHTS) or (shards and shards <= there)
    if not (whole and any(name.endswith(_WORDS) for name in there)):
        raise DataError(f"{folder}: weights or vocabulary of the translation model are not there")


def _or(kinds: tuple[str, ...]) -> str:
    *most, last = map(repr, kinds)
    return f"{', '.join(most)} or {last}" if most else last


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
        f"{name}: neither a translation model's folder nor a model the hub can give ({type(error).__name__}: {words})"
    )
