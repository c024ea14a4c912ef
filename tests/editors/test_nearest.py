"""NearestPatch: what is corrected in English is right in other languages, and other answers stay."""

from dataclasses import replace

import pytest
import torch

import polypatch as pp
from polypatch.editors.nearest import _measure
from polypatch.errors import InputError, PolypatchWarning
from polypatch.experiments.table1 import LANGUAGES
from polypatch.runs import BenchSpec, Run
from polypatch.sites import UNCHANGED
from polypatch.testing import tiny_edits, tiny_model

D = 8


def test_translations_lie_close_together_and_a_coordinate_of_no_spread_does_no_harm():
    generator = torch.Generator().manual_seed(0)
    meaning, noise = torch.randn(400, D, generator=generator), torch.zeros(400, D)
    noise[:, 0] = 5 * torch.randn(400, generator=generator)  # what a translation changes
    here, there = meaning.clone(), meaning + noise
    for rows in (here, there):
        rows[:, -1] = 3.0
    scatter = (there - here).double().T @ (there - here).double() / 400

    def nearest(scatter):
        found = _measure([here, there], scatter, 0.03, 16.0)
        u, v = (
            torch.nn.functional.normalize((rows.double() - found["centre"]) @ found["map"], dim=1)
            for rows in (here, there)
        )
        assert bool(u.isfinite().all() & v.isfinite().all())
        return float(((v @ u.T).argmax(1) == torch.arange(400)).float().mean())

    assert nearest(scatter) > 0.99
    assert nearest(None) < 0.9


def test_without_a_memory_there_is_nothing_to_measure_by():
    model, tokenizer = tiny_model("bert", layers=1)
    with pytest.warns(PolypatchWarning, match="no memory"):
        edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch", memory=None)
    with pytest.raises(InputError, match="measures nearness by the memory"):
        edited.edit(tiny_edits(1))


@pytest.mark.slow
def test_english_edits_reach_other_languages_of_the_world(figure):
    bench = BenchSpec().open(None)
    run = Run(recipe="polypatch", languages=("en",), memory_languages=LANGUAGES, order=0, limit=60)
    gains = {}
    for name in ("polypatch", "polypatch-linear"):
        (report,) = bench.run(replace(run, recipe=name))
        gains[name] = report.clg_avg - report.original.clg_avg
        figure(f"points of CLG, {name}", gains[name])
        assert report.reliability == 100
        worst = min(one.agreement for one in report.locality.values())
        figure(f"worst agreement, {name}", worst)
        assert worst > 97
    assert gains["polypatch"] > gains["polypatch-linear"] + 2


@pytest.mark.slow
def test_no_text_of_the_memory_changes():
    bench = BenchSpec().open(None)
    run = Run(recipe="polypatch", languages=("en",), memory_languages=LANGUAGES, order=0, limit=60)
    run = replace(run, settings={"landmarks": 40, "share": 0.3})  # most are no landmark, and many are near enough
    edited = bench.attach(run)
    texts = list(dict.fromkeys([*edited.kept.train, *edited.kept.validation]))
    before = edited.predict(texts)
    for _ in edited.stream(bench.stream(run)):
        pass
    assert edited.predict(texts) == before
    others = [row.text for rows in bench.data.locality.values() for row in rows]
    now = edited.predict(others)
    edited.unload()
    changed = sum(a != b for a, b in zip(now, bench.tail.predict(others, UNCHANGED).answers, strict=True))
    assert changed > len(others) / 200  # which so large a share costs where a text is not in the memory
