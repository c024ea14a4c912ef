"""One JSON object to one Edit and back, under EasyEdit's field names.

Every value is a plain value in the source language, or a ``{lang: value}`` map. A (premise, hypothesis) pair is the
object ``{"premise": …, "hypothesis": …}``, never a list, because a list of two strings is two rephrases.
``docs/data-format.md`` has the whole format with examples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypeVar

from polypatch.arguments import SURROGATE, is_number, no_class_name
from polypatch.data.quoting import cut, listed, quoted
from polypatch.edits import Edit, Lang, RelatedQuestion, Text, is_lang
from polypatch.errors import DataError, EditError
from polypatch.languages import not_a_lang

T = TypeVar("T")
EditFileRow: TypeAlias = dict[str, Any]

_NAMES: Mapping[str, tuple[str, ...]] = {
    # the second names are those of KnowEdit's files (WikiBio, ZsRE) and of EasyEdit's CounterFact; of files of texts
    # with labels; and those of `Edit`
    "id": ("id", "case_id"),
    "source": ("source", "lang"),
    "prompt": ("prompt", "text"),
    "target_new": ("target_new", "labels", "label", "target"),
    "subject": ("subject", "concept"),
    "rephrase_prompt": ("rephrase_prompt", "rephrase", "rephrases"),
}
_FLAT_PROBES: Mapping[str, str] = {"locality": "neighborhood", "portability": "one_hop"}
"""EasyEdit's older files have one probe as ``{kind}_prompt`` and ``{kind}_ground_truth``: the set it then calls so."""

PAIR = ("premise", "hypothesis")
"""A pair of texts in a file."""


def edit_from_record(record: object, *, default_id: str | None, source: Lang = "en") -> Edit:
    """One decoded JSON object as an Edit; fields that are not named in the format are ignored.

    Args:
        record: the object.
        default_id: the id of a record without one; None makes one of what the edit says.
        source: the language of plain values, where the record has no ``source``.

    Raises:
        DataError: the object is not a valid edit; the message names the field, not the file.
    """
    if not isinstance(record, dict):
        raise DataError(f"expected an object, found {_short(record)}")
    own = _first(record, "source")
    lang = _language(source if own is None else own, "source")
    prompt: dict[Lang, Text] = _by_language(_first(record, "prompt"), "prompt", lang, _text)
    target = _by_language(_first(record, "target_new"), "target_new", lang, _label)
    _require(record, prompt, "prompt", lang)
    others: dict[Lang, Text] = _by_language(record.get("translations"), "translations", lang, _text)
    for other, text in others.items():
        if prompt.setdefault(other, text) is not text:
            raise DataError(f"field 'translations': 'prompt' has a text in {other!r} already; leave one out")
    _require(record, target, "target_new", lang)
    try:
        return Edit(
            id=_id(_first(record, "id"), default_id),  # type: ignore[arg-type]
            source=lang,
            prompt=prompt,
            target=target,
            ground_truth=_by_language(record.get("ground_truth"), "ground_truth", lang, _answer),
            subject=_by_language(_first(record, "subject"), "subject", lang, _string),
            aliases=_by_language(record.get("aliases"), "aliases", lang, _spellings),
            renderings=_by_language(record.get("renderings"), "renderings", lang, _texts),
            rephrases=_by_language(_first(record, "rephrase_prompt"), "rephrase_prompt", lang, _texts),
            locality=_probe_sets(record, "locality", lang),
            portability=_probe_sets(record, "portability", lang),
        )
    except EditError as error:
        raise DataError(str(error)) from error


def record_from_edit(edit: Edit) -> EditFileRow:
    """One Edit as a JSON-ready object: plain values where there is only the source language, no empty fields."""
    record: EditFileRow = {"id": edit.id, "source": edit.source}
    record["prompt"] = _plain(edit.prompt, edit.source, _text_json)
    record["target_new"] = _plain(edit.target, edit.source, _same)
    optional: dict[str, Any] = {
        "aliases": _plain(edit.aliases, edit.source, list),
        "ground_truth": _plain(edit.ground_truth, edit.source, _same),
        "subject": _plain(edit.subject, edit.source, _same),
        "renderings": _plain(edit.renderings, edit.source, _texts_json),
        "rephrase_prompt": _plain(edit.rephrases, edit.source, _texts_json),
        "locality": _probe_sets_json(edit.locality, edit.source),
        "portability": _probe_sets_json(edit.portability, edit.source),
    }
    return record | {field: value for field, value in optional.items() if value != {}}


def _first(record: EditFileRow, field: str) -> object:
    """The value of a field under the first of its names that is present and not null."""
    return next((record[name] for name in _NAMES[field] if record.get(name) is not None), None)


def _require(record: EditFileRow, by_language: Mapping[Lang, object], field: str, source: Lang) -> None:
    if record.keys().isdisjoint(_NAMES[field]):
        has = listed([str(name) for name in record]) if record else "nothing"
        raise DataError(f"field {field!r}: missing, also as {' or '.join(_NAMES[field][1:])}; the row has {has}")
    if source not in by_language:
        has = listed(by_language) if by_language else "nothing"
        raise DataError(f"field {field!r}: nothing in the source language {source!r} (has: {has})")


def _id(value: object, default: str | None) -> str | None:
    if value is None and default is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    name = default if value is None else _string(value, "id")
    if not name:
        raise DataError("field 'id': empty; an edit needs a non-empty id, or none to be called after its row")
    return name


