"""Hyper-parameters for models too small for the published ones (`docs/deviations.md`, "Small models")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polypatch.editors.widths import PUBLISHED_WIDTH, settings_for

WORLD: Mapping[str, Any] = settings_for(128)
"""For the world's model, 128 wide.

Chosen on seed 0, on up to 1,000 edits with one language and with two; seeds 1 and 2 run unchanged.
"""

MINI: Mapping[str, Any] = settings_for(256)
"""For mini-mbert-massive, 256 wide.

Chosen on the first 80 edits of MASSIVE, English only, where the published ones left 5 of 20 errors unrepaired.
"""

FINE_TUNING: Mapping[str, Any] = {"views": 0}
"""At the published rate, LoRA at its own. Ten to a hundred times faster ones end in a collapse within 1,000 edits."""

PUBLISHED: Mapping[str, Any] = settings_for(PUBLISHED_WIDTH)
"""Transformer-Patcher's, whatever the model's width."""

PUBLISHED_TUNING: Mapping[str, Any] = {"views": PUBLISHED["views"]}
"""Fine-tuning's and LoRA's: as published but for dropout views, which the paper does not have."""
