"""THE TABLE: a method is a row, name -> (editor, sampler, trigger)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from polypatch.arguments import shortened
from polypatch.editors.widths import fitted
from polypatch.errors import InputError, UnknownRecipeError
from polypatch.samplers import AllLanguages, Sampler, SourceOnly, SourcePlusMapped, SourcePlusRandom
from polypatch.sites.reads import Reads, reads_in, reads_text
from polypatch.triggers import Trigger

if TYPE_CHECKING:
    from polypatch.editors import Editor


@dataclass(frozen=True)
class Recipe:
    """One editing method.

    Attributes:
        editor: how a change is learned.
        sampler: from which inputs.
        trigger: when a change is needed.
        paper: where the combination was published.
        layer: the number of the layer that is edited, from 0, or from the end where it is negative; None for the last.
        reads: what its patches see of a text: ``"query"``, the feed-forward layer's input; ``"means"``, what enters
            some layers too, over all tokens; the numbers of those; or ``"encoder:NAME"``, a sentence encoder's vector
            of it, NAME being a folder or a hub name; ``"text"`` or ``"text:NAME"``, the text itself, for editors that
            let a model read (`polypatch.sites.reads`).
    """

    editor: Editor
    sampler: Sampler = field(default_factory=SourceOnly)
    trigger: Trigger = Trigger.SOURCE
    paper: str = ""
    layer: int | None = None
    reads: Reads = "query"

    def __post_init__(self) -> None:
        for name, verb, such in (("editor", "learn", "TPatcher()"), ("sampler", "__call__", "SourcePlusRandom()")):
            part = getattr(self, name)
            if isinstance(part, type) or not hasattr(part, verb):
                raise InputError(f"Recipe: {name} must be one such as {such}, not {part!r}")
        if not isinstance(self.trigger, Trigger):
            raise InputError(f"Recipe: trigger must be one of {', '.join(map(str, Trigger))}, not {self.trigger!r}")
        own = "text" if reads_texts(self.editor) and self.reads == "query" else self.reads
        object.__setattr__(self, "reads", reads_in(own))
        if reads_text(self.reads) != reads_texts(self.editor):
            name = type(self.editor).__name__
            raise InputError(
                f"Recipe: reads={self.reads!r} and {name}: editors that let a model read texts, and no "
                "others, take reads='text' or reads='text:NAME', NAME being a sentence encoder"
            )
        if self.reads != "query" and not (measures(self.editor) or reads_texts(self.editor)):
            name = type(self.editor).__name__
            raise InputError(f"Recipe: {name} computes from the feed-forward layer's input alone: leave reads out")

    def at(self, width: int) -> Recipe:
        """The recipe on a model so wide: its editor has no setting left that depends on the width."""
        return dataclasses.replace(self, editor=fitted(self.editor, width))


_MPN = "Si, Zhang and Zhang 2024, MPN (arXiv:2401.03190)"

_LIME = "Xu et al. 2023, LiME (arXiv:2205.12677)"


@dataclass(frozen=True)
class RecipeRow:
    """A recipe with its editor by name, at that editor's own settings: the table is read without waiting for torch.

    `editor` is ``file.Class`` in ``editors/``, or the class itself, for one from outside.
    """

    editor: str | type
    sampler: Sampler = field(default_factory=SourceOnly)
    trigger: Trigger = Trigger.SOURCE
    paper: str = ""
    reads: Reads = "query"

    @property
    def editor_name(self) -> str:
        """What files of settings call the editor."""
        return self.editor.rpartition(".")[2] if isinstance(self.editor, str) else self.editor.__name__

    def editor_kind(self) -> Any:
        """The class."""
        if not isinstance(self.editor, str):
            return self.editor
        module, _, name = self.editor.partition(".")
        return getattr(import_module(f"polypatch.editors.{module}"), name)

    @cache  # noqa: B019  # there are few
    def recipe(self) -> Recipe:
        """The row as a `Recipe`."""
        return Recipe(self.editor_kind()(), self.sampler, self.trigger, self.paper, reads=self.reads)


_ONE_MORE = SourcePlusRandom(k=1, redraw="per_edit")


def _with_mpn(name: str, editor: str, paper: str) -> dict[str, RecipeRow]:
    """An editor's two rows: with the source alone, as it was published, and with MPN's sampler and trigger."""
    return {name: RecipeRow(editor, paper=paper), f"{name}-mpn": RecipeRow(editor, _ONE_MORE, Trigger.ANY)}


ROWS: dict[str, RecipeRow] = {
    "fine-tuning": RecipeRow("fine_tuning.FineTuning", paper=_MPN),
    "t-patcher": RecipeRow("t_patcher.TPatcher", paper="Huang et al. 2023, Transformer-Patcher (arXiv:2301.09785)"),
    "mpn-only": RecipeRow("t_patcher.TPatcher", SourcePlusRandom(k=1), Trigger.SAMPLED, paper=_MPN),
    "mpn-all": RecipeRow("t_patcher.TPatcher", SourcePlusRandom(k=1), Trigger.ANY, paper=_MPN),
    "mpn-only-once": RecipeRow("t_patcher.TPatcher", _ONE_MORE, Trigger.SAMPLED, paper=_MPN),
    "mpn-all-once": RecipeRow("t_patcher.TPatcher", _ONE_MORE, Trigger.ANY, paper=_MPN),
    "fine-tuning-mpn": RecipeRow("fine_tuning.FineTuning", _ONE_MORE, Trigger.ANY),
    **_with_mpn("lora", "lora.LoRA", "Hu et al. 2022, LoRA (arXiv:2106.09685)"),
    **_with_mpn("grace", "grace.GRACE", "Hartvigsen et al. 2023, GRACE (arXiv:2211.11031)"),
    **_with_mpn("rome", "rome.ROME", "Meng et al. 2022, ROME (arXiv:2202.05262)"),
    **_with_mpn("memit", "memit.MEMIT", "Meng et al. 2023, MEMIT (arXiv:2210.07229)"),
    **_with_mpn("pmet", "memit.PMET", "Li et al. 2024, PMET (arXiv:2308.08742)"),
    **_with_mpn("emmet", "memit.EMMET", "Gupta et al. 2024, EMMET (arXiv:2403.14236)"),
    **_with_mpn("alphaedit", "alpha_edit.AlphaEdit", "Fang et al. 2025, AlphaEdit (arXiv:2410.02355)"),
    **_with_mpn("ultraedit", "ultra_edit.UltraEdit", "Gu et al. 2025, UltraEdit (arXiv:2505.14679)"),
    **_with_mpn("kn", "knowledge_neurons.KN", "Dai et al. 2022, KN (arXiv:2104.08696)"),
    **_with_mpn("amig", "knowledge_neurons.AMIG", "Chen et al. 2024, AMIG (arXiv:2308.13198)"),
    **_with_mpn("simie-rome", "simie.SimIE", "Guo et al. 2025, SimIE (ICML 2025)"),
    **_with_mpn("melo", "melo.MELO", "Yu et al. 2024, MELO (arXiv:2312.11795)"),
    **_with_mpn("calinet", "calinet.CaliNet", "Dong et al. 2022, CaliNet (arXiv:2210.03329)"),
    **_with_mpn("wise", "wise.WISE", "Wang et al. 2024, WISE (arXiv:2405.14768)"),
    **_with_mpn("memoir", "memoir.MEMOIR", "Wang et al. 2025, MEMOIR (arXiv:2506.07899)"),
    **_with_mpn("mend", "mend.MEND", "Mitchell et al. 2022, MEND (arXiv:2110.11309)"),
    **_with_mpn("malmen", "malmen.MALMEN", "Tan, Zhang and Fu 2024, MALMEN (arXiv:2311.04661)"),
    **_with_mpn("ke", "knowledge_editor.KnowledgeEditor", "De Cao et al. 2021, KnowledgeEditor (arXiv:2104.08164)"),
    "lime-mend": RecipeRow("lime.MaskedMEND", _ONE_MORE, Trigger.ANY, paper=_LIME),
    "lime-ke": RecipeRow("lime.MaskedKnowledgeEditor", _ONE_MORE, Trigger.ANY, paper=_LIME),
    **_with_mpn("serac", "serac.SERAC", "Mitchell et al. 2022, SERAC (arXiv:2206.06520)"),
    **_with_mpn("ike", "ike.IKE", "Zheng et al. 2023, IKE (arXiv:2305.12740)"),
    **_with_mpn("remake", "remake.ReMaKE", "Wang et al. 2024, ReMaKE (arXiv:2312.13040)"),
    "polypatch": RecipeRow("nearest.NearestPatch", AllLanguages(), Trigger.ALWAYS, reads="means"),
    "polypatch-one": RecipeRow("nearest.NearestPatch", _ONE_MORE, Trigger.ALWAYS, reads="means"),
    "polypatch-mapped": RecipeRow("nearest.NearestPatch", SourcePlusMapped(k=None), Trigger.ALWAYS, reads="means"),
    "polypatch-linear": RecipeRow("discriminant.DiscriminantPatch", AllLanguages(), Trigger.ANY),
    "polypatch-linear-one": RecipeRow("discriminant.DiscriminantPatch", _ONE_MORE, Trigger.ANY),
    "polypatch-linear-one-mapped": RecipeRow("discriminant.DiscriminantPatch", SourcePlusMapped(k=1), Trigger.ANY),
    "polypatch-linear-mapped": RecipeRow("discriminant.DiscriminantPatch", SourcePlusMapped(), Trigger.SAMPLED),
    "polypatch-linear-both": RecipeRow("discriminant.DiscriminantPatch", SourcePlusMapped(k=None), Trigger.SAMPLED),
}
"""The methods by name. A new one is a file in ``editors/``, or a sampler, and one row here.

