"""Readers: a foreign row becomes an Edit; one format per file, all of them in the table `FORMATS`."""

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.formats import FORMATS, load_data, load_edits
from polypatch.data.jsonl import read_jsonl, write_jsonl
from polypatch.data.labels import check_labels
from polypatch.data.rows import CorpusRow, Material, Sizes

__all__ = [
    "FORMATS",
    "CorpusRow",
    "EditingData",
    "Material",
    "Sizes",
    "assemble",
    "check_labels",
    "load_data",
    "load_edits",
    "read_jsonl",
    "write_jsonl",
]
