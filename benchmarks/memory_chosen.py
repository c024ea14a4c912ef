"""A memory chosen for coverage against one at random: reach, and what changes elsewhere, with m texts of each language.

For the nearest edit (`polypatch`, 200 edits in English alone) two things are chosen. *Landmarks*: what thresholds and
crowding are worked out from; the map of places is learned from all candidates. *Memory*: nothing is known but the m
texts, the map included. A chosen text may count as often as there are candidates that it stands for (*weighed*), so
that a share of the memory is one of all texts again. For `polypatch-linear` (edits in six languages) it is a memory.
Every measure is taken on texts that are neither edited nor candidates. Nothing is trained or chosen by them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from memory_choices import CHOICES, NESTED, Candidates, stands_for
from memory_questions import Questions
from polypatch.deltas import NearestBank
from polypatch.deltas.nearest_bank import FRAME
from polypatch.deltas.nearness import crowding, crowding_among, judged, sorted_in, trace, unit
from polypatch.deltas.published import publish, seen_together
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang, Text
from polypatch.experiments.massive import FOURTEEN, SIX
from polypatch.runs import BenchSpec, Run, Workbench
from tail import keep

ALL = 5000
"""Candidates of each language."""

FEW = 20
"""Texts of each language, where any memory will do."""

SIZES = (350, 175, 70, 35)
"""Texts of each language: what the default recipe takes as landmarks, a half, a fifth and a tenth of it."""

WEIGHED = ("k-center", "k-means medoids", "facility location", "each class in turn", "half nearest to the edits")

TINY = 1e-9
"""Of a difference of agreements, in per cent."""

BRIEF = ("gain", "english", "worst", "all", "acts on, others")

Texts = Mapping[Lang, Sequence[Text]]
Frame = Mapping[str, Tensor]


class Entries(NamedTuple):
    """What edits are, whatever they are measured by: the queries of their texts [e, D], values [e, d], and owners."""

    q: Tensor
    values: Tensor
    owners: Sequence[str]


@dataclasses.dataclass
class Study:
    """One sampling of the data: its candidates, its edits, and what is asked."""

    bench: Workbench
    run: Run
    pool: Texts
    validation: Texts
    edits: Sequence[Edit]
    asked: Questions

    def edited(
        self, memory: Texts, edits: Sequence[Edit], run: Run | None = None, validation: Texts | None = None
    ) -> EditedModel:
        """The model with these edits, made with these texts as its memory and nothing beside them."""
        validation = validation or {lang: [] for lang in memory}
        self.bench.data = dataclasses.replace(self.bench.data, memory=memory, validation=validation)
        edited = self.bench.attach(run or self.run)
        for _ in edited.stream(edits):
            pass
        return edited

    def usual(self) -> tuple[Texts, Texts]:
        """The memory that the data have by themselves, more of it in the first language, and its validation part."""
        return {lang: texts[: 350 if i else 4000] for i, (lang, texts) in enumerate(self.pool.items())}, self.validation

    def frame(self, memory: Texts, validation: Texts | None = None) -> dict[str, Tensor]:
        """What texts are measured by with this memory; at most 350 texts of a language are landmarks."""
        edited = self.edited(memory, self.edits[:1], validation=validation)
        edited.unload()
        return {name: tensor for name, tensor in edited.delta.tensors().items() if name in FRAME}

    def entries(self) -> Entries:
        """What the edits are; their values hang on no memory, so a small one will do."""
        edited = self.edited({lang: texts[:FEW] for lang, texts in self.pool.items()}, self.edits)
        edited.unload()
        by_id = {edit.id: edit.prompt[edit.source] for edit in self.edits}
        q = self.queries([by_id[owner] for owner in edited.delta.owners])
        return Entries(q, edited.delta.tensors()["values"], edited.delta.owners)

    def queries(self, texts: Sequence[Text]) -> Tensor:
        """What is read of texts [n, D]."""
        tail = self.asked.tail
        return tail.queries(tail.readout.rows(texts)).q


def placed(entries: Entries, frame: Frame) -> NearestBank:
    """The edits, measured by another frame: as if they had been made with it."""
    width, keys = entries.values.shape[1], unit(entries.q, frame)
    offsets = frame["numbers"][0] * crowding(keys, frame["landmarks"])
    own = {"keys": keys, "values": entries.values, "offsets": offsets, "homes": sorted_in(entries.q, frame)}
    bank = NearestBank(width, entries.q.shape[1])
    bank.load_tensors({**own, **frame}, entries.owners)
    return bank


def judge(bank: NearestBank, weights: Tensor | None = None, part: float = 1.0, group: int | None = None) -> NearestBank:
    """The same bank, its thresholds by landmarks that count so often each [m], and by a part of the share.

    In one group of landmarks where one is named, in all otherwise.
    """
    now = seen_together(bank)
    weights = torch.ones_like(now["groups"]) if weights is None else weights
    often = {name: now[name].repeat_interleave(weights) for name in ("score", "groups", "near")}
    numbers = now["numbers"].clone()
    numbers[1] *= part
    found = judged({**now, **often, "numbers": numbers}, since=bank.patches)["thresholds"]
    if group is not None:
        found = torch.where(torch.arange(len(found)) == group, found, now["thresholds"])
    publish(bank, {**now, "thresholds": found}, bank.owners)
    return bank


def measured(
    study: Study, bank: NearestBank, weights: Mapping[str, Tensor | None], parts: Sequence[float]
) -> dict[str, Any]:
    """The figures by how often landmarks count, and beside them those at parts of the share."""
    look, found = study.asked.look(bank), {}
    for name, often in weights.items():
        curve = {part: study.asked.measure(judge(bank, often, part), look) for part in (1.0, *parts)}
        brief = {str(part): {key: one[key] for key in BRIEF} for part, one in curve.items()}
        found[name] = {**curve[1.0], "parts": brief}
    return found


def with_landmarks(frame: Frame, q: Tensor) -> dict[str, Tensor]:
    """The same measure, with these texts [m, D] as landmarks and as all that is known again."""
    u = unit(q, frame)
    of = {"landmarks": u, "crowding": crowding_among(u), "groups": sorted_in(q, frame)}
    return {**frame, **of, "kept": trace(u)}


def candidates(study: Study, frame: Frame, entries: Entries) -> dict[Lang, Candidates]:
    """The candidates of each language, as choices see them."""
    keys, tail, found = unit(entries.q, frame), study.asked.tail, {}
    spread = torch.cat([study.queries(texts[:350]) for texts in study.pool.values()]).std(0)
    for lang, texts in study.pool.items():
        q = study.queries(texts)
        u, seen = unit(q, frame), functional.normalize((q - frame["centre"]) / spread, dim=1)
        said = tail.said(tail.readout.rows(texts), study.asked.unchanged).ids
        found[lang] = Candidates(u, seen, said, (u @ keys.T).max(1).values)
    return found


def chosen(
    found: Mapping[Lang, Candidates], sizes: Sequence[int], only: Sequence[str]
) -> Iterator[tuple[str, int, dict[Lang, Tensor]]]:
    """Every way to choose, every size, and which of each language's candidates are chosen then."""
    for name in only:
        longest = {lang: CHOICES[name](one, max(sizes)) for lang, one in found.items()} if name in NESTED else {}
        for most in sizes:
            again = longest or {lang: CHOICES[name](one, most) for lang, one in found.items()}
            yield name, most, {lang: order[:most] for lang, order in again.items()}


