"""A folder that runs as a Hugging Face Space (Docker): the desk, with an embedded world or saved edits inside."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from polypatch._version import __version__
from polypatch.data.memory_file import MemoryFile, counted
from polypatch.data.source import WORLDS
from polypatch.edits import Lang, is_lang
from polypatch.errors import InputError
from polypatch.files import write_synced
from polypatch.languages import not_a_lang
from polypatch.store.artefact import Artefact, read_artefact
from polypatch.store.card import sentence_encoder_of
from polypatch.store.cut import require_current
from polypatch.store.folder import replacing
from polypatch.store.places import EDITS, find_edits, session_journal
from polypatch.store.write import write_artefact

PACKAGE = Path(__file__).parents[1]

TORCH = "torch"
NEEDS = (
    *("datasets", "filelock", "huggingface_hub", "matplotlib", "numpy", "rich", "safetensors", "tokenizers"),
    *("transformers", "typer", "fastapi", "uvicorn", "jinja2", "markupsafe", "python-multipart", "prometheus-client"),
)
"""What polypatch and its extra `desk` need beside torch, which has an index of its own."""

ON_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
"""A model's name on a hub, and no path of a folder: those are kept absolute."""

FILES = {"README.md": "README.md", "Dockerfile": "Dockerfile", "dockerignore": ".dockerignore"}
"""Templates, and what they are called in the folder."""


@dataclass(frozen=True)
class Space:
    """What the folder of a Space holds, beside polypatch.

    Attributes:
        model: the name of an embedded world, or of the model on the hub that the edits were made on.
        edits: how many edits, those taken back among them; None where there is no folder of edits.
        texts: how many texts of their memory, parallel ones among them.
        offline: whether it starts without a download.
    """

    model: str
    edits: int | None = None
    texts: int = 0
    offline: bool = True


def write_space(folder: str | Path, place: str | Path, *, source: Lang = "en") -> Space:
    """Write a folder that is a Docker Space once it is uploaded; whole or not at all.

    It holds this polypatch itself, the versions of what it needs as they are installed here, and the edits with the
    texts of their memory. Nothing in it is about this machine.

    Args:
        folder: where: not there yet, or empty.
        place: ``world``, ``speaking-world``, or a folder of saved edits on one of them or on a model of the hub.
        source: the language of a sentence that names none.

    Raises:
        InputError: `folder` holds something, or the disk refuses; the edits need a model or a memory that is in files
            of this machine alone, or are not all in their folder yet; something that a desk needs is not installed.
        ArtefactError: the edits cannot be read.
    """
    folder = Path(folder)
    if not is_lang(source):
        raise InputError(f"source: {not_a_lang(source)}")
    if why := _taken(folder):
        raise InputError(f"{folder}: {why}")
    artefact = None if place in WORLDS else _for_others(find_edits(Path(place)))
    space = Space(str(place)) if artefact is None else _described(artefact)
    versions = {name: _version(name) for name in (TORCH, *NEEDS)}
    with replacing(folder, _taken, InputError) as staging:
        for name, content in _texts(space, source, versions).items():
            write_synced(staging / name, content.encode())
        # The package, and not a wheel: it is at hand wherever polypatch runs, from a checkout or installed.
        shutil.copytree(PACKAGE, staging / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        if artefact is not None:
            write_artefact(staging / EDITS, artefact)
    return space


def _taken(folder: Path) -> str:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return ""
    return "is there already, and not an empty folder; name another"


def _described(artefact: Artefact) -> Space:
    texts = 0
    if artefact.memory is not None:
        kept = artefact.memory.read()
        texts = sum(counted(kept).values()) + sum(map(len, (kept.parallel or {}).values()))
    model, *encoder = _models(artefact)
    return Space(model, len(artefact.records), texts, offline=model in WORLDS and not encoder)


def _models(artefact: Artefact) -> list[str]:
    """The model that edits were made on; and the sentence encoder that they read, where they read one."""
    encoder = sentence_encoder_of(artefact.config["settings"])
    return [artefact.config["base_model"], *([encoder] if encoder else [])]


def _for_others(edits: Path) -> Artefact:
    """Saved edits without what is about this machine.

    Raises:
        InputError: they cannot do without it.
    """
    if session_journal(edits).exists():
        raise InputError(
            f"{edits}: a desk or a session has edits that are not in the folder yet; stop it, or open the folder once "
            "with polypatch desk if it was killed"
        )
    artefact = read_artefact(edits)
    require_current(artefact)
    for name in _models(artefact):
        if name not in WORLDS and not ON_HUB.fullmatch(name):
            raise InputError(
                f"{edits}: these edits need the model {name!r}, which no hub gives; a Space can be made of edits on an "
                "embedded world or on a model of the hub"
            )
    if isinstance(artefact.memory, MemoryFile):
        raise InputError(
            f"{edits}: their memory is in the file {artefact.memory.path}, which a Space has not; keep its texts with "
            "the edits (--keep-memory texts), if everybody who may see the Space may read them"
        )
    return replace(artefact, config={**artefact.config, "data": _data_for_others(artefact)})


def _data_for_others(artefact: Artefact) -> dict[str, Any] | None:
    """Where the edits came from, where that is no file: a world, with its seed."""
    data = artefact.data
    return data.to_plain() if data is not None and data.spec in WORLDS and not data.parallel else None


def _version(name: str) -> str:
    """The version that is installed here, without the name of a build."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        raise InputError(
            f"a Space needs {name}, and it is not installed here, so its version is not known: "
            "pip install 'polypatch[desk]'"
        ) from None


def _texts(space: Space, source: Lang, versions: dict[str, str]) -> dict[str, str]:
    """The files that are made from templates, by name. No name of a folder or a model gets into them."""
    templates = Environment(
        loader=PackageLoader("polypatch.desk", "templates/space"),
        autoescape=False,  # plain files, of values from here alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = {
        "version": __version__,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "torch": versions[TORCH],
        "place": space.model if space.edits is None else EDITS,
        "edits": space.edits is not None,
        "texts": space.texts,
        "offline": space.offline,
        "source": source,
    }
    made = {name: templates.get_template(template).render(values) for template, name in FILES.items()}
    return made | {"requirements.txt": "".join(f"{name}=={versions[name]}\n" for name in NEEDS)}
