"""Recipes as plain data, for files: names and hyper-parameters, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from polypatch.recipes import ROWS, Recipe
from polypatch.samplers import AllLanguages, OnlyLanguages, SourceOnly, SourcePlusMapped, SourcePlusRandom
from polypatch.triggers import Trigger

_SAMPLERS = (SourceOnly, SourcePlusRandom, SourcePlusMapped, AllLanguages, OnlyLanguages)
SAMPLERS: dict[str, Any] = {kind.__name__: kind for kind in _SAMPLERS}
"""The samplers that a file of settings may name; of editors it may name those of `ROWS`. Nothing else is looked up."""


def editor_kind(name: str) -> Any:
    """The editor of that name in the table.

    Raises:
        KeyError: no row has one.
    """
    return {row.editor_name: row for row in ROWS.values()}[name].editor_kind()


_BEFORE: dict[str, dict[str, Any]] = {"DiscriminantPatch": {"confidence": 0.0}}
"""Settings that older files do not name, as edits were made then: today's defaults would go on in another way."""


def recipe_to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data for files: names and hyper-parameters."""

    def described(part: Any) -> Any:
        if not dataclasses.is_dataclass(part):
            return part
        fields = {one.name: described(getattr(part, one.name)) for one in dataclasses.fields(part)}
        return {"name": type(part).__name__, **fields}

    layer = {} if recipe.layer is None else {"layer": recipe.layer}
    return {
        "editor": described(recipe.editor),
        "sampler": described(recipe.sampler),
        "trigger": recipe.trigger.value,
        "paper": recipe.paper,
        **layer,
        **({} if recipe.reads == "query" else {"reads": recipe.reads}),
    }


def recipe_from_plain(plain: Mapping[str, Any]) -> Recipe | None:
    """The recipe that `recipe_to_plain` described; None where a part is not polypatch's own, or of another version."""

    def built(part: Any, kind: Callable[[str], Any]) -> Any:
        if not isinstance(part, Mapping):
            return tuple(part) if isinstance(part, list) else part
        part = {**_BEFORE.get(part["name"], {}), **part}
        return kind(part["name"])(**{name: built(value, kind) for name, value in part.items() if name != "name"})

    try:
        editor, sampler = built(plain["editor"], editor_kind), built(plain["sampler"], SAMPLERS.__getitem__)
        where = {"layer": plain.get("layer"), "reads": plain.get("reads", "query")}
        return Recipe(editor, sampler, Trigger(plain["trigger"]), plain["paper"], **where)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
