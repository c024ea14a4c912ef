"""THE TABLE: a method is a row, name -> (editor, sampler, trigger)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polypatch.editors import GRACE, DiscriminantPatch, Editor, FineTuning, LoRA, TPatcher
from polypatch.editors.widths import fitted
from polypatch.errors import InputError, UnknownRecipeError
from polypatch.samplers import AllLanguages, OnlyLanguages, Sampler, SourceOnly, SourcePlusMapped, SourcePlusRandom
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

    def at(self, width: int) -> Recipe:
        """The recipe on a model so wide: its editor has no setting left that depends on the width."""
        return dataclasses.replace(self, editor=fitted(self.editor, width))


_PATCHER = "Huang et al. 2023, Transformer-Patcher (arXiv:2301.09785)"
_MPN = "Si, Zhang and Zhang 2024, MPN (arXiv:2401.03190)"

_GRACE = "Hartvigsen et al. 2023, GRACE (arXiv:2211.11031)"
_LORA = "Hu et al. 2022, LoRA (arXiv:2106.09685)"

_ONE_MORE = SourcePlusRandom(k=1, redraw="per_edit")

RECIPES: dict[str, Recipe] = {
    "fine-tuning": Recipe(FineTuning(), paper=_MPN),
    "t-patcher": Recipe(TPatcher(), paper=_PATCHER),
    "mpn-only": Recipe(TPatcher(), SourcePlusRandom(k=1), Trigger.SAMPLED, paper=_MPN),
    "mpn-all": Recipe(TPatcher(), SourcePlusRandom(k=1), Trigger.ANY, paper=_MPN),
    "mpn-only-once": Recipe(TPatcher(), _ONE_MORE, Trigger.SAMPLED, paper=_MPN),
    "mpn-all-once": Recipe(TPatcher(), _ONE_MORE, Trigger.ANY, paper=_MPN),
    "fine-tuning-mpn": Recipe(FineTuning(), _ONE_MORE, Trigger.ANY),
    "lora": Recipe(LoRA(), paper=_LORA),
    "lora-mpn": Recipe(LoRA(), _ONE_MORE, Trigger.ANY),
    "grace": Recipe(GRACE(), paper=_GRACE),
    "grace-mpn": Recipe(GRACE(), _ONE_MORE, Trigger.ANY),
    "polypatch": Recipe(DiscriminantPatch(), AllLanguages(), Trigger.ANY),
    "polypatch-one": Recipe(DiscriminantPatch(), _ONE_MORE, Trigger.ANY),
    "polypatch-one-mapped": Recipe(DiscriminantPatch(), SourcePlusMapped(k=1), Trigger.ANY),
    "polypatch-mapped": Recipe(DiscriminantPatch(), SourcePlusMapped(), Trigger.SAMPLED),
    "polypatch-both": Recipe(DiscriminantPatch(), SourcePlusMapped(k=None), Trigger.SAMPLED),
}
"""Every method by name. A new one is a file in ``editors/`` or a sampler, and one row here.

``mpn-only`` and ``mpn-all`` draw the other language anew at every step, the rows called ``-once`` once per edit.
"""

DEFAULT = "polypatch"
"""What is used unless told otherwise."""


def recipe_named(name: str) -> Recipe:
    """The row called `name`.

    Raises:
        UnknownRecipeError: there is none.
    """
    if name not in RECIPES:
        raise UnknownRecipeError(f"no recipe is called {name!r}; the table has {', '.join(RECIPES)}")
    return RECIPES[name]


def with_mapped(recipe: Recipe, parallel: Mapping[str, Any] | None) -> Recipe:
    """The recipe with the languages of the parallel text, where its sampler maps to those and none are named.

    Raises:
        InputError: it needs parallel text, and there is none; or there is some, and it has no use for it.
    """
    sampler = recipe.sampler
    if not isinstance(sampler, SourcePlusMapped):
        if parallel is not None:
            named = [name for name, row in RECIPES.items() if isinstance(row.sampler, SourcePlusMapped)]
            raise InputError(f"this recipe maps no queries and has no use for parallel text; {', '.join(named)} do")
        return recipe
    if sampler.languages:
        return recipe
    if parallel is None:
        raise InputError("this recipe maps queries to other languages and needs parallel text: pass parallel=")
    return dataclasses.replace(recipe, sampler=dataclasses.replace(sampler, languages=tuple(parallel)[1:]))


EDITORS: dict[str, Any] = {kind.__name__: kind for kind in (TPatcher, FineTuning, LoRA, GRACE, DiscriminantPatch)}
_SAMPLERS = (SourceOnly, SourcePlusRandom, SourcePlusMapped, AllLanguages, OnlyLanguages)
SAMPLERS: dict[str, Any] = {kind.__name__: kind for kind in _SAMPLERS}
"""What a file of settings may name. Nothing else is ever looked up by a name from a file."""


_BEFORE: dict[str, dict[str, Any]] = {"DiscriminantPatch": {"confidence": 0.0}}
"""Settings that older files do not name, as edits were made then: today's defaults would go on in another way."""


def recipe_to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data for files: names and hyper-parameters."""

    def described(part: Any) -> dict[str, Any]:
        return {"name": type(part).__name__, **dataclasses.asdict(part)}

    return {
        "editor": described(recipe.editor),
        "sampler": described(recipe.sampler),
        "trigger": recipe.trigger.value,
        "paper": recipe.paper,
    }


def recipe_from_plain(plain: Mapping[str, Any]) -> Recipe | None:
    """The recipe that `recipe_to_plain` described; None where a part is not polypatch's own, or of another version."""

    def built(part: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
        part = {**_BEFORE.get(part["name"], {}), **part}
        settings = {name: tuple(v) if isinstance(v, list) else v for name, v in part.items() if name != "name"}
        return table[part["name"]](**settings)

    try:
        editor, sampler = built(plain["editor"], EDITORS), built(plain["sampler"], SAMPLERS)
        return Recipe(editor, sampler, Trigger(plain["trigger"]), plain["paper"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