def _by_language(value: object, field: str, source: Lang, parse: Callable[[object, str], T | None]) -> dict[Lang, T]:
    """A ``{lang: value}`` map as it is, anything else as the value in `source`; None from `parse` is left out."""
    if isinstance(value, dict) and value.keys().isdisjoint(PAIR):
        parsed = {_language(lang, field): parse(item, f"{field}.{lang}") for lang, item in value.items()}
    else:
        parsed = {} if value is None else {source: parse(value, field)}
    return {lang: item for lang, item in parsed.items() if item is not None}


def _language(value: object, field: str) -> Lang:
    lang = _string(value, field)
    if not is_lang(lang):
        raise DataError(f"field {field!r}: {not_a_lang(lang)}")
    return lang


def _string(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"field {field!r}: expected text, found {_short(value)}")
    if SURROGATE.search(value):
        raise DataError(f"field {field!r}: half of a surrogate pair in {_short(value)}")
    return value


def _filled(value: object, field: str) -> str:
    text = _string(value, field)
    if not text.strip():
        raise DataError(f"field {field!r}: empty text {quoted(text)}; fill it in or leave it out")
    return text


def _text(value: object, field: str) -> Text:
    """A text, or a pair as an object with exactly the two keys."""
    if not isinstance(value, dict):
        return _filled(value, field)
    if value.keys() != set(PAIR):
        raise DataError(f"field {field!r}: expected a text or {{premise, hypothesis}}, found {_short(value)}")
    return (_filled(value["premise"], f"{field}.premise"), _filled(value["hypothesis"], f"{field}.hypothesis"))


def _texts(value: object, field: str) -> tuple[Text, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_text(item, f"{field}[{i}]" if isinstance(value, list) else field) for i, item in enumerate(items))


def _spellings(value: object, field: str) -> tuple[str, ...]:
    """Texts, in a list or one alone."""
    if not isinstance(value, list):
        return (_filled(value, field),)
    return tuple(_filled(item, f"{field}[{i}]") for i, item in enumerate(value))


def _answer(value: object, field: str) -> str | None:
    """A string. EasyEdit also writes a list of accepted answers, possibly nested: the first one is kept."""
    while isinstance(value, list):
        if not value:
            return None
        value = value[0]
    return _string(value, field)


def _label(value: object, field: str) -> str | None:
    if is_number(value):
        raise DataError(f"field {field!r}: {no_class_name(value)}")
    answer = _answer(value, field)
    return None if answer is None else _filled(answer, field)


def _probe_sets(record: EditFileRow, field: str, source: Lang) -> dict[str, tuple[RelatedQuestion, ...]]:
    value = record.get(field)
    if value is not None and not isinstance(value, dict):
        raise DataError(f"field {field!r}: expected an object of named probes, found {_short(value)}")
    sets = {
        _string(name, field): _probes(group, f"{field}.{cut(name)}", source)
        for name, group in (value or {}).items()
        if group is not None
    }
    if record.get(f"{field}_prompt") is not None:
        flat = {"prompt": record[f"{field}_prompt"], "ground_truth": record.get(f"{field}_ground_truth")}
        sets.setdefault(_FLAT_PROBES[field], _probes(flat, f"{field}_prompt", source))
    return sets


def _probes(group: object, field: str, source: Lang) -> tuple[RelatedQuestion, ...]:
    items = group if isinstance(group, list) else [group]
    return tuple(probe for i, item in enumerate(items) for probe in _probe(item, f"{field}[{i}]", source))


def _probe(item: object, field: str, source: Lang) -> list[RelatedQuestion]:
    """One probe, or several where EasyEdit gives parallel lists of prompts and answers in one object."""
    if not isinstance(item, dict) or item.get("prompt") in (None, {}):
        raise DataError(f"field {field!r}: expected an object with a prompt, found {_short(item)}")
    prompts, answers = item["prompt"], item.get("ground_truth")
    if not isinstance(prompts, list) or len(prompts) == 1:
        prompts, answers = (prompts if isinstance(prompts, list) else [prompts]), [answers]
    elif not isinstance(answers, list) or len(answers) != len(prompts):
        raise DataError(f"field {field!r}: {len(prompts)} prompts need as many answers in ground_truth")
    if None in prompts or {} in prompts:
        raise DataError(f"field {field!r}: a prompt without text in {quoted(prompts)}; fill it in or leave it out")
    return [
        RelatedQuestion(
            prompt=_by_language(prompt, f"{field}.prompt", source, _text),
            target=_by_language(answer, f"{field}.ground_truth", source, _answer),
        )
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _short(value: object) -> str:
    return f"{type(value).__name__} {quoted(value)}"


def _plain(by_language: Mapping[Lang, T], source: Lang, write: Callable[[T], Any]) -> Any:
    if by_language.keys() == {source}:
        return write(by_language[source])
    return {lang: write(value) for lang, value in by_language.items()}


def _same(value: str) -> str:
    return value


def _text_json(text: Text) -> Any:
    return text if isinstance(text, str) else {"premise": text[0], "hypothesis": text[1]}


def _texts_json(texts: Collection[Text]) -> Any:
    written = [_text_json(text) for text in texts]
    return written[0] if len(written) == 1 else written


def _probe_sets_json(sets: Mapping[str, Collection[RelatedQuestion]], source: Lang) -> EditFileRow:
    return {name: [_probe_json(probe, source) for probe in probes] for name, probes in sets.items()}


def _probe_json(probe: RelatedQuestion, source: Lang) -> EditFileRow:
    record = {"prompt": _plain(probe.prompt, source, _text_json)}
    return record | ({"ground_truth": _plain(probe.target, source, _same)} if probe.target else {})
