"""SharedDelta: what deltas have in common whose numbers all edits train together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn

from polypatch.errors import InputError
from polypatch.sites.merge import MergeCost, merge_cost, require_mergeable
from polypatch.sites.site import FeedForwardSite


def inseparable(edit_ids: Collection[str], why: str) -> InputError:
    """The refusal to cut edits out where they share what they changed."""
    return InputError(
        f"{', '.join(sorted(edit_ids)[:3])}: {why}, so none can be cut out; "
        "EditedModel.revert makes the other edits again, for which it needs the memory they were made with"
    )


class SharedDelta(nn.Module):
    """Numbers that every edit trains on from where the one before left them: none can be taken back alone.

    A subclass says which they are (`shared`), what the FFN's output becomes (`changed`), whether they still are what
    the unedited model has (`_as_made`), and how they are written down.
    """

    separable = False
    replaces = True
    mergeable = True
    patches = 0
    owners: Sequence[str] = ()
    _said = "edits that change weights share them"

    def __init__(self, site: FeedForwardSite) -> None:
        super().__init__()
        self._site = (site,)  # in a tuple: a module attribute would register the whole model as a submodule
        self._perhaps = True

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """Parameters replaced by name: none where the change is a function of the FFN input alone."""
        return {}

    @property
    def shared(self) -> nn.ParameterList:
        """All of them."""
        raise NotImplementedError

    def changed(self, q: Tensor) -> Tensor:
        """FFN'(q): [n, d] -> [n, d]."""
        raise NotImplementedError

    def _as_made(self) -> bool:
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """What is written to disk, by name, on the CPU."""
        raise NotImplementedError

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Take over what `tensors` wrote."""
        raise NotImplementedError

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q); `out` itself, bit for bit, as long as nothing was learned."""
        untouched = self._untouched()
        if untouched and not torch.is_grad_enabled():
            return out
        changed = self.changed(q).to(out.dtype)
        # The same bits as `out`, with the gradient of what is about to change.
        return out + (changed - changed.detach()) if untouched else changed

    def _untouched(self) -> bool:
        """Nothing was learned: then the output is the model's own, which no recomputed one would be to the bit."""
        if self._perhaps:  # looked at until something was; nothing tells, as a fused optimiser counts up no version
            self._perhaps = self._as_made()
        return self._perhaps

    def snapshot(self) -> object:
        """Copies of the numbers."""
        return [part.detach().clone() for part in self.shared]

    def restore(self, snapshot: object) -> None:
        """Put the copies back."""
        assert isinstance(snapshot, list)
        with torch.no_grad():
            for part, saved in zip(self.shared, snapshot, strict=True):
                part.copy_(saved)
        self._perhaps = True

    def drop(self, edit_ids: Collection[str]) -> NoReturn:
        """Refused: every edit changed the same numbers.

        Raises:
            InputError: always.
        """
        raise inseparable(edit_ids, self._said)

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """Nothing is added."""
        self._require_mergeable(site)
        return merge_cost(site, 0)

    def _require_mergeable(self, site: FeedForwardSite) -> None:
        if not self.overrides:  # what replaces parameters does so at every position
            require_mergeable(site)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The numbers as they are: they replace all earlier ones."""
        del patches
        return self.tensors()

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Replace the numbers; ArtefactError as `load_tensors`."""
        self.load_tensors(tensors, [owner])
