"""LiME: MEND and KnowledgeEditor with a mask for each language of an edit (Xu et al., 2023): `GroupMask`."""

from __future__ import annotations

from dataclasses import dataclass

from polypatch.editors.knowledge_editor import KnowledgeEditor
from polypatch.editors.mend import MEND


@dataclass(frozen=True, kw_only=True)
class MaskedMEND(MEND):
    """LiME on MEND.

    **Deviates:** the L0 penalty has a gradient, which it lacks in the released code; a group that was not trained on
    goes unmasked. See `MEND`.
    Source: LiME's code, commit cc4c411, read as facts; `docs/deviations.md`.
    """

    masked: bool = True


@dataclass(frozen=True, kw_only=True)
class MaskedKnowledgeEditor(KnowledgeEditor):
    """LiME on KnowledgeEditor.

    **Deviates:** as `MaskedMEND`; see `KnowledgeEditor`.
    Source: LiME's code, commit cc4c411, read as facts; `docs/deviations.md`.
    """

    masked: bool = True
