"""KLAR: 20 relations in 17 languages, each with several prompts (Wang et al. 2025).

A folder with ``{lang}/{relation}.json``, or one such file: ``prompt_templates`` with ``<subject>`` and ``<mask>``, and
``samples`` with ``subject``, ``object`` and perhaps ``index``, by which the languages are aligned (else by position).

Kept are the prompts that end in the answer. Half of the facts, chosen by their ids, are edits, the others stand for
what must not change.

Source: arXiv:2504.04264.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from polypatch.data.cloze import Clozes, cloze_material
from polypatch.data.fields import Fields
from polypatch.data.files import read_text
from polypatch.data.quoting import quoted
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang, is_lang
from polypatch.errors import DataError
from polypatch.files import strict_json

INSIDE = "klar"
"""The folder of languages in the authors' repository."""


def read_klar(place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en") -> Material:
    """Everything in the folder, by relation and in file order.

    Raises:
        DataError: a broken or missing file, a missing language, or an index that occurs twice.
    """
    folder = Path(place) / INSIDE if (Path(place) / INSIDE).is_dir() else Path(place)
    files = _files(folder, source)
    chosen = choose_languages(languages, files, source=source, where=folder)
    found = Clozes("klar", "<subject>", "<mask>")
    for lang in chosen:
        for path in files[lang]:
            _add(found, lang, path)
    return cloze_material(found, chosen, folder)


def _files(place: Path, source: Lang) -> dict[Lang, list[Path]]:
    if not place.is_dir():
        own = place.parent.name
        return {own if is_lang(own) else source: [place]}
    found = {inner.name: sorted(inner.glob("*.json*")) for inner in sorted(place.iterdir()) if inner.is_dir()}
    return {lang: paths for lang, paths in found.items() if paths and is_lang(lang)}


def _add(found: Clozes, lang: Lang, path: Path) -> None:
    """One file's facts in one language."""
    relation = path.name.split(".")[0]
    whole = Fields(strict_json(read_text(path).encode(), str(path), DataError), str(path))
    found.wordings[lang, relation] = list(whole.texts("prompt_templates"))
    for position, row in enumerate(whole.all_inside("samples")):
        key = f"{relation}-{row.maybe('index') or position}"
        fact = found.facts.setdefault(key, {})
        if lang in fact:
            raise DataError(f"{row.where}: field 'index': {quoted(key)} occurs twice; give every sample its own")
        found.relation[key] = relation
        fact[lang] = (row.text("subject"), row.text("object"))
