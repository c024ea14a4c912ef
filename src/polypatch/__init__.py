"""polypatch: one fix, every language. This file is the whole public surface.

Names are imported on first use, so that ``import polypatch`` and ``polypatch --help`` do not wait for torch.
"""

from typing import TYPE_CHECKING

from polypatch._lazy import lazily as _lazily
from polypatch._version import __version__

if TYPE_CHECKING:
    from polypatch.api import attach as attach
    from polypatch.api import edit as edit
    from polypatch.api import edit_stream as edit_stream
    from polypatch.api import open as open  # noqa: A004
    from polypatch.data import EditingData as EditingData
    from polypatch.data import load_data as load_data
    from polypatch.data import load_edits as load_edits
    from polypatch.data.memory import MemoryTexts as MemoryTexts
    from polypatch.data.parallel import translated as translated
    from polypatch.edited_model import EditedModel as EditedModel
    from polypatch.editors import DiscriminantPatch as DiscriminantPatch
    from polypatch.editors import FineTuning as FineTuning
    from polypatch.editors import TPatcher as TPatcher
    from polypatch.edits import Edit as Edit
    from polypatch.errors import PolypatchError as PolypatchError
    from polypatch.errors import PolypatchWarning as PolypatchWarning
    from polypatch.evaluation import Report as Report
    from polypatch.evaluation import evaluate as evaluate
    from polypatch.model.contradictions import find_contradictions as find_contradictions
    from polypatch.model.encoding import Encoding as Encoding
    from polypatch.model.guard import Guard as Guard
    from polypatch.model.rules import Rules as Rules
    from polypatch.model.rules import Watch as Watch
    from polypatch.outcomes import EditOutcome as EditOutcome
    from polypatch.outcomes import Status as Status
    from polypatch.recipes import RECIPES as RECIPES
    from polypatch.recipes import Recipe as Recipe
    from polypatch.samplers import AllLanguages as AllLanguages
    from polypatch.samplers import OnlyLanguages as OnlyLanguages
    from polypatch.samplers import SourceOnly as SourceOnly
    from polypatch.samplers import SourcePlusMapped as SourcePlusMapped
    from polypatch.samplers import SourcePlusRandom as SourcePlusRandom
    from polypatch.sites import load_checkpoint as load_checkpoint
    from polypatch.store.session import Session as Session
    from polypatch.triggers import Trigger as Trigger
    from polypatch.world import load_world as load_world

_HOME = {
    "AllLanguages": "samplers",
    "DiscriminantPatch": "editors",
    "Edit": "edits",
    "EditOutcome": "outcomes",
    "EditedModel": "edited_model",
    "EditingData": "data",
    "Encoding": "model.encoding",
    "FineTuning": "editors",
    "Guard": "model.guard",
    "MemoryTexts": "data.memory",
    "OnlyLanguages": "samplers",
    "PolypatchError": "errors",
    "PolypatchWarning": "errors",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "Report": "evaluation",
    "Rules": "model.rules",
    "Session": "store.session",
    "SourceOnly": "samplers",
    "SourcePlusMapped": "samplers",
    "SourcePlusRandom": "samplers",
    "Status": "outcomes",
    "TPatcher": "editors",
    "Trigger": "triggers",
    "Watch": "model.rules",
    "attach": "api",
    "edit": "api",
    "edit_stream": "api",
    "evaluate": "evaluation",
    "find_contradictions": "model.contradictions",
    "load_checkpoint": "sites",
    "load_data": "data",
    "load_edits": "data",
    "load_world": "world",
    "open": "api",
    "translated": "data.parallel",
}

__all__ = ["__version__", *_HOME]


__getattr__ = _lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
