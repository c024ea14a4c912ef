"""WHAT stays in the model."""

from typing import TYPE_CHECKING

from polypatch._lazy import lazily as _lazily

if TYPE_CHECKING:
    from polypatch.deltas.block_book import BlockBook as BlockBook
    from polypatch.deltas.codebook import Codebook as Codebook
    from polypatch.deltas.delta import Delta as Delta
    from polypatch.deltas.delta import Pieces as Pieces
    from polypatch.deltas.extra_neurons import ExtraNeurons as ExtraNeurons
    from polypatch.deltas.factor_bank import FactorBank as FactorBank
    from polypatch.deltas.gradient_bank import GradientBank as GradientBank
    from polypatch.deltas.low_rank import LowRankDelta as LowRankDelta
    from polypatch.deltas.nearest_bank import NearestBank as NearestBank
    from polypatch.deltas.patch_bank import PatchBank as PatchBank
    from polypatch.deltas.patch_bank import chosen as chosen
    from polypatch.deltas.residual_memory import ResidualMemory as ResidualMemory
    from polypatch.deltas.ridge_bank import RidgeBank as RidgeBank
    from polypatch.deltas.side_memory import SideMemory as SideMemory
    from polypatch.deltas.text_store import TextStore as TextStore
    from polypatch.deltas.weight_delta import WeightDelta as WeightDelta

_HOME = {
    "BlockBook": "block_book",
    "Codebook": "codebook",
    "Delta": "delta",
    "FactorBank": "factor_bank",
    "GradientBank": "gradient_bank",
    "ExtraNeurons": "extra_neurons",
    "LowRankDelta": "low_rank",
    "NearestBank": "nearest_bank",
    "PatchBank": "patch_bank",
    "Pieces": "delta",
    "RidgeBank": "ridge_bank",
    "ResidualMemory": "residual_memory",
    "SideMemory": "side_memory",
    "TextStore": "text_store",
    "WeightDelta": "weight_delta",
    "chosen": "patch_bank",
}

__all__ = [*_HOME]

__getattr__ = _lazily(__name__, _HOME)
