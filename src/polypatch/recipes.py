"""THE TABLE: a method is a row, name -> (editor, sampler, trigger)."""

from __future__ import annotations

from dataclasses import dataclass, field

from polypatch.editors import Editor, FineTuning, TPatcher
from polypatch.errors import UnknownRecipeError
from polypatch.samplers import Sampler, SourceOnly, SourcePlusRandom
from polypatch.triggers import Trigger


@dataclass(frozen=True)
class Recipe:
    """One editing method.

    Attributes:
        editor: how a change is learned.
        sampler: from which inputs.
        trigger: when a change is needed.
        paper: where the combination was published.
    """

    editor: Editor
    sampler: Sampler = field(default_factory=SourceOnly)
    trigger: Trigger = Trigger.SOURCE
    paper: str = ""


_PATCHER = "Huang et al. 2023, Transformer-Patcher (arXiv:2301.09785)"
_MPN = "Si, Zhang and Zhang 2024, MPN (arXiv:2401.03190)"

RECIPES: dict[str, Recipe] = {
    "fine-tuning": Recipe(FineTuning(), paper=_MPN),
    "t-patcher": Recipe(TPatcher(), paper=_PATCHER),
    "mpn-only": Recipe(TPatcher(), SourcePlusRandom(k=1), Trigger.SAMPLED, paper=_MPN),
    "mpn-all": Recipe(TPatcher(), SourcePlusRandom(k=1), Trigger.ANY, paper=_MPN),
}
"""Every method by name. A new one is a file in ``editors/`` or a sampler, and one row here."""


def recipe_named(name: str) -> Recipe:
    """The row called `name`.

    Raises:
        UnknownRecipeError: there is none.
    """
    if name not in RECIPES:
        raise UnknownRecipeError(f"no recipe is called {name!r}; the table has {', '.join(RECIPES)}")
    return RECIPES[name]
