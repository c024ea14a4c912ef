"""Made-up runs of any size, and a page taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from polypatch.evaluation import Locality, Report
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.metrics import clg, clg_avg, reliability
from polypatch.evaluation.page.run_page import RunFacts, run_page
from polypatch.evaluation.prompt_results import PromptResult
from polypatch.model.cost import Changed, Cost
from polypatch.outcomes import EditOutcome, TrajectoryPoint

LANGUAGES = ("en", "de", "fr", "zh", "ar", "th")
WORDS = {"en": "wake me up at nine", "zh": "九点叫醒我", "ar": "أيقظني في التاسعة", "th": "ปลุกฉันตอนเก้าโมง"}


class Made:
    """A run of `edits` edits in `languages`; every seventh did not take, and `text` is in every text."""

    def __init__(self, edits=14, languages=LANGUAGES, text="", trajectory=5, repeat=1):
        rng = np.random.default_rng(0)
        shape = (edits, len(languages))
        self.failed = np.arange(edits) % 7 == 3
        before = (rng.random(shape) < 0.3).astype(np.int8)
        after = np.where(self.failed[:, None], 0, 1).astype(np.int8) | before
        source = np.zeros(shape, dtype=bool)
        source[:, 0] = True
        ids = tuple(f"edit-{i}{text}" for i in range(edits))
        cells = Cells(ids, languages, frozenset(languages), before, after, source, source, np.ones(edits, dtype=bool))
        prompts = tuple(
            PromptResult(
                ids[i], lang, f"{WORDS.get(lang, WORDS['en']) * repeat} {i}{text}", f"alarm{text}",
                f"{'alarm' if before[i, j] else 'calendar'}{text}", f"{'alarm' if after[i, j] else 'calendar'}{text}",
                bool(before[i, j]), bool(after[i, j]), j == 0, j == 0,
            )
            for i in range(edits)
            for j, lang in enumerate(languages)
        )  # fmt: skip
        test = f"test{text}"
        self.report = Report(
            recipe="polypatch" + text,
            patches=edits,
            edits=edits,
            triggered=edits,
            locality={test: Locality(70.0, 99.0, 98.5), "test.th": Locality(71.0, 98.0, 61.25)},
            cost=Cost({"en": Changed(300, 3), "th": Changed(200, 5)}),
            seconds_per_edit=0.25,
            trajectory=tuple(TrajectoryPoint(i, i, 90.0 + i, {test: 99.0 - i}) for i in range(1, trajectory + 1)),
            config={"run": {"recipe": "polypatch", "seed": 7}, "note": f"as told{text}"},
            cells=cells,
            prompts=prompts,
            original=Report(
                recipe="original",
                edits=edits,
                locality=dict.fromkeys((test, "test.th"), Locality(72.0, 100.0, 100.0)),
                **self.scores(cells, before),
            ),
            **self.scores(cells, after),
        )
        why = f"not right after 30 steps{text}"
        self.outcomes = tuple(
            EditOutcome(name, True, not failed, not failed, ("en",), reason=why * failed)
            for name, failed in zip(ids, self.failed.tolist(), strict=True)
        )
        self.facts = {"polypatch": "0.1", f"model{text}": f"my-model{text}", "seed": "7"}

    @staticmethod
    def scores(cells, correct):
        found = clg(correct, cells.source, cells.languages)
        return {"reliability": reliability(correct, cells.source), "clg": found, "clg_avg": clg_avg(found)}

    def page(self):
        command = f"polypatch edit {self.report.recipe}"
        return run_page([self.report], RunFacts(command, self.facts, self.outcomes, "answers.jsonl"))

    def bytes(self):
        return self.page().to_bytes()


def kinds(made):
    """The numbers of the edits: right in the source and wrong elsewhere; others that failed; the rest."""
    after, failed = made.report.cells.after == 1, made.failed
    home = after[:, 0] & ~after.all(1)
    return [np.flatnonzero(one).tolist() for one in (home, ~home & failed, ~home & ~failed)]


VOID = {"meta", "br", "link", "img", "input", "hr"}


class Taken(HTMLParser):
    """A page as elements, each with its attributes; its tables as rows of texts; its pictures; and all its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts, self.tables, self.pictures = [], [], [], [], []
        self.feed(page.decode())
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), "svg" in self.open))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "svg":
            self.pictures.append({**dict(attributes), "title": "", "desc": ""})

    def handle_startendtag(self, tag, attributes):
        raise AssertionError(f"<{tag}/> is no HTML")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)
        if "svg" in self.open:
            if self.open[-1] in ("title", "desc"):
                self.pictures[-1][self.open[-1]] += data
        elif any(tag in ("td", "th") for tag in self.open):
            self.tables[-1][-1][-1] += data

    @property
    def shape(self):
        """The elements outside of pictures, with the names of their attributes."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes, drawn in self.elements if not drawn]

    @property
    def text(self):
        return "".join(self.texts)
