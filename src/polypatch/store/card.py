"""The model card of a folder of edits: README.md as hubs show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from polypatch.edits import Text
from polypatch.outcomes import EditRecord
from polypatch.rendering.harmless import code, inline, one_line
from polypatch.sites.reads import encoder_in

MOST = 20
"""Edits listed in the card."""

_COLUMNS = ("recipe", "patches", "reliability", "mlg", "clg_avg", "clg_unseen", "clg_never", "seconds_per_edit")


def model_card(
    config: Mapping[str, Any], records: Sequence[EditRecord], report: Sequence[Mapping[str, Any]] | None
) -> str:
    """The card: front matter for hubs, then what was edited, how to load it, what it achieved, and the edits."""
    base, recipe = one_line(base_name(config["base_model"])), one_line(config["recipe"])
    writes = config.get("labels") == []  # format 1 kept none
    languages = [one_line(lang) for lang in config["sampled_languages"]]
    data = ModelCardData(
        language=sorted(languages) or None,
        library_name="polypatch",
        base_model=base or None,
        pipeline_tag="text-generation" if writes else "text-classification",
        tags=["polypatch", "model-editing", "cross-lingual", recipe],
    )
    active = [record for record in records if not record.reverted]
    taken = sum(record.outcome.triggered and record.outcome.success for record in active)
    parts = [
        f"---\n{data.to_yaml()}\n---\n",
        f"# Edits of {inline(base) or ('a language model' if writes else 'a classifier')}\n",
        f"{len(active)} corrections by {code(recipe)} (seed {config['seed']}), made in "
        f"{inline(', '.join(languages)) or 'one language'}; {taken} of them changed the model. The folder "
        f"holds the edits, not the model; it belongs to weights with the fingerprint "
        f"{code(config['base_fingerprint'], 17)} and is refused by others.\n",
        "```python\nfrom polypatch import EditedModel\n\n"
        'edited = EditedModel.from_pretrained("this folder or repository")\n'
        'edited.predict("…")\nwith edited.disabled():\n    edited.predict("…")  # as before the edits\n```\n',
    ]
    if encoder := base_name(sentence_encoder_of(config.get("settings") or {})):
        parts.append(f"The edits read a sentence encoder as well, {code(encoder)}, which is loaded with them.\n")
    if remembered := _remembered(config.get("memory")):
        parts.append(f"{remembered}\n")
    if report:
        parts += ["## What they achieved\n", _table(report), "Per cent, of the final model over all edits.\n"]
    parts += ["## The edits\n", _listed(records)]
    return "\n".join(parts)


def _remembered(memory: Mapping[str, Any] | None) -> str:
    """What the folder keeps of the texts that edits must leave alone."""
    if memory is None:
        return "The memory is not in the folder: who edits further gives it."
    if "file" not in memory:
        return f"The memory is in another file, {code(Path(memory['path']).name)}, which further edits need."
    texts = memory["texts"]
    size = f"{memory['bytes'] / 1000:,.0f} kB"
    return (
        f"Further edits leave alone the {texts['train'] + texts['validation']:,} texts in {code(memory['file'])} "
        f"({size}), which holds {texts['held_out']:,} more to measure on what changed elsewhere."
    )


def base_name(base_model: str) -> str:
    """A model's name for others to read: of a folder on this machine its last part."""
    return Path(base_model).name if Path(base_model).is_absolute() or Path(base_model).exists() else base_model


def sentence_encoder_of(settings: Mapping[str, Any]) -> str:
    """The folder or hub name of the sentence encoder that edits with these settings read; empty where there is none."""
    recipe = settings.get("recipe")
    return encoder_in(recipe.get("reads")) if isinstance(recipe, dict) else ""


def for_others(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for others to read: of a sentence encoder in a folder of this machine its name alone."""
    name = sentence_encoder_of(settings)
    if not name:
        return dict(settings)
    what = settings["recipe"]["reads"].partition(":")[0]
    return {**settings, "recipe": {**settings["recipe"], "reads": f"{what}:{base_name(name)}"}}


def _table(report: Sequence[Mapping[str, Any]]) -> str:
    names = [name for name in _COLUMNS if any(row.get(name) is not None for row in report)]
    sets = list(dict.fromkeys(name for row in report for name in row.get("locality") or {} if "." not in name))
    head = [*names, *(inline(f"locality {name}") for name in sets)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in report:
        cells = [row.get(name) for name in names]
        cells += [(row.get("locality") or {}).get(name, {}).get("agreement") for name in sets]
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else inline(str(value))


def _listed(records: Sequence[EditRecord]) -> str:
    lines = [f"* {_line(record)}" for record in records[:MOST]]
    more = len(records) - MOST
    return "\n".join(lines + ([f"* … and {more} more: `provenance.jsonl`"] if more > 0 else [])) + "\n"


def _line(record: EditRecord) -> str:
    name, edit = record.outcome.edit_id, record.edit
    if edit is None:
        return f"{_code(name)}: {record.status}"
    return f"{_code(name)}: {_code(edit.prompt[edit.source])} → {_code(edit.target_in(edit.source))} ({record.status})"


def _code(text: Text) -> str:
    return code(" / ".join(text) if isinstance(text, tuple) else text, 100)
