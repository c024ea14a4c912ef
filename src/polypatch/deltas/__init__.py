"""WHAT stays in the model."""

from polypatch.deltas.alone import standing_alone as standing_alone
from polypatch.deltas.codebook import Codebook as Codebook
from polypatch.deltas.delta import Delta as Delta
from polypatch.deltas.delta import Pieces as Pieces
from polypatch.deltas.low_rank import LowRankDelta as LowRankDelta
from polypatch.deltas.patch_bank import PatchBank as PatchBank
from polypatch.deltas.patch_bank import chosen as chosen
from polypatch.deltas.weight_delta import WeightDelta as WeightDelta
