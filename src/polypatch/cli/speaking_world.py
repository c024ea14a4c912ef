"""``polypatch world show --speaking``: what the decoder of the embedded world knows, and a few of its edits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from polypatch.cli.console import Bars
from polypatch.rendering.grid import Grid, labels

if TYPE_CHECKING:
    from pathlib import Path

    from polypatch.edits import Edit, Lang
    from polypatch.world.speaking import SpeakingSummary


class SpeakingShow:
    """A speaking world's figures, and what its model answers to its example edits.

    Args:
        seed: which world.
        edits: how many examples.
        cache_dir: where worlds are kept.
        bars: told of the training where the world is built.
    """

    def __init__(self, seed: int, edits: int, cache_dir: Path | None, bars: Bars) -> None:
        from polypatch.world.speaking import describe_speaking, load_speaking_world

        world = load_speaking_world(seed, cache_dir, lambda done, total, what: bars.opening(what, done, total))
        self.summary: SpeakingSummary = describe_speaking(world, edits)
        self.said: list[dict[Lang, str]] = [
            dict(zip(edit.languages, world.answer([str(edit.prompt[lang]) for lang in edit.languages]), strict=True))
            for edit in self.summary.examples
        ]

    def plain(self) -> dict[str, Any]:
        """Everything as plain data."""
        from polypatch.data.record import record_from_edit

        pairs = zip(self.summary.examples, self.said, strict=True)
        return {**asdict(self.summary), "examples": [{**record_from_edit(edit), "says": said} for edit, said in pairs]}

    def show(self, console: Console) -> None:
        """For people."""
        one = self.summary
        console.print(f"Speaking world of seed {one.seed}: {one.path}", soft_wrap=True)
        console.print(f"A decoder of {one.parameters:,} parameters, {one.vocabulary:,} word pieces.")
        facts = ", ".join(f"{count} {name}" for name, count in one.facts.items())
        console.print(f"Facts: {facts}. The wrong and the unknown ones are the edits.")
        console.print(_sets(one).to_console())
        console.print(_matches(one).to_console())
        for edit, said in zip(one.examples, self.said, strict=True):
            console.print(Text(edit.id, style="italic"))
            console.print(_example(edit, said).to_console())


def _sets(one: SpeakingSummary) -> Grid:
    """Rows of the sets, the languages beside each other; all but a locality set have as many in each."""
    languages = tuple(next(iter(one.matches.values())))
    rows = []
    for name, count in one.counts.items():
        if "." not in name:
            others = [str(one.counts.get(f"{name}.{lang}", count)) for lang in languages[1:]]
            label = f"locality {name}" if f"{name}.{languages[1]}" in one.counts else name
            rows.append((label, str(count), *others))
    return labels(("Texts", *languages), rows, numbers=len(languages))


def _matches(one: SpeakingSummary) -> Grid:
    languages = tuple(next(iter(one.matches.values())))
    rows = [
        (name, *("–" if share is None else f"{100 * share:.1f}" for share in row.values()))
        for name, row in one.matches.items()
    ]
    return labels(("Right before any edit, %", *languages), rows, numbers=len(languages))


def _example(edit: Edit, said: dict[Lang, str]) -> Grid:
    rows = []
    for lang in edit.languages:
        wrong = said[lang] != edit.target_in(lang)
        answer = Text(said[lang], style="red" if wrong else "")
        rows.append((lang, Text(str(edit.prompt[lang])), answer, Text(edit.target_in(lang))))
    return labels(("Language", "Prompt", "The model says", "It should say"), rows)
