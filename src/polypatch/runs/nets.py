"""The trained nets of a grid's editors: where each is kept, and what a report tells of it."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

from polypatch._version import __version__
from polypatch.data import EditingData
from polypatch.editors.hyper_editor import fingerprint_of
from polypatch.editors.net_folder import read_net
from polypatch.errors import InputError
from polypatch.plain_recipes import recipe_to_plain
from polypatch.recipes import Recipe
from polypatch.runs.run import Run
from polypatch.sites import FeedForwardSite
from polypatch.store.identity import Identity


class KeptNets:
    """The nets for one model and its data.

    Args:
        folder: where they are kept, with those of others; None where nobody said.
        site: of the model.
        data: the edits and the texts around them.
    """

    def __init__(self, folder: Path | None, site: FeedForwardSite, data: EditingData) -> None:
        self.folder, self.site, self.data = folder, site, data

    def of(self, run: Run) -> Path:
        """The folder of a run's net, named after all that it is trained on and by.

        So a net of another model or of other texts is never taken for it, and runs in another order share one.

        Raises:
            InputError: nobody said where nets are kept.
        """
        if self.folder is None:
            raise InputError(f"{run.name}: its editor has a trained net, and nets_dir does not say where nets are kept")
        how = {"training": run.training, "seed": run.seed, "memory": run.memory_languages, "about": self._about}
        name = Identity({"polypatch": __version__, **recipe_to_plain(run.built()), **how}).key
        return self.folder / f"{run.recipe}-seed{run.seed}-{name}"

    @cached_property
    def _about(self) -> str:
        data = self.data
        texts = [data.asked(data.edits), data.memory, data.validation, data.parallel]
        return Identity({"model": fingerprint_of(self.site), "texts": texts}).key

    def given(self, run: Run) -> Recipe:
        """A run's recipe, its editor with its net, where it is trained one; errors as for `of`."""
        recipe = run.built()
        if run.training is None:
            return recipe
        editor: Any = recipe.editor
        return dataclasses.replace(recipe, editor=dataclasses.replace(editor, net=str(self.of(run))))

    def told(self, run: Run) -> dict[str, Any]:
        """What a report tells of a run's net: the seconds that it took, its steps, its best validation. Else nothing.

        Raises:
            ArtefactError: there is none.
        """
        if run.training is None:
            return {}
        made = read_net(self.of(run)).training
        return {"net": {name: made[name] for name in ("seconds", "steps_done", "best")}}
