"""WHERE: the last feed-forward layer and what is computed behind it. The only folder that knows Hugging Face names."""

from typing import TYPE_CHECKING

from polypatch._lazy import lazily as _lazily

if TYPE_CHECKING:
    from polypatch.sites.checkpoint import load_checkpoint as load_checkpoint
    from polypatch.sites.frozen_tail import FrozenTail as FrozenTail
    from polypatch.sites.full_forward import FullForward as FullForward
    from polypatch.sites.maps import Maps as Maps
    from polypatch.sites.merge import MergeCost as MergeCost
    from polypatch.sites.merge import merge_cost as merge_cost
    from polypatch.sites.merge import replaced as replaced
    from polypatch.sites.merge import widened as widened
    from polypatch.sites.readout import ClassLabel as ClassLabel
    from polypatch.sites.readout import Readout as Readout
    from polypatch.sites.rows import Queries as Queries
    from polypatch.sites.rows import Question as Question
    from polypatch.sites.rows import Row as Row
    from polypatch.sites.rows import Said as Said
    from polypatch.sites.site import FeedForwardSite as FeedForwardSite
    from polypatch.sites.tail import UNCHANGED as UNCHANGED
    from polypatch.sites.tail import Asked as Asked
    from polypatch.sites.tail import Change as Change
    from polypatch.sites.tail import Tail as Tail
    from polypatch.sites.tail import Trainable as Trainable

_HOME = {
    "Asked": "tail",
    "ClassLabel": "readout",
    "Queries": "rows",
    "Question": "rows",
    "Readout": "readout",
    "Row": "rows",
    "Said": "rows",
    "Change": "tail",
    "FeedForwardSite": "site",
    "FrozenTail": "frozen_tail",
    "FullForward": "full_forward",
    "Maps": "maps",
    "MergeCost": "merge",
    "Tail": "tail",
    "Trainable": "tail",
    "UNCHANGED": "tail",
    "load_checkpoint": "checkpoint",
    "merge_cost": "merge",
    "replaced": "merge",
    "widened": "merge",
}

__all__ = [*_HOME]

__getattr__ = _lazily(__name__, _HOME)
