"""The folder of an editor's trained net: its numbers as safetensors, and as JSON what it is and was trained for.

::

    net.safetensors    the net's numbers
    net.json           editor, settings, model, layer, groups, how it was trained, and the checksum of the other
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from polypatch.errors import ArtefactError, InputError
from polypatch.files import read_plain, sha256, strict_json, write_synced
from polypatch.store.folder import replacing

TENSORS, FACTS = "net.safetensors", "net.json"
MAKE = "polypatch train-editor makes one"

_KINDS: Mapping[str, type] = {
    "editor": str,
    "settings": dict,
    "groups": list,
    "model": str,
    "layer": str,
    "training": dict,
    "checksum": str,
}


@dataclass(frozen=True)
class SavedNet:
    """A trained net, as data.

    Attributes:
        editor: the class that it is of.
        settings: the editor's, as it was trained.
        groups: numbers of the groups that a mask has rows for.
        model: the fingerprint of the model that it was trained for.
        layer: the layer, from the model.
        training: how it was trained.
        tensors: its numbers.
    """

    editor: str
    settings: Mapping[str, Any]
    groups: tuple[int, ...]
    model: str
    layer: str
    training: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def require(self, folder: Path, editor: str, model: str, layer: str) -> None:
        """Refuse another editor, model or layer than it was trained for.

        Raises:
            ArtefactError: it is another.
        """
        if self.editor != editor:
            raise ArtefactError(f"{folder}: a net of {self.editor}, not of {editor}: take the recipe it was made for")
        if self.model != model:
            was, now = self.model[:12], model[:12]
            raise ArtefactError(
                f"{folder}: trained for another model (fingerprint {was}…, not {now}…); {MAKE} for this"
            )
        if self.layer != layer:
            raise ArtefactError(f"{folder}: trained for {self.layer}, not {layer}: give the layer that it was made for")


def write_net(folder: Path, net: SavedNet, *, overwrite: bool = False) -> None:
    """Write the folder, whole or not at all.

    Raises:
        InputError: the folder is taken, or the disk refuses.
    """
    numbers = save({name: tensor.detach().cpu().contiguous() for name, tensor in net.tensors.items()})
    facts = {name: getattr(net, name) for name in _KINDS if name != "checksum"} | {"checksum": sha256(numbers)}
    with replacing(folder, lambda place: taken(place, overwrite), InputError) as staging:
        write_synced(staging / TENSORS, numbers)
        write_synced(staging / FACTS, f"{json.dumps(facts, indent=2, allow_nan=False)}\n".encode())
        read_net(staging)


def taken(folder: Path, overwrite: bool) -> str:
    """Why a net may not take the place of what is in a folder; empty where it may."""
    if not folder.exists():
        return ""
    if not overwrite:
        return "exists; take another --out, or add --overwrite"
    return "" if (folder / FACTS).is_file() else "exists and holds no trained net; refusing to replace it"


def checksum_of(folder: Path) -> str:
    """What makes a trained net this one and no other; errors as for `read_net`."""
    read_net(folder)
    return sha256((folder / FACTS).read_bytes())


def read_net(folder: Path) -> SavedNet:
    """What `write_net` wrote.

    Raises:
        ArtefactError: there is none, or it was damaged.
    """
    if not folder.is_dir():
        raise ArtefactError(f"{folder}: no such folder; {MAKE}")
    if not (folder / FACTS).exists():
        raise ArtefactError(f"{folder}: holds no trained net; {MAKE}")
    facts = strict_json(read_plain(folder / FACTS, True, ArtefactError), str(folder / FACTS), ArtefactError)
    if not isinstance(facts, dict) or {name: type(value) for name, value in facts.items()} != _KINDS:
        raise ArtefactError(f"{folder / FACTS}: should hold {', '.join(_KINDS)}")
    groups = facts["groups"]
    if not all(type(group) is int for group in groups) or len(set(groups)) != len(groups):
        raise ArtefactError(f"{folder / FACTS}: groups should be different whole numbers")
    numbers = read_plain(folder / TENSORS, True, ArtefactError)
    if sha256(numbers) != facts.pop("checksum"):
        raise ArtefactError(f"{folder / TENSORS}: is damaged, or of another net: its checksum is not that of {FACTS}")
    try:
        tensors = load(numbers)
    except SafetensorError as error:
        raise ArtefactError(f"{folder / TENSORS}: cannot be read ({error})") from error
    return SavedNet(**{**facts, "groups": tuple(groups)}, tensors=tensors)