def texts_of(study: Study, picks: Mapping[Lang, Tensor]) -> dict[Lang, list[Text]]:
    return {lang: [study.pool[lang][i] for i in pick.tolist()] for lang, pick in picks.items()}


def nearest_edit(
    study: Study, entries: Entries, whole: Frame, offered: Mapping[Lang, Candidates], wanted: argparse.Namespace
) -> dict[str, Any]:
    """The figures of `polypatch`, by what is chosen, how, and how many."""
    usual = placed(entries, study.frame(*study.usual()))
    found = measured(study, usual, {"as usual": None}, wanted.parts)
    for name, most, picks in chosen(offered, wanted.sizes, wanted.only):
        weights = torch.cat([stands_for(name, offered[lang], pick) for lang, pick in picks.items()])
        texts = texts_of(study, picks)
        q = torch.cat([study.queries(rows) for rows in texts.values()])
        frames = {"landmarks": whole, **({"memory": study.frame(texts)} if most in wanted.memories else {})}
        for what, frame in frames.items():
            often = {f"{what}: {name}, {most}": None}
            often |= {f"{what}: {name}, weighed, {most}": weights} if name in WEIGHED else {}
            new = measured(study, placed(entries, with_landmarks(frame, q)), often, wanted.parts)
            found.update(new)
            for which, one in new.items():
                print(which, {key: round(one[key], 2) for key in BRIEF}, flush=True)
    return found