``mpn-only`` and ``mpn-all`` draw the other language anew at every step, the rows called ``-once`` once per edit.
"""


class _Recipes(Mapping[str, Recipe]):
    """`ROWS` as recipes, each made when it is asked for."""

    def __getitem__(self, name: str) -> Recipe:
        return ROWS[name].recipe()

    def __iter__(self) -> Iterator[str]:
        return iter(ROWS)

    def __len__(self) -> int:
        return len(ROWS)


RECIPES: Mapping[str, Recipe] = _Recipes()
"""Every method by name."""

DEFAULT = "polypatch"
"""What is used unless told otherwise."""


def recipe_in(given: Any) -> Recipe:
    """A recipe as it was given: a `Recipe`, or the name of a row.

    Raises:
        InputError: neither.
        UnknownRecipeError: no row is called so.
    """
    if isinstance(given, str):
        return recipe_named(given)
    if not isinstance(given, Recipe):
        raise InputError(f"recipe is {shortened(given)}: give the name of a row, such as {DEFAULT!r}, or a Recipe(…)")
    return given


def recipe_named(name: str) -> Recipe:
    """The row called `name`; or, called ``NAME-all``, that of ``NAME-mpn`` with every language that an edit has.

    Raises:
        UnknownRecipeError: there is none.
    """
    drawn = f"{name.removesuffix('-all')}-mpn"
    if name not in RECIPES and name.endswith("-all") and drawn in RECIPES:
        return dataclasses.replace(RECIPES[drawn], sampler=AllLanguages())
    if name not in RECIPES:
        raise UnknownRecipeError(
            f"no recipe is called {name!r}; the table has {', '.join(RECIPES)}, and NAME-all beside every NAME-mpn"
        )
    return RECIPES[name]


def is_recipe(name: str) -> bool:
    """Whether `recipe_named` knows the name."""
    try:
        recipe_named(name)
    except UnknownRecipeError:
        return False
    return True


def with_mapped(recipe: Recipe, parallel: Mapping[str, Any] | None) -> Recipe:
    """The recipe with the languages of the parallel text, where its sampler maps to those and none are named.

    Raises:
        InputError: it needs parallel text, and there is none; or there is some, and it has no use for it.
    """
    sampler = recipe.sampler
    if not isinstance(sampler, SourcePlusMapped):
        if parallel is not None and not learns_from_parallel(recipe):
            named = [name for name, row in RECIPES.items() if learns_from_parallel(row)]
            raise InputError(f"this recipe maps no queries and has no use for parallel text; {', '.join(named)} do")
        return recipe
    if sampler.languages:
        return recipe
    if parallel is None:
        raise InputError(
            "this recipe maps queries to other languages, by parallel text: pass memory=MemoryTexts(…, parallel=…)"
        )
    return dataclasses.replace(recipe, sampler=dataclasses.replace(sampler, languages=tuple(parallel)[1:]))


def learns_from_parallel(recipe: Recipe) -> bool:
    """Whether parallel text is of use: its sampler maps by it, or its editor learns what translations change."""
    return isinstance(recipe.sampler, SourcePlusMapped) or measures(recipe.editor)


def measures(editor: Editor) -> bool:
    """Whether an editor measures how near texts are, by whatever is read of them, and by what translations change."""
    return bool(getattr(editor, "measures", False))


def reads_texts(editor: Editor) -> bool:
    """Whether an editor writes texts down, which the model reads before it answers."""
    return bool(getattr(editor, "reads_texts", False))


def with_named(recipe: Recipe) -> Recipe:
    """The recipe for a model that answers in words of its own: it maps to where an edit names the answer."""
    if not isinstance(recipe.sampler, SourcePlusMapped):
        return recipe
    return dataclasses.replace(recipe, sampler=dataclasses.replace(recipe.sampler, named=True))
