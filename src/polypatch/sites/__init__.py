"""WHERE: a feed-forward layer and what is computed behind it. The only folder that knows Hugging Face names."""

from typing import TYPE_CHECKING

from polypatch._lazy import lazily as _lazily

if TYPE_CHECKING:
    from polypatch.sites.encoding.maps import Maps as Maps
    from polypatch.sites.merge import MergeCost as MergeCost
    from polypatch.sites.merge import merge_cost as merge_cost
    from polypatch.sites.merge import replaced as replaced
    from polypatch.sites.merge import widened as widened
    from polypatch.sites.network.checkpoint import load_checkpoint as load_checkpoint
    from polypatch.sites.readouts.readout import ClassLabel as ClassLabel
    from polypatch.sites.readouts.readout import Readout as Readout
    from polypatch.sites.rows import Queries as Queries
    from polypatch.sites.rows import Question as Question
    from polypatch.sites.rows import Row as Row
    from polypatch.sites.rows import Said as Said
    from polypatch.sites.site import FeedForwardSite as FeedForwardSite
    from polypatch.sites.tails.frozen_tail import FrozenTail as FrozenTail
    from polypatch.sites.tails.full_forward import FullForward as FullForward
    from polypatch.sites.tails.tail import UNCHANGED as UNCHANGED
    from polypatch.sites.tails.tail import Asked as Asked
    from polypatch.sites.tails.tail import Change as Change
    from polypatch.sites.tails.tail import Tail as Tail
    from polypatch.sites.tails.tail import Trainable as Trainable

_HOME = {
    "Asked": "tails.tail",
    "ClassLabel": "readouts.readout",
    "Queries": "rows",
    "Question": "rows",
    "Readout": "readouts.readout",
    "Row": "rows",
    "Said": "rows",
    "Change": "tails.tail",
    "FeedForwardSite": "site",
    "FrozenTail": "tails.frozen_tail",
    "FullForward": "tails.full_forward",
    "Maps": "encoding.maps",
    "MergeCost": "merge",
    "Tail": "tails.tail",
    "Trainable": "tails.tail",
    "UNCHANGED": "tails.tail",
    "load_checkpoint": "network.checkpoint",
    "merge_cost": "merge",
    "replaced": "merge",
    "widened": "merge",
}

__all__ = [*_HOME]

__getattr__ = _lazily(__name__, _HOME)
