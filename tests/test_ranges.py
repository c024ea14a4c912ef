"""Settings hold what their annotations say; the message names the setting, its value and what is allowed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from polypatch.editors import DiscriminantPatch, TPatcher
from polypatch.editors.widths import BY_WIDTH
from polypatch.errors import InputError
from polypatch.model.rules import Rules
from polypatch.plain_recipes import recipe_from_plain, recipe_to_plain
from polypatch.recipes import RECIPES
from polypatch.runs import Run
from polypatch.settings import Settings, above, at_least, below, between


@dataclass(frozen=True, kw_only=True)
class Method(Settings):
    rate: Annotated[float, above(0, below=1)] = 0.5
    steps: Annotated[int, at_least(0, hint="leave it out for none")] | None = None
    places: Annotated[tuple[Annotated[float, below(1)], ...], at_least(1)] = (0.5,)
    share: Annotated[float, between(-1, 1)] = 0
    scope: Literal["ffn", "layer"] = "ffn"
    loud: bool = False
    name: str = ""
    texts: Sequence[str] = ()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"rate": 0}, "Method: rate must be a number above 0 and below 1, not 0"),
        ({"rate": float("nan")}, "not nan"),
        ({"rate": "0.5"}, "not '0.5'"),
        ({"rate": True}, "not True"),
        ({"share": 1.5}, "share must be a number from -1 to 1, not 1.5"),
        ({"share": 10**400}, "share must be a number"),
        (
            {"steps": -1},
            "steps must be a whole number at least 0 or none, not -1; leave it out for none",
        ),
        ({"steps": 1.0}, "not 1.0"),
        ({"places": ()}, r"a tuple, each a number below 1, at least 1 of them, not \(\)"),
        ({"places": (0.5, 1)}, r"not \(0.5, 1\)"),
        ({"places": [0.5]}, r"not \[0.5\]"),
        ({"scope": "head"}, "'ffn' or 'layer', not 'head'"),
        ({"loud": 1}, "true or false, not 1"),
        ({"name": None}, "text, not None"),
    ],
)
def test_what_is_not_allowed_is_refused(setting, said):
    with pytest.raises(InputError, match=said):
        Method(**setting)


def test_what_is_allowed_is_kept_as_it_is():
    made = Method(rate=1e-300, steps=0, places=(-5, 0.9), share=-1, scope="layer", texts=["a"])
    assert (made.rate, made.steps, made.places, made.share, made.texts) == (1e-300, 0, (-5, 0.9), -1, ["a"])


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: TPatcher(clip_norm=float("inf")), "clip_norm"),
        (lambda: DiscriminantPatch(loudness=float("nan")), "loudness"),
        (lambda: Rules(retries=-1), "retries"),
        (lambda: Run(recipe="polypatch", max_locality_drop=float("inf")), "max_locality_drop"),
    ],
)
def test_the_library_refuses_them_too(make, named):
    with pytest.raises(InputError, match=named):
        make()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_a_file_is_none_where_a_setting_cannot_be(name):
    plain = recipe_to_plain(RECIPES[name])
    assert recipe_from_plain(plain) == RECIPES[name]
    open_to_the_width = getattr(RECIPES[name].editor, "max_steps", None) is BY_WIDTH
    for wrong in (float("nan"), "x", -1, *([] if open_to_the_width else [None])):
        assert recipe_from_plain({**plain, "editor": {**plain["editor"], "max_steps": wrong}}) is None
