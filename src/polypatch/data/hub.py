"""Data sets of the hub: their rows are read as those of their own files are.

``*_from_datasets`` take what `datasets.load_dataset` returns, loaded from anywhere; `load_hub` loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.hub_facts import counterfact_from_datasets, knowedit_from_datasets, wikibigedit_from_datasets
from polypatch.data.massive import LOCALES, massive_material
from polypatch.data.rows import Material, Sizes, choose_languages
from polypatch.data.xnli import LANGUAGES, TextPair, xnli_material
from polypatch.edits import Lang
from polypatch.errors import DataError

_PARTITIONS = {"train": "train", "validation": "dev", "dev": "dev", "test": "test"}
"""Split names, and the values of MASSIVE's ``partition`` column, to our partitions."""


def massive_from_datasets(datasets: Mapping[Lang, Any], *, where: object = "MASSIVE") -> Material:
    """MASSIVE rows (``id, partition, utt, intent``) of each language, aligned by ``id``.

    Args:
        datasets: language, the source first, to a `datasets.DatasetDict` of splits, or to one `datasets.Dataset` whose
            column ``partition`` tells the splits apart. ``intent`` is a string or a `ClassLabel`.
        where: a name for messages.

    Raises:
        DataError: a missing column, a label that is not in the `ClassLabel`, or a row that a language lacks.
    """
    texts = {lang: _utterances(dataset, where) for lang, dataset in datasets.items()}
    labels: dict[str, tuple[str, str]] = {}
    for name, split in _splits(next(iter(datasets.values()))):
        ids, intents = _column(split, "id", where), _labels(split, "intent", where)
        parts = [name] * len(ids) if name else _column(split, "partition", where)
        for row_id, part, intent in zip(ids, parts, intents, strict=True):
            labels[str(row_id)] = (_PARTITIONS.get(part, part), intent)
    return massive_material(labels, texts, where=where)


def xnli_from_datasets(datasets: Mapping[Lang, Any], *, where: object = "XNLI") -> Material:
    """XNLI rows (``premise, hypothesis, label``) of each language, aligned by position.

    Args:
        datasets: language, the source first, to a `datasets.DatasetDict` with the splits ``validation`` and ``test``.
        where: a name for messages.

    Raises:
        DataError: a missing split or column, or languages that have other labels or another number of rows.
    """
    labels: dict[str, list[str]] = {}
    pairs: dict[str, dict[Lang, list[TextPair]]] = {"dev": {}, "test": {}}
    for lang, splits in datasets.items():
        for name, part in (("validation", "dev"), ("test", "test")):
            split = _split(splits, name, where)
            premises, hypotheses = _column(split, "premise", where), _column(split, "hypothesis", where)
            pairs[part][lang] = list(zip(premises, hypotheses, strict=True))
            found = _labels(split, "label", where)
            if found != labels.setdefault(part, found):
                raise DataError(f"{where}: {name} in {lang!r} has other labels than the source language; not aligned")
    return xnli_material(labels, pairs, where=where)


def xnli_from_all_languages(
    splits: Mapping[str, Any], *, languages: Iterable[Lang] | None = None, source: Lang = "en", where: object = "XNLI"
) -> Material:
    """The hub's ``all_languages`` rows: ``premise`` maps languages to texts, ``hypothesis`` holds parallel lists.

    Args:
        splits: a `datasets.DatasetDict` with the splits ``validation`` and ``test``.
        languages: those to keep, None for all.
        source: the language of the edits.
        where: a name for messages.

    Raises:
        DataError: a missing split, column or language.
    """
    labels: dict[str, list[str]] = {}
    pairs: dict[str, dict[Lang, list[TextPair]]] = {}
    for name, part in (("validation", "dev"), ("test", "test")):
        split = _split(splits, name, where)
        premises, hypotheses = _column(split, "premise", where), _column(split, "hypothesis", where)
        rows = [_both(premise, hypothesis) for premise, hypothesis in zip(premises, hypotheses, strict=True)]
        has = [lang for lang in (rows[0] if rows else {}) if all(lang in row for row in rows)]
        chosen = choose_languages(languages, has, source=source, where=f"{where} {name}")
        pairs[part] = {lang: [row[lang] for row in rows] for lang in chosen}
        labels[part] = _labels(split, "label", where)
    return xnli_material(labels, pairs, where=where)


REVISION = "refs/convert/parquet"
"""The hub's own Parquet copy of every data set: MASSIVE's main branch is a script, which `datasets` 4 does not run."""


@dataclass(frozen=True, slots=True)
class HubSet:
    """Where a data set is on the hub, and who reads its rows.

    Attributes:
        repository: its name.
        configs: language to the name of its configuration, which is a folder.
        splits: the splits to download; XNLI's 392,702 training rows per language are left alone.
        read: the function for the rows.
        files: where the files of a split are.
        revision: the branch they are on.
    """

    repository: str
    configs: Mapping[Lang, str]
    splits: tuple[str, ...]
    read: Callable[..., Material]
    files: str = "{config}/{split}/*.parquet"
    revision: str = REVISION


