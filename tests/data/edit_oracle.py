"""A second reader of edit files for the fuzz test: short, plain, and sharing no line with the one it checks."""

import json
import string

from polypatch.edits import Edit, RelatedQuestion

CODES = {"en", "de", "fr", "zh", "ar"}
"""The two-letter codes that the files of the test have."""


class NoEditsError(Exception):
    """The file is to be refused."""


def oracle(raw, stem):
    """The edits of a file, or None where it is to be refused."""
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        need("\0" not in text)
        if text.strip().startswith("["):
            rows = list(enumerate(json.loads(text, object_pairs_hook=unique), start=1))
        else:
            lines = enumerate(text.split("\n"), start=1)
            rows = [(n, json.loads(line, object_pairs_hook=unique)) for n, line in lines if line.strip()]
        edits = [edit_of(row, f"{stem}-{n}") for n, row in rows]
        need(edits and len({edit.id for edit in edits}) == len(edits))
        return edits
    except (NoEditsError, ValueError, RecursionError):  # ValueError: of json, and of bytes that are no UTF-8
        return None


def need(condition):
    if not condition:
        raise NoEditsError


def unique(pairs):
    need(len({name for name, _ in pairs}) == len(pairs))
    return dict(pairs)


def edit_of(row, name):
    """One row as docs/data-format.md says: EasyEdit's names, plain values in the source language."""
    need(isinstance(row, dict))
    row = {field: value for field, value in row.items() if value is not None}
    source = first(row, "source", "lang")
    source = "en" if source is None else code(source)
    own = row.get("id", row.get("case_id"))
    if own is not None:
        name = str(own) if type(own) is int else text_of(own)
    prompt = spoken(row.get("prompt", row.get("text")), source, prompt_of)
    if isinstance(prompt, dict):
        for lang, text in spoken(row.get("translations"), source, prompt_of).items():
            need(lang not in prompt)
            prompt[lang] = text
    target = spoken(first(row, "target_new", "labels", "label", "target"), source, label_of)
    need(name and source in prompt and source in target)
    return Edit(
        id=name,
        source=source,
        prompt=prompt,
        target=target,
        ground_truth=spoken(row.get("ground_truth"), source, answer_of),
        subject=spoken(row.get("subject", row.get("concept")), source, text_of),
        aliases=spoken(row.get("aliases"), source, spellings_of),
        rephrases=spoken(first(row, "rephrase_prompt", "rephrase", "rephrases"), source, prompts_of),
        locality=sets(row, "locality", source, flat="neighborhood"),
        portability=sets(row, "portability", source, flat="one_hop"),
    )


def first(row, *names):
    return next((row[name] for name in names if name in row), None)


def text_of(value):
    need(isinstance(value, str))
    value.encode()  # half a character has no bytes
    return value


def full(value):
    need(text_of(value).strip())
    return value


def code(value):
    need(text_of(value) in CODES or (len(value) == 3 and all(c in string.ascii_lowercase for c in value)))
    return value


def prompt_of(value):
    if isinstance(value, dict):
        need(sorted(value) == ["hypothesis", "premise"])
        return full(value["premise"]), full(value["hypothesis"])
    return full(value)


def prompts_of(value):
    return tuple(prompt_of(item) for item in (value if isinstance(value, list) else [value]))


def spellings_of(value):
    return tuple(full(item) for item in (value if isinstance(value, list) else [value]))


def answer_of(value):
    """A string, or the first of a list, of a list of lists, ...; None where the list is empty."""
    if isinstance(value, list):
        return answer_of(value[0]) if value else None
    return text_of(value)


def label_of(value):
    answer = answer_of(value)
    return answer if answer is None else full(answer)


def spoken(value, source, of):
    """By language; a value that is no language map is in the source language."""
    if value is None:
        return {}
    if not isinstance(value, dict) or "premise" in value or "hypothesis" in value:
        value = {source: value}
    read = {code(lang): of(item) for lang, item in value.items()}
    return {lang: item for lang, item in read.items() if item is not None}


def sets(row, field, source, *, flat):
    groups = row.get(field, {})
    need(isinstance(groups, dict))
    named = {text_of(name): probes(group, source) for name, group in groups.items() if group is not None}
    if f"{field}_prompt" in row:
        asked = {"prompt": row[f"{field}_prompt"], "ground_truth": row.get(f"{field}_ground_truth")}
        named = {flat: probes(asked, source)} | named
    return named


def probes(group, source):
    found = []
    for item in group if isinstance(group, list) else [group]:
        need(isinstance(item, dict))
        asked, answers = item.get("prompt"), item.get("ground_truth")
        need(asked is not None and asked != {})
        if isinstance(asked, list) and len(asked) != 1:
            need(isinstance(answers, list) and len(answers) == len(asked))
        else:
            asked, answers = (asked if isinstance(asked, list) else [asked]), [answers]
        need(None not in asked and {} not in asked)
        pairs = zip(asked, answers, strict=True)
        found += [
            RelatedQuestion(spoken(one, source, prompt_of), spoken(other, source, answer_of)) for one, other in pairs
        ]
    return tuple(found)
