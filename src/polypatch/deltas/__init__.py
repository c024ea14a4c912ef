"""WHAT stays in the model."""

from polypatch.deltas.delta import Delta as Delta
from polypatch.deltas.patch_bank import PatchBank as PatchBank
from polypatch.deltas.weight_delta import WeightDelta as WeightDelta