_ENGLISH = {"en": "default"}

HUB: Mapping[str, HubSet] = {
    "massive": HubSet("AmazonScience/massive", LOCALES, ("train", "validation", "test"), massive_from_datasets),
    "xnli": HubSet("facebook/xnli", {lang: lang for lang in LANGUAGES}, ("validation", "test"), xnli_from_datasets),
    "counterfact": HubSet("azhx/counterfact", _ENGLISH, ("train", "test"), counterfact_from_datasets),
    "wikibigedit": HubSet(
        "lukasthede/WikiBigEdit", _ENGLISH, ("train",), wikibigedit_from_datasets, "wiki_big_edit_*.json", "main"
    ),
    "zsre": HubSet(
        "zjunlp/KnowEdit", _ENGLISH, ("test",), knowedit_from_datasets, "benchmark/ZsRE/ZsRE-test-all.json", "main"
    ),
}


def load_hub(
    name: str,
    *,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    sizes: Sizes | Mapping[str, int] | None = None,
    seed: int = 0,
) -> EditingData:
    """A data set of `HUB` from the hub, sampled as in `assemble`. Needs a network, or a filled `datasets` cache.

    Raises:
        DataError: an unknown name or language, or a download that failed.
    """
    return assemble(read_hub(name, languages, source), sizes=sizes, seed=seed)


def read_hub(
    name: str,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    *,
    repository: str | PathLike[str] | None = None,
    cache_dir: str | PathLike[str] | None = None,
) -> Material:
    """Everything that the hub has under `name`, unsampled.

    Args:
        name: a key of `HUB`.
        languages: None for all.
        source: the language of the edits.
        repository: another repository, or a local folder, with the files ``{configuration}/{split}/*.parquet``.
        cache_dir: where `datasets` keeps its files, None for its own default.
    """
    if name not in HUB:
        raise DataError(f"no hub data set {name!r} (known: {', '.join(sorted(HUB))})")
    hub = HUB[name]
    repository = str(repository or hub.repository)
    chosen = choose_languages(languages, hub.configs, source=source, where=f"hub:{name}")
    loaded = {lang: _load(hub, repository, lang, cache_dir) for lang in chosen}
    return hub.read(loaded, where=f"hub:{name}")


def _load(hub: HubSet, repository: str, lang: Lang, cache_dir: str | PathLike[str] | None) -> Any:
    # Imported here, because it takes a second that only this function needs.
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    config = hub.configs[lang]
    files = {split: hub.files.format(config=config, split=split) for split in hub.splits}
    cache = None if cache_dir is None else str(cache_dir)
    try:
        return load_dataset(
            repository, data_files=files, revision=hub.revision, cache_dir=cache, verification_mode="no_checks"
        )
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"hub data set {repository}, {config}: cannot be loaded ({reason})") from error


def _utterances(dataset: Any, where: object) -> dict[str, str]:
    texts: dict[str, str] = {}
    for _, split in _splits(dataset):
        ids, utterances = _column(split, "id", where), _column(split, "utt", where)
        texts |= {str(row_id): utterance for row_id, utterance in zip(ids, utterances, strict=True)}
    return texts


def _splits(dataset: Any) -> list[tuple[str, Any]]:
    """The (split name, rows) of a dictionary of splits; a lone data set has the name ``""``."""
    return list(dataset.items()) if isinstance(dataset, Mapping) else [("", dataset)]


def _split(splits: Mapping[str, Any], name: str, where: object) -> Any:
    if name not in splits:
        raise DataError(f"{where}: no split {name!r} (has: {', '.join(splits)})")
    return splits[name]


def _column(split: Any, name: str, where: object) -> list[Any]:
    if name not in split.column_names:
        raise DataError(f"{where}: no column {name!r} (has: {', '.join(split.column_names)})")
    return list(split[name])


def _labels(split: Any, name: str, where: object) -> list[str]:
    """A column of class names, whether stored as names or as ids of a `ClassLabel`."""
    values = _column(split, name, where)
    to_name = getattr(split.features[name], "int2str", str)
    try:
        return [to_name(value) for value in values]
    except ValueError as error:
        raise DataError(f"{where}: column {name!r} holds a label without a name ({error})") from error


def _both(premise: Mapping[Lang, str], hypothesis: Mapping[str, list[str]]) -> dict[Lang, TextPair]:
    """The pairs of one ``all_languages`` row in every language that has both parts."""
    second = dict(zip(hypothesis["language"], hypothesis["translation"], strict=True))
    return {lang: (text, second[lang]) for lang, text in premise.items() if lang in second}
