"""``polypatch predict``: the answers to a file of texts."""

from __future__ import annotations

import csv
import io
import json as json_lines
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polypatch.cli.console import Bars, as_json, say, stdout
from polypatch.cli.options import AnswerTokens, Chat, Device, Json, Model, Quiet, Threads
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError

if TYPE_CHECKING:
    from polypatch.data.memory import ProbeText
    from polypatch.edited_model import EditedModel

SUFFIXES = (".jsonl", ".csv", ".tsv")

EXAMPLES = """[bold]Examples[/]

polypatch predict my-edits texts.jsonl

polypatch predict my-edits texts.txt --out answers.csv

polypatch predict my-model texts.txt --all-classes --out answers.jsonl
"""


@dataclass(frozen=True)
class Predicted:
    """One text, its answer, and the probabilities of all classes, where there are any."""

    probe: ProbeText
    label: str
    probability: float
    classes: dict[str, float]

    def plain(self, all_classes: bool) -> dict[str, Any]:
        """A row of the file: the text as it was, and the answer."""
        text = self.probe.text
        row: dict[str, Any] = {"lang": self.probe.lang, "text": text if isinstance(text, str) else list(text)}
        row |= {} if self.probe.label is None else {"wanted": self.probe.label}
        row |= {"label": self.label, "probability": round(self.probability, 6)}
        return row | ({"classes": {name: round(p, 6) for name, p in self.classes.items()}} if all_classes else {})


def predict(
    place: Annotated[str, typer.Argument(metavar="EDITS|MODEL", help="Saved edits, a RUN, or a model without edits.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Texts, as for --memory of polypatch edit; a column of labels too.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the answers go: .jsonl, .csv or .tsv.")
    ] = None,
    all_classes: Annotated[
        bool, typer.Option("--all-classes", help="With the probability of every class, in .jsonl and --json.")
    ] = False,
    source: Annotated[str, typer.Option(metavar="L", help="The language of a text that names none.")] = "en",
    chat: Chat = False,
    answer_tokens: AnswerTokens = None,
    model: Model = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Answer every text of a file: its label, and the probability of that.

    A language model writes its answer; the probability is that of its least sure
    token. The answers are in the order of the file. Where its rows have labels, the
    share that is answered so is said.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise InputError(f"{out}: answers are written to {', '.join(SUFFIXES)}")
    if all_classes and not json and (out is None or out.suffix != ".jsonl"):
        raise InputError("--all-classes needs room: add --json, or --out with a .jsonl file")
    from polypatch.cli.session import EditsOrModel

    asked = EditsOrModel(place, base=model, device=device, answer_tokens=answer_tokens, chat=chat)
    prepare(threads, quiet=quiet)
    from polypatch.data.memory import read_texts

    with Bars(quiet) as bars:
        probes = read_texts(file, source)
        edited = asked.open_to_ask(bars)
        if all_classes and edited.readout.answers is None:
            raise InputError(f"--all-classes: {place} is a language model, and has none")
        found = answers(edited, probes)
    if out is not None:
        from polypatch.files import write_atomic

        write_atomic(out, _written(found, out.suffix, all_classes))
    if json:
        say(as_json([one.plain(all_classes) for one in found]))
    elif out is None:
        _show(found)
    if not json:
        say(_in_words(found, out))


def answers(edited: EditedModel, probes: Sequence[ProbeText]) -> list[Predicted]:
    """What the model says to each text."""
    if edited.readout.answers is None:
        spoken = edited.spoken([probe.text for probe in probes])
        shares = spoken.probability.tolist()
        return [Predicted(*one, {}) for one in zip(probes, spoken.answers, shares, strict=True)]
    names = list(edited.labels.values())
    rows = edited.predict_proba([probe.text for probe in probes]).tolist()
    found = []
    for probe, row in zip(probes, rows, strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        found.append(Predicted(probe, names[best], row[best], dict(zip(names, row, strict=True))))
    return found


def _written(found: Sequence[Predicted], suffix: str, all_classes: bool) -> bytes:
    rows = [one.plain(all_classes) for one in found]
    if suffix == ".jsonl":
        return "".join(f"{json_lines.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
    written = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = csv.DictWriter(written, columns, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
    table.writeheader()
    for row in rows:
        text = row["text"]
        table.writerow({**row, "text": text if isinstance(text, str) else " / ".join(text)})
    return written.getvalue().encode()


def _show(found: Sequence[Predicted]) -> None:
    from polypatch.cli.shown import shown
    from polypatch.rendering.grid import labels

    rows = [(one.probe.lang, shown(one.probe.text), one.label, f"{one.probability:.2f}") for one in found]
    stdout().print(labels(("Language", "Text", "Answer", "Probability"), rows, numbers=1).to_console())


def _in_words(found: Sequence[Predicted], out: Path | None) -> str:
    known = [one for one in found if one.probe.label is not None]
    right = sum(one.label == one.probe.label for one in known)
    share = f"; {right:,} of {len(known):,} are labelled so" if known else ""
    return f"{len(found):,} texts{share}" + ("" if out is None else f"; the answers are in {out}")
