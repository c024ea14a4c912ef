"""HOW a change is learned: one published method per file, language-blind."""

from typing import TYPE_CHECKING

from polypatch._lazy import lazily as _lazily

if TYPE_CHECKING:
    from polypatch.editors.alpha_edit import AlphaEdit as AlphaEdit
    from polypatch.editors.calinet import CaliNet as CaliNet
    from polypatch.editors.discriminant import DiscriminantPatch as DiscriminantPatch
    from polypatch.editors.editor import Editor as Editor
    from polypatch.editors.editor import Fit as Fit
    from polypatch.editors.editor import Lesson as Lesson
    from polypatch.editors.fine_tuning import FineTuning as FineTuning
    from polypatch.editors.grace import GRACE as GRACE
    from polypatch.editors.ike import IKE as IKE
    from polypatch.editors.knowledge_editor import KnowledgeEditor as KnowledgeEditor
    from polypatch.editors.knowledge_neurons import AMIG as AMIG
    from polypatch.editors.knowledge_neurons import KN as KN
    from polypatch.editors.lime import MaskedKnowledgeEditor as MaskedKnowledgeEditor
    from polypatch.editors.lime import MaskedMEND as MaskedMEND
    from polypatch.editors.lora import LoRA as LoRA
    from polypatch.editors.malmen import MALMEN as MALMEN
    from polypatch.editors.melo import MELO as MELO
    from polypatch.editors.memit import EMMET as EMMET
    from polypatch.editors.memit import MEMIT as MEMIT
    from polypatch.editors.memit import PMET as PMET
    from polypatch.editors.memoir import MEMOIR as MEMOIR
    from polypatch.editors.memory import Memory as Memory
    from polypatch.editors.memory import MemoryRows as MemoryRows
    from polypatch.editors.mend import MEND as MEND
    from polypatch.editors.nearest import NearestPatch as NearestPatch
    from polypatch.editors.remake import ReMaKE as ReMaKE
    from polypatch.editors.rome import ROME as ROME
    from polypatch.editors.serac import SERAC as SERAC
    from polypatch.editors.simie import SimIE as SimIE
    from polypatch.editors.t_patcher import TPatcher as TPatcher
    from polypatch.editors.ultra_edit import UltraEdit as UltraEdit
    from polypatch.editors.wise import WISE as WISE

_HOME = {
    "AMIG": "knowledge_neurons",
    "AlphaEdit": "alpha_edit",
    "CaliNet": "calinet",
    "DiscriminantPatch": "discriminant",
    "EMMET": "memit",
    "Editor": "editor",
    "FineTuning": "fine_tuning",
    "Fit": "editor",
    "GRACE": "grace",
    "IKE": "ike",
    "KN": "knowledge_neurons",
    "KnowledgeEditor": "knowledge_editor",
    "Lesson": "editor",
    "LoRA": "lora",
    "MALMEN": "malmen",
    "MEMIT": "memit",
    "MELO": "melo",
    "MEMOIR": "memoir",
    "MEND": "mend",
    "MaskedKnowledgeEditor": "lime",
    "MaskedMEND": "lime",
    "Memory": "memory",
    "MemoryRows": "memory",
    "NearestPatch": "nearest",
    "PMET": "memit",
    "ROME": "rome",
    "ReMaKE": "remake",
    "SERAC": "serac",
    "SimIE": "simie",
    "TPatcher": "t_patcher",
    "UltraEdit": "ultra_edit",
    "WISE": "wise",
}

__all__ = [*_HOME]

__getattr__ = _lazily(__name__, _HOME)
