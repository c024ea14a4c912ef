"""What verbs share that go on with saved edits, or begin with a model: opening either, and saying what was kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polypatch.cli.console import Bars
from polypatch.cli.options import require_model
from polypatch.data.source import WORLDS
from polypatch.errors import InputError, PolypatchWarning
from polypatch.store.artefact import read_artefact
from polypatch.store.places import find_edits, holds_edits

if TYPE_CHECKING:  # torch is waited for once it is needed
    from polypatch.edited_model import EditedModel
    from polypatch.model.encoding import Encoding


@dataclass(frozen=True)
class EditsOrModel:
    """Saved edits, or a model that is to get some.

    Attributes:
        name: a folder of edits, a run, a checkpoint's folder, a hub name, or ``world``.
        out: where the edits of a model go; None for saved edits, which are changed where they are.
        base: the model of saved edits, where it is not where they say.
        memory: a file of texts for a model.
        no_memory: go without.
        recipe: for a model.
        answer_tokens, chat: for a language model, as `polypatch.Encoding` has them.
        device: where it computes.
    """

    name: str
    out: Path | None = None
    base: str | None = None
    memory: Path | None = None
    no_memory: bool = False
    recipe: str | None = None
    device: str = "auto"
    answer_tokens: int | None = None
    chat: bool = False

    @property
    def folder(self) -> Path:
        """Where the edits are, or will be.

        Raises:
            InputError: options that do not go together, or are missing.
        """
        edits = self.edits
        if edits is None:
            if self.out is None:
                raise InputError(f"--out is missing: {self.name} has no edits yet; say in which folder they are kept")
            if holds_edits(self.out):
                raise InputError(f"{self.out} holds edits: to go on with them give that folder, not their model")
            return self.out
        given = {"--out": self.out, "--memory": self.memory, "--no-memory": self.no_memory, "--recipe": self.recipe}
        given |= self._asked
        if wrong := [name for name, value in given.items() if value]:
            raise InputError(f"{', '.join(wrong)}: saved edits have their own, and are changed in place; leave it out")
        return edits

    def at_home(self) -> EditsOrModel:
        """The same with a folder for a model's edits where none was named; where it holds some, these."""
        if self.out is not None or self.edits is not None:
            return self
        out = Path(f"{Path(self.name).name}-edits")
        return replace(self, name=str(out), base=self.base) if holds_edits(out) else replace(self, out=out)

    @property
    def _asked(self) -> dict[str, Any]:
        """How a model is asked, by option."""
        return {"--answer-tokens": self.answer_tokens, "--chat": self.chat}

    @property
    def _encoding(self) -> Encoding:
        from polypatch.model.encoding import Encoding

        encoding = Encoding(chat=self.chat)
        return encoding if self.answer_tokens is None else replace(encoding, most=self.answer_tokens)

    @property
    def edits(self) -> Path | None:
        """The saved edits; None where it is a model."""
        path = Path(self.name)
        checkpoint = (path / "config.json").is_file() or not (path.exists() or holds_edits(path))
        return None if checkpoint else find_edits(path)

    def open(self, bars: Bars) -> EditedModel:
        """The edits on their model, or the model without any.

        Raises:
            PolypatchError: it cannot be opened; a model, and no word about its memory.
        """
        from polypatch.api import NOT_SAID
        from polypatch.api import open as open_place
        from polypatch.cli.saved import Saved

        if (edits := self.edits) is not None:
            return Saved(edits, bars, model=self.base, device=self.device).attach()
        if self.memory is not None and self.no_memory:
            raise InputError("--memory and --no-memory: give one of them")
        if self.memory is None and not self.no_memory and self.name not in WORLDS:
            raise InputError(
                f"--memory is missing: give a file of texts that {self.name} must go on answering as it does, or say "
                "--no-memory"
            )
        memory = None if self.no_memory else NOT_SAID if self.memory is None else self.memory
        with noting(bars):
            return open_place(
                require_model(self.name),
                memory=memory,
                recipe=self.recipe,
                device=self.device,
                encoding=self._encoding,
            )

    def open_to_ask(self, bars: Bars) -> EditedModel:
        """The same for who only asks: a model needs no memory then."""
        from polypatch.api import open as open_place

        if self.edits is not None:
            if wrong := [name for name, value in self._asked.items() if value]:
                raise InputError(f"{', '.join(wrong)}: saved edits have their own; leave it out")
            return self.open(bars)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PolypatchWarning)
            name, encoding = require_model(self.name), self._encoding
            return open_place(name, memory=None, device=self.device, encoding=encoding)


@contextmanager
def noting(bars: Bars) -> Iterator[None]:
    """Inside the block polypatch's warnings are notes on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolypatchWarning)
        try:
            yield
        finally:
            for one in caught:
                bars.say(f"note: {one.message}")


def kept_in(folder: Path) -> str:
    """What a folder of edits holds now, and how large it is."""
    artefact = read_artefact(folder, tensors=False)
    edits = sum(not record.reverted for record in artefact.records)
    size = sum(path.stat().st_size for path in folder.iterdir())
    memory = artefact.config["memory"]
    own = f", {memory['bytes'] / 1000:,.0f} kB of it memory" if memory and "bytes" in memory else ""
    return f"{folder}: {edits} edit{'' if edits == 1 else 's'}, {size / 1000:,.0f} kB{own}"