def linear(study: Study, offered: Mapping[Lang, Candidates], wanted: argparse.Namespace) -> dict[str, Any]:
    """The figures of `polypatch-linear`, edits in six languages."""
    run = dataclasses.replace(study.run, recipe="polypatch-linear", languages=SIX)
    asked = Questions(study.bench.tail_at(None), study.edits, study.bench.data)
    memories = {"as usual": study.usual()}
    for name, most, picks in chosen(offered, wanted.sizes, wanted.linear):
        memories[f"{name}, {most}"] = texts_of(study, picks), None
    found = {}
    for name, (memory, validation) in memories.items():
        edited = study.edited(memory, study.edits, run, validation)
        found[name] = asked.measure(edited.delta)
        edited.unload()
        print("linear", name, found[name], flush=True)
    return found


def compared(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """With the gain that each has where it keeps as many answers as the usual memory: along the parts of the share."""
    kept = found["as usual"]["all"]
    for one in found.values():
        points = sorted((part["all"], part["gain"]) for part in one["parts"].values())
        pair = next((pair for pair in itertools.pairwise(points) if kept <= pair[1][0]), tuple(points[-2:]))
        if len(points) > 1:
            (low, more), (high, less) = pair
            one["gain, as many kept"] = more + (less - more) * (kept - low) / max(high - low, TINY)
    return found


def opened(arguments: argparse.Namespace, seed: int) -> Study:
    """One sampling of memory and locality sets."""
    spec = BenchSpec(
        model=arguments.model,
        data=arguments.data,
        languages=FOURTEEN,
        cache_dir=arguments.cache,
        seed=seed,
        sizes={"memory": arguments.candidates, "memory_other": arguments.candidates},
    )
    bench = spec.open()
    every = {"languages": FOURTEEN[:1], "memory_languages": FOURTEEN, "limit": arguments.edits, "order": seed}
    run = Run(recipe="polypatch", seed=seed, allow_contradictions=True, **every)
    bench.encode([run])
    edits = bench.stream(run)
    asked = Questions(bench.tail_at(None, "means"), edits, bench.data)
    return Study(bench, run, dict(bench.data.memory), dict(bench.data.validation), edits, asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a classifier")
    parser.add_argument("data", help="what it is edited with, such as massive-dev:FOLDER")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1, help="so many samplings and orders")
    parser.add_argument("--candidates", type=int, default=ALL, help="texts of each language to choose from")
    parser.add_argument("--cache", help="a folder for encoded texts")
    parser.add_argument("--only", nargs="*", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--linear", nargs="*", choices=CHOICES, default=[], help="and polypatch-linear with these")
    parser.add_argument(
        "--memories", nargs="*", type=int, default=[], help="sizes at which memories are chosen as well"
    )
    parser.add_argument("--parts", nargs="*", type=float, default=[], help="parts of the share to measure at as well")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for seed in range(arguments.seeds):
        study = opened(arguments, seed)
        entries, whole = study.entries(), study.frame(study.pool)
        offered = candidates(study, whole, entries)
        figures = compared(nearest_edit(study, entries, whole, offered, arguments))
        found = result[f"seed {seed}"] = {"polypatch": figures}
        keep(result, arguments.out)
        if arguments.linear:
            found["polypatch-linear"] = linear(study, offered, arguments)
            keep(result, arguments.out)


if __name__ == "__main__":
    main()
