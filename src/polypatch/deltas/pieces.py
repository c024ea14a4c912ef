"""What pieces of edits have in common, neurons or entries: whose they are, a snapshot, why some cannot be merged."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from torch import nn

from polypatch.deltas.published import publish, seen_together
from polypatch.errors import InputError
from polypatch.sites.merge import MergeCost
from polypatch.sites.site import FeedForwardSite


class InPieces(nn.Module):
    """A module whose buffers have one row per piece.

    Attributes:
        owners: the edit id behind each piece, in the order they were made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[str] = []

    @property
    def patches(self) -> int:
        """Pieces."""
        return len(self.owners)

    def snapshot(self) -> object:
        """All pieces; no tensor of them is ever written to."""
        return dict(seen_together(self)), tuple(self.owners)

    def restore(self, snapshot: object) -> None:
        """Put them back."""
        assert isinstance(snapshot, tuple)
        tensors, owners = snapshot
        device = next(self.buffers()).device
        publish(self, {name: tensor.to(device) for name, tensor in tensors.items()}, owners)


class Unmergeable:
    """What no layer of a stock model computes.

    Attributes:
        unmergeable: what cannot be merged, and why, as the beginning of a message.
    """

    unmergeable: ClassVar[str]

    def merged(self, site: FeedForwardSite) -> NoReturn:
        """Refused.

        Raises:
            InputError: always.
        """
        del site
        raise InputError(
            f"{self.unmergeable}. Keep the edits beside the model (save_pretrained, from_pretrained), or edit with a "
            "recipe that leaves patches, such as polypatch-linear"
        )

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """Refused, as `merged`."""
        self.merged(site)


class LookedUp(Unmergeable, InPieces):
    """Pieces that are looked up, which no layer of a stock model does."""
