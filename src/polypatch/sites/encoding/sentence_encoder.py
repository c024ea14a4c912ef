"""SentenceEncoder: a frozen network beside the edited model, which gives a whole text one vector."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_utils import load_state_dict

from polypatch.errors import DataError, UnsupportedModelError
from polypatch.sites.discovery.places import pad_of
from polypatch.sites.encoding.encoder import positions_of
from polypatch.sites.encoding.fingerprint import configuration_of, tokenizer_fingerprint, weights_fingerprint
from polypatch.sites.encoding.guests import Guests
from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.network.checkpoint import (
    readable,
    require_finite,
    require_folder,
    require_tokenizer,
    weights_of,
)
from polypatch.sites.network.lock import Mutex
from polypatch.sites.network.sentence_files import SentenceFiles, file_in, plain_in, sentence_files
from polypatch.sites.rows import Row

KEPT = 4096
"""Texts whose vectors stay in memory: 12 MB at a width of 768."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "Identity": nn.Identity,
    "Tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
}
"""What may stand behind a linear map; nothing else is looked up by a name from a file."""


class SentenceEncoder:
    """Texts -> vectors of unit length, as the files of its checkpoint say (`polypatch.sites.network.sentence_files`).

    A text has the same bits whoever stands beside it, for the shape of its pass hangs on its own length alone.

    Args:
        name: its folder or hub name, for messages.
        body: the network, which gives every token a vector.
        tokenizer: its tokenizer.
        files: how a text's vector is made of its tokens'.
        behind: the steps that follow.
    """

    def __init__(
        self,
        name: str,
        body: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        files: SentenceFiles,
        behind: Sequence[nn.Module] = (),
    ) -> None:
        self.name, self.files = name, files
        self.network = nn.ModuleList([body, *behind]).eval().requires_grad_(False)
        own = Tokens(tokenizer, None, positions_of(body), pad_of(body))
        longest = min(files.max_length or own.max_length, own.max_length)
        self.tokens = Tokens(tokenizer, longest, positions_of(body), pad_of(body))
        self._kept, self._moving = Guests(KEPT), Mutex()
        self.width = len(self.vectors(["."], torch.device("cpu"))[0])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all that a vector depends on beside the text and the device: weights, files and tokenizer."""
        digest = hashlib.sha256(weights_fingerprint(self.network).encode())
        files = {name: value for name, value in dataclasses.asdict(self.files).items() if name != "folder"}
        about = [configuration_of(self.network[0]), files, self.tokens.max_length]
        digest.update(json.dumps(about, sort_keys=True).encode())
        digest.update(tokenizer_fingerprint(self.tokens.tokenizer).encode())
        return digest.hexdigest()

    @torch.no_grad()
    def vectors(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """The vectors [n, width] of n ≥ 1 texts, in float32; each text that is not known yet is encoded, once."""
        with self._moving:
            if next(self.network.parameters()).device != device:
                self.network.to(device)
        given = [self.files.prompt + (text.lower() if self.files.lowercase else text) for text in texts]
        return self._kept.queries(self.tokens.rows(given), lambda rows: self._encoded(rows, device)).to(device)

    def _encoded(self, rows: Sequence[Row], device: torch.device) -> Tensor:
        found: dict[int, Tensor] = {}
        # Whatever precision the edited model is asked in: of one text there is one vector.
        with torch.autocast(device.type, enabled=False):
            for chosen, batch in self._passes(rows, device):
                given = self.tokens.pad(batch, device)
                vectors = self._pooled(self.network[0](**given).last_hidden_state, given["attention_mask"])
                for step in self.network[1:]:
                    vectors = step(vectors)
                found.update(zip(chosen, functional.normalize(vectors, dim=-1), strict=False))  # copies come last
        return torch.stack([found[i] for i in range(len(rows))]).cpu()  # wherever it is asked for next

    def _passes(self, rows: Sequence[Row], device: torch.device) -> Iterable[tuple[list[int], list[Row]]]:
        """(indices, the rows of one pass) pairs.

        On a CPU a text is a pass of its own. Many take twice as long so, once; a text that is alone, as whenever the
        edited model is asked, takes a tenth of a pass that is filled up.
        """
        if device.type == "cpu":
            return (([i], [row]) for i, row in enumerate(rows))
        return self.tokens.batches(rows, device)

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """One vector of those of the tokens: [n, T, d] -> [n, ways · d]."""
        own = mask.unsqueeze(-1).to(states)
        ways = {
            "cls": lambda: states[:, 0],
            "max": lambda: states.masked_fill(own == 0, -torch.inf).amax(1),
            "mean": lambda: (states * own).sum(1) / own.sum(1).clamp(min=1),
        }
        return torch.cat([ways[way]() for way in self.files.pooling], dim=-1)


class Dense(nn.Module):
    """A linear map and what stands behind it."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__()
        config = plain_in(name, f"{folder}/config.json", dict)
        places = (file_in(name, f"{folder}/{file}") for file in ("model.safetensors", "pytorch_model.bin"))
        weights = next((place for place in places if place is not None), None)
        activation = str(config.get("activation_function", "Identity")).rpartition(".")[2]
        if weights is None:
            raise DataError(f"{name}/{folder}: no model.safetensors in it; save the encoder again")
        if activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"{name}/{folder}/config.json: activation_function {activation!r}; known are {', '.join(ACTIVATIONS)}"
            )
        self.linear = nn.Linear(config["in_features"], config["out_features"], config.get("bias", True))
        self.load_state_dict(load_state_dict(str(weights), weights_only=True))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, vectors: Tensor) -> Tensor:
        """[n, in] -> [n, out]."""
        mapped: Tensor = self.activation(self.linear(vectors))
        return mapped


class Normalize(nn.Module):
    """To unit length."""

    def forward(self, vectors: Tensor) -> Tensor:
        """[n, d] -> [n, d]."""
        return functional.normalize(vectors, dim=-1)


def load_sentence_encoder(name: str) -> SentenceEncoder:
    """The sentence encoder in a folder, or of a hub name, in float32. No code that comes with it is run or asked about.

    Raises:
        DataError: the folder is absent or its files cannot be read, or the hub has no such model.
        UnsupportedModelError: an encoder and a decoder in one; weights that are missing; a step that is not known.
    """
    with readable(name):
        files = sentence_files(name)
        require_folder(name, files.folder)
        where: dict[str, Any] = {"subfolder": files.folder} if files.folder else {}
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **where)
        if getattr(config, "is_encoder_decoder", False):
            raise UnsupportedModelError(f"{name}: an encoder and a decoder in one; give a sentence encoder alone")
        body, report = weights_of(AutoModel, name, config=config, **where)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **where)
        behind = [Dense(name, folder) if kind == "Dense" else Normalize() for kind, folder in files.steps]
        _require_whole(name, body, report)
        require_tokenizer(name, tokenizer, body)
        require_finite(name, nn.ModuleList([body, *behind]))
        return SentenceEncoder(name, body, tokenizer, files, behind)


def _require_whole(name: str, body: Any, report: dict[str, Any]) -> None:
    """Refuse missing weights; but for those of a pooler, whose output no sentence vector is made of here."""
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    others = [key for key in missing if not key.startswith("pooler.")]
    if others:
        some = f"{', '.join(others[:4])}{', …' if len(others) > 4 else ''}"
        raise UnsupportedModelError(f"{name}: the checkpoint lacks {some}; save it whole, with save_pretrained")
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
