"""Delta: what an edit leaves in the model. An nn.Module that holds all that inference needs, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from polypatch.sites.merge import MergeCost
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.tail import Change


class Delta(Protocol):
    """A change of the model that grows edit by edit; every Delta is a `polypatch.sites.Change`."""

    kind: str
    """What `edit_config.json` calls it: a name of the table in `polypatch.deltas.kinds`."""

    separable: bool
    """Whether an edit can be cut out. Where it cannot, taking one back makes the others again."""

    replaces: bool
    """Whether what `since` gives stands for all that it gave before."""

    @property
    def mergeable(self) -> bool:
        """Whether a stock model can compute the change."""
        ...

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """Model parameters replaced by name; empty where the change is a function of the FFN input alone."""
        ...

    @property
    def patches(self) -> int:
        """Neurons added so far (0 where weights were changed instead)."""
        ...

    @property
    def owners(self) -> Sequence[str]:
        """The edit id behind each neuron; empty where no part of the change belongs to one edit."""
        ...

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """The FFN output [n, d] after the change, from the query [n, d] and the output [n, d] before it."""
        ...

    def snapshot(self) -> object:
        """A point to go back to with `restore`."""
        ...

    def restore(self, snapshot: object) -> None:
        """Undo everything since `snapshot`."""
        ...

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out what these edits left; InputError where no part of the change belongs to one edit."""
        ...

    def since(self, patches: int) -> dict[str, Tensor]:
        """What must be kept, beside all earlier ones of these, to have the change as it is now, on the CPU.

        `patches` is how many there were at the time of the last of these.
        """
        ...

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `since` gave for one edit; ArtefactError as in `load_tensors`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What is written to disk, by name, on the CPU."""
        ...

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Take over what `tensors` wrote; ArtefactError where a shape or a name is not what it should be."""
        ...

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """A stock model with the change inside; InputError where no stock model can compute it."""
        ...

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """What `merged` adds to the model; InputError as there."""
        ...


@runtime_checkable
class Pieces(Protocol):
    """A delta in which one can point at what acts in a text.

    Methods alone: whether a module has a buffer is not seen by ``isinstance`` from Python 3.12 on.
    """

    def activations(self, q: Tensor) -> Tensor:
        """How strongly each piece acts, above 0 where it does: [n_texts, d] -> [n_texts, n]."""
        ...

    def without(self, piece: int) -> Change:
        """The change with one piece absent."""
        ...
