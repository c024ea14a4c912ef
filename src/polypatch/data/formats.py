"""THE TABLE of data formats, the only place that lists them: a new format is its file and one row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.counterfact import read_counterfact
from polypatch.data.csv_file import read_csv_material
from polypatch.data.facts import read_facts, read_facts_once
from polypatch.data.hub import HUB, read_hub
from polypatch.data.jsonl import read_jsonl_material
from polypatch.data.klar import read_klar
from polypatch.data.massive import read_massive, read_massive_all, read_massive_dev
from polypatch.data.mlake import read_mlake
from polypatch.data.mpararel import read_mpararel
from polypatch.data.rows import Material, Sizes
from polypatch.data.wikibigedit import read_wikibigedit
from polypatch.data.xfever import read_xfever_data
from polypatch.data.xnli import read_xnli
from polypatch.data.zsre import read_bmike53, read_mzsre, read_zsre
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError

DataReader: TypeAlias = Callable[[str, Iterable[Lang] | None, Lang], Material | EditingData]
"""(place, languages or None for all, source language) -> everything there, not sampled; or sets that were drawn."""


@dataclass(frozen=True)
class DataFormat:
    """One format.

    Attributes:
        read: reads a place; `Material` is sampled, `EditingData` is taken as it is.
        what: what is read, for ``polypatch ls data``.
        places: what may stand behind ``name:``.
        suffixes: of files that need no name before them, also with ``.gz`` behind.
    """

    read: DataReader
    what: str
    places: tuple[str, ...] = ("FOLDER",)
    suffixes: tuple[str, ...] = ()


_LINES = "your own edits, one JSON object per line; EasyEdit's and KnowEdit's files as they are"
_EITHER = ("FOLDER", "FILE")
_TABLE = "your own edits as a table with the columns text, label, lang and id; commas, semicolons or tabs"

FORMATS: dict[str, DataFormat] = {
    "jsonl": DataFormat(read_jsonl_material, _LINES, ("FILE",), (".jsonl", ".json")),
    "csv": DataFormat(read_csv_material, _TABLE, ("FILE",), (".csv", ".tsv")),
    "massive": DataFormat(read_massive, "MASSIVE: 60 intents of voice commands, a .tsv(.gz) per language"),
    "massive-all": DataFormat(read_massive_all, "the same, with more of its rows as edits, for long streams"),
    "massive-dev": DataFormat(read_massive_dev, "the same, half of its dev rows as edits, for choosing settings"),
    "xnli": DataFormat(read_xnli, "XNLI: inference in 15 languages, a .tsv(.gz) per split and language"),
    "xfever-edit": DataFormat(read_xfever_data, "what polypatch data xfever-edit wrote, its sets as they were drawn"),
    "facts": DataFormat(
        read_facts, "facts a model was taught: wrong and unknown ones as edits, the others around them", ("FILE",)
    ),
    "facts-once": DataFormat(
        read_facts_once, "the same, the first answer alone where a question has several", ("FILE",)
    ),
    "mzsre": DataFormat(read_mzsre, "MzsRE and Bi-ZsRE: questions in 12 languages, and in two"),
    "bmike53": DataFormat(
        read_bmike53, "one set of BMIKE-53 (zsRE, CounterFact, WikiFactDiff) in up to 53 languages", _EITHER
    ),
    "mlake": DataFormat(read_mlake, "MLaKE: questions in five languages, with other spellings of the answers"),
    "mpararel": DataFormat(read_mpararel, "mParaRel: facts in many wordings and languages; half of them edits"),
    "klar": DataFormat(read_klar, "KLAR: facts in 17 languages; half of them edits", _EITHER),
    "zsre": DataFormat(read_zsre, "zsRE (English) in EasyEdit's fields", _EITHER),
    "counterfact": DataFormat(read_counterfact, "CounterFact (English) in ROME's or EasyEdit's fields", ("FILE",)),
    "wikibigedit": DataFormat(
        read_wikibigedit, "WikiBigEdit (English): changes of Wikidata in the order of time", _EITHER
    ),
    "hub": DataFormat(read_hub, "these, from the Hugging Face hub", tuple(HUB)),
}


def load_data(
    spec: str | PathLike[str],
    *,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    sizes: Sizes | Mapping[str, int] | None = None,
    seed: int = 0,
) -> EditingData:
    """Edits and the texts around them.

    Args:
        spec: ``format:place``: ``massive:FOLDER``, ``massive-all:FOLDER``, ``massive-dev:FOLDER``, ``xnli:FOLDER``,
            ``jsonl:FILE``, ``csv:FILE``, ``facts:FILE``, ``hub:massive``, and what else is in `FORMATS`; or a file
            alone, by its suffix (``edits.csv``).
        languages: those to keep, None for all that the source has; `source` is always among them. ``de?`` is kept where
            the source has it.
        source: the language of the edits.
        sizes: how many rows each sampled set gets; a mapping changes some of the format's own, None none of them.
        seed: of the sampling; edits are never sampled and stay in file order.

    Raises:
        DataError: an unknown format, a missing language, a broken file, or a set larger than the corpus.
    """
    name, place = _format_of(str(spec))
    known = _format(name)
    if not place:
        raise DataError(
            f"data {spec!r} names no place; write {name}:PLACE, such as massive:path/to/massive or hub:xnli"
        )
    found = known.read(place, languages, source)
    if isinstance(found, Material):
        return assemble(found, sizes=sizes, seed=seed)
    if sizes:
        raise DataError(f"{spec}: its sets have their sizes already; make it again with others")
    return found


def _format_of(spec: str) -> tuple[str, str]:
    """``format:place`` in two, or a file's format by its suffix and the file."""
    name, _, place = spec.partition(":")
    suffix = Path(spec.removesuffix(".gz")).suffix.lower()
    of_file = next((known for known, row in FORMATS.items() if suffix in row.suffixes), None)
    return (name, place) if name in FORMATS or of_file is None else (of_file, spec)


def load_edits(
    name: str, path: str | PathLike[str], languages: Iterable[Lang] | None = None, *, source: Lang = "en"
) -> list[Edit]:
    """The edits alone, in file order: ``load_edits("massive", "path/to/massive", languages=["en", "de"])``.

    Raises:
        DataError: an unknown format, a missing language, or a broken file.
    """
    return list(_format(name).read(str(path), languages, source).edits)


def _format(name: str) -> DataFormat:
    if name not in FORMATS:
        raise DataError(f"unknown data format {name!r} (known: {', '.join(sorted(FORMATS))})")
    return FORMATS[name]
