"""What stands in the place of a model's own ``save_pretrained`` while edits are attached: it writes none of them."""

from __future__ import annotations

from typing import Any

from torch import nn

from polypatch.cautions import caution

NAME = "save_pretrained"


class StockSave:
    """The model's own ``save_pretrained``, with a warning. A copy of the model has a copy of it, not this one."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Save the model as it is without its edits."""
        caution(
            "this saves the model without its edits: edited.merge_and_unload() gives a model with them inside, "
            "edited.save_pretrained(folder) saves the edits"
        )
        return getattr(type(self.model), NAME)(self.model, *args, **options)


def warn_on_save(model: nn.Module) -> None:
    """Warn from now on, where the model has such a method."""
    if hasattr(type(model), NAME):
        setattr(model, NAME, StockSave(model))


def save_as_usual(model: nn.Module) -> None:
    """Warn no more."""
    vars(model).pop(NAME, None)
