"""The world that speaks: the same universe as questions, answers and plain text, and a small decoder that knows it.

Every fact is asked about in four wordings a language, two of which are taught. Documents state some facts as they are
(*known*), some as they no longer are (*wrong*), and some not at all (*unknown*); a fact that is documented is so in
English and, with probability .85 each, in the other five languages. A GPT-2 of 4 layers × 128 (1.16 million parameters,
tied embeddings) reads them for two minutes of one core. What it answers greedily, to the natural end, in per cent of
exact matches (seed 0, as it comes with polypatch; `polypatch world show --speaking` measures it again):

===============================  =====  =====  =====  =====  =====  =====
facts, and what is expected        en     de     fr     es     zh     ar
===============================  =====  =====  =====  =====  =====  =====
known                            100.0  100.0  100.0   99.9   99.9   97.8
known, another wording            67.6   82.8   66.9   78.4   81.7   64.6
known, in other languages only       –   94.0   89.2   95.3   30.2   24.8
wrong: as it was taught          100.0  100.0  100.0  100.0   99.2   97.9
wrong: the truth                   0.0    0.0    0.0    0.0    0.0    0.5
unknown: the truth                 5.9    5.1    6.2    5.4    7.0    5.9
===============================  =====  =====  =====  =====  =====  =====

So what it was taught it knows by heart, in two wordings; facts come over to languages that write the same names, and
seldom to the others. There are 12 to 14 objects of a kind: 7 to 8 % is guessing.
"""

from polypatch.world.speaking.build import build_speaking_world, speaking_world_path
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.describe import SpeakingSummary, describe_speaking
from polypatch.world.speaking.load import SpeakingWorld, load_speaking_world
from polypatch.world.speaking.shipped import is_speaking_world, shipped_speaking_folder

__all__ = [
    "SpeakingConfig",
    "SpeakingSummary",
    "SpeakingWorld",
    "build_speaking_world",
    "describe_speaking",
    "is_speaking_world",
    "load_speaking_world",
    "shipped_speaking_folder",
    "speaking_world_path",
]
