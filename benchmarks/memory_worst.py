"""After thousands of English edits: what changes in the set that keeps least, and what would keep more of it.

A text that changes is *mended* where it says its label then and did not before, *broken* the other way round, *wrong
either way* else. It is *about the same* where it shares half of its words at least with the translation of the edit
that acts on it, which no edit was given.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from memory_choices import medoids, stands_for
from memory_chosen import Entries, Study, candidates, judge, opened, placed, with_landmarks
from polypatch.deltas import NearestBank
from polypatch.deltas.nearness import nearest
from polypatch.deltas.published import seen_together
from polypatch.edits import Lang, Text
from tail import keep

ALIKE = 0.5
"""Of the words of two texts, those in both, from which on they are about the same."""

SHOWN = 40
"""Texts that are written down."""


def changed(study: Study, bank: NearestBank) -> dict[str, Any]:
    """What changed, by set, and some of the texts of the set that keeps least."""
    asked, locality = study.asked, study.bench.data.locality
    said, _ = asked.after(bank)
    names, by_id = list(asked.tail.readout.answers), {edit.id: edit for edit in study.edits}
    found, shown = {}, {}
    for name, rows in locality.items():
        lang = name.partition(".")[2] or asked.source
        after, before = said[asked.where[name]].tolist(), asked.before[asked.where[name]].tolist()
        moved = [i for i, (one, other) in enumerate(zip(after, before, strict=True)) if one != other]
        entries = nearest(asked.q[asked.where[name]][moved], seen_together(bank)).entry.tolist() if moved else []
        counts, lines = Counter({"texts": len(rows), "changed": len(moved)}), []
        for i, entry in zip(moved, entries, strict=True):
            edit = by_id[bank.owners[entry]]
            what = kind(names[before[i]], names[after[i]], rows[i].label)
            alike = share_of_tokens(study, rows[i].text, edit.prompt[lang])
            counts[what] += 1
            counts["about the same"] += alike >= ALIKE
            counts[f"about the same, {what}"] += alike >= ALIKE
            line = {"text": rows[i].text, "label": rows[i].label, "was": names[before[i]], "is": names[after[i]]}
            lines.append(
                {**line, "edit": edit.prompt[edit.source], "its translation": edit.prompt[lang], "alike": alike}
            )
        found[name], shown[name] = dict(counts), lines
    worst = min(found, key=lambda name: 1 - found[name]["changed"] / found[name]["texts"])
    totals = sum((Counter(counts) for counts in found.values()), Counter())
    return {"all sets": dict(totals), "worst set": worst, "sets": found, "texts": shown[worst][:SHOWN]}


def kind(was: str, now: str, label: str) -> str:
    """What a change is, by the label."""
    if now == label:
        return "mended"
    return "broken" if was == label else "wrong either way"


def share_of_tokens(study: Study, one: Text, other: Text) -> float:
    """Of the word pieces of two texts, how many are in both."""
    first, second = (set(row.tokens[1:-1]) for row in study.asked.tail.readout.rows([one, other]))
    return round(len(first & second) / len(first | second), 2)


def protected(study: Study, entries: Entries, lang: Lang, many: int) -> dict[str, dict[str, Any]]:
    """The figures with what might keep more of the answers in a language."""
    usual = study.frame(*study.usual())
    whole = study.frame(study.pool)
    group = sorted(study.pool).index(lang)
    q = {one: study.queries(texts) for one, texts in study.pool.items()}

    def with_first(sizes: dict[Lang, int]) -> NearestBank:
        return placed(entries, with_landmarks(whole, torch.cat([q[one][:size] for one, size in sizes.items()])))

    few, more = dict.fromkeys(q, 350), dict.fromkeys(q, many)
    banks = {"as usual": placed(entries, usual)}
    for name, part, at in (("half the share there", 0.5, group), ("half the share everywhere", 0.5, None)):
        banks[name] = judge(placed(entries, usual), part=part, group=at)
    banks["all candidates measure, 350 landmarks"] = with_first(few)
    banks[f"the same, {many} of that language"] = with_first({**few, lang: many})
    banks[f"the same, {many} of every language"] = with_first(more)
    offered = candidates(study, whole, entries)
    picks = {one: medoids(found.u, 350) for one, found in offered.items()}
    rows = torch.cat([q[one][pick] for one, pick in picks.items()])
    weights = torch.cat([stands_for("k-means medoids", offered[one], pick) for one, pick in picks.items()])
    banks["350 medoids, weighed"] = judge(placed(entries, with_landmarks(whole, rows)), weights)
    found = {}
    for name, bank in banks.items():
        found[name] = {**study.asked.measure(bank), "changes": changed(study, bank)}
        if name != "as usual":
            del found[name]["changes"]["texts"]
        print(name, {**found[name], "changes": found[name]["changes"]["all sets"]}, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a classifier")
    parser.add_argument("data", help="what it is edited with, such as massive-all:FOLDER")
    parser.add_argument("--edits", type=int, default=5000)
    parser.add_argument("--many", type=int, default=1400, help="landmarks of a language, where they are more")
    parser.add_argument("--candidates", type=int, default=4000, help="texts of each language to choose from")
    parser.add_argument("--cache", help="a folder for encoded texts")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study = opened(arguments, 0)
    entries = study.entries()
    usual = changed(study, placed(entries, study.frame(*study.usual())))
    print(usual["worst set"], usual["all sets"], usual["sets"][usual["worst set"]], sep="\n", flush=True)
    worst = usual["worst set"].partition(".")[2] or study.asked.source
    keep(protected(study, entries, worst, arguments.many), arguments.out)


if __name__ == "__main__":
    main()
