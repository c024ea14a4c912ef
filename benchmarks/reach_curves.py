"""How many true translations a patch acts on, against how many unrelated texts, as its threshold moves; by language.

Edits in English alone. *Recall*: of the translations of texts that the model had wrong, the share on which their own
edit acts. *False alarms*: unrelated texts on which an edit acts, per million texts and edit. A neuron acts where its
pre-activation is above the threshold, an entry that is the nearest where it is nearer than that; the threshold that a
method chose itself is its place on the curve. Nothing is trained or chosen by these figures.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from polypatch.deltas import NearestBank, PatchBank
from polypatch.deltas.nearness import nearest
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang
from polypatch.evaluation.figures import STYLES, save_figure
from polypatch.experiments.massive import FOURTEEN
from polypatch.runs import BenchSpec, Run, Workbench
from polypatch.sites import UNCHANGED
from tail import keep

ALARMS = (30, 100, 300, 1000, 3000)
"""False alarms per million texts and edit, at which recalls are compared."""

VARIANTS = {
    "t-patcher": Run(recipe="t-patcher"),
    "polypatch-linear": Run(recipe="polypatch-linear"),
    "polypatch-linear-mapped": Run(recipe="polypatch-linear-mapped"),
    "nearest, query": Run(recipe="polypatch", reads="query"),
    "nearest, means": Run(recipe="polypatch"),
    "nearest, means, no parallel text": Run(recipe="polypatch", settings={"translations": 0.0}),
    "nearest, means, all directions": Run(recipe="polypatch", settings={"rank": 1_000_000}),
}


def scores(edited: EditedModel) -> tuple[Callable[[Tensor], Tensor], list[str]]:
    """Of queries, by how much each piece of the edits is over its threshold [n, pieces]; and whose the pieces are."""
    delta = edited.delta
    if isinstance(delta, NearestBank):
        tensors = delta.snapshot()[0]

        def over(q: Tensor) -> Tensor:
            found = nearest(q, tensors)
            none = q.new_full((len(q), delta.patches), -torch.inf)
            return none.scatter(1, found.entry.unsqueeze(1), found.over.unsqueeze(1))

        return over, list(delta.owners)
    assert isinstance(delta, PatchBank)
    return lambda q: q @ delta.keys.T + delta.biases, list(delta.owners)


def curve(edited: EditedModel, edits: Sequence[Edit], unrelated: Sequence[str], lang: Lang) -> dict[str, Any]:
    """Recall at `ALARMS` and at the method's own threshold, in one language."""
    over, owners = scores(edited)
    of = torch.tensor([[owner == edit.id for owner in owners] for edit in edits])

    def read(texts: Sequence[str]) -> Tensor:
        return over(edited.tail.queries(edited.readout.rows(texts)).q)

    own = read([edit.prompt[lang] for edit in edits]).masked_fill(~of, -torch.inf).max(1).values
    alarms = read(unrelated).flatten().sort(descending=True).values
    patched = len(set(owners))

    def found(threshold: float) -> tuple[float, float]:
        rate = 1e6 * float((alarms > threshold).sum()) / len(unrelated) / patched
        return 100 * float((own > threshold).float().mean()), rate

    allowed = {most: min(int(most * 1e-6 * len(unrelated) * patched), len(alarms) - 1) for most in ALARMS}
    recall = {most: found(float(alarms[place]))[0] for most, place in allowed.items()}
    return {"recall": recall, "own threshold": dict(zip(("recall", "false alarms"), found(0.0), strict=True))}


def measure(bench: Workbench, run: Run, languages: Sequence[Lang]) -> dict[str, Any]:
    """The curves of one variant, by language, and their mean."""
    bench.encode([run])
    stream, locality = bench.stream(run), bench.data.locality
    said = bench.tail.predict([edit.prompt[edit.source] for edit in stream], UNCHANGED).answers
    wrong = [edit for edit, answer in zip(stream, said, strict=True) if answer != edit.target_in(edit.source)]
    edited = bench.attach(run)
    for _ in edited.stream(stream):
        pass
    found = {}
    for lang in languages:
        texts = [row.text for name, rows in locality.items() if name.endswith(f".{lang}") for row in rows]
        found[lang] = curve(edited, wrong, texts, lang)
    edited.unload()
    own = [one["own threshold"] for one in found.values()]
    return {
        "wrong": len(wrong),
        "languages": found,
        "mean recall": {most: statistics.fmean(one["recall"][most] for one in found.values()) for most in ALARMS},
        "own threshold": {name: statistics.fmean(one[name] for one in own) for name in own[0]},
    }


def picture(result: dict[str, Any], languages: Sequence[Lang]) -> Figure:
    """A panel for each language, a line for each variant, a dot where its own threshold is."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    panels = figure.subplots(3, -(-len(languages) // 3), sharex=True, sharey=True).flatten()
    for panel, lang in zip(panels, languages, strict=False):
        for (name, found), (colour, _) in zip(result.items(), STYLES, strict=False):
            one = found["languages"][lang]
            panel.plot(ALARMS, list(one["recall"].values()), label=name, color=colour)
            panel.plot(*reversed(one["own threshold"].values()), "o", color=colour)
        panel.set(title=lang, xscale="log")
    for panel in panels[len(languages) :]:
        panel.set_axis_off()
    figure.supxlabel("false alarms per million texts and edit")
    figure.supylabel("true translations reached, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a classifier")
    parser.add_argument("data", help="what it is edited with, such as massive:FOLDER")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--cache", help="a folder for encoded texts")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--picture", type=Path, help="draw them here, as PNG")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = BenchSpec(model=arguments.model, data=arguments.data, languages=FOURTEEN, cache_dir=arguments.cache)
    bench, others = spec.open(), FOURTEEN[1:]
    result = {}
    table = Table("", *(f"{most:,}" for most in ALARMS), "own: recall", "false alarms")
    for name in arguments.only:
        every = {"languages": FOURTEEN[:1], "memory_languages": FOURTEEN, "limit": arguments.edits, "order": 0}
        run = Run(**{**vars(VARIANTS[name]), **every, "allow_contradictions": True})
        found = result[name] = measure(bench, run, others)
        own = found["own threshold"].values()
        table.add_row(name, *(f"{one:.1f}" for one in (*found["mean recall"].values(), *own)))
    Console().print(table)
    keep(result, arguments.out)
    if arguments.picture is not None:
        save_figure(picture(result, others), arguments.picture, dpi=110)


if __name__ == "__main__":
    main()
