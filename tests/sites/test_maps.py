"""Maps: the ridge is the formula's and chosen on held-out rows; mapped texts are refused where they mean nothing."""

import random
from dataclasses import replace

import pytest
import torch

from polypatch import Edit, attach, edit
from polypatch.data import EditingData
from polypatch.data.memory import MemoryTexts
from polypatch.edited_model import EditedModel
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.model.encoding import Encoding
from polypatch.recipes import RECIPES
from polypatch.runs import Run, Workbench
from polypatch.samplers import SourcePlusMapped
from polypatch.sites import UNCHANGED, FrozenTail, FullForward
from polypatch.sites.encoding.maps import LEAST, Maps
from polypatch.sites.site import FeedForwardSite
from polypatch.testing import tiny_edits, tiny_texts

CORPUS = {lang: tiny_texts(40, seed=i) for i, lang in enumerate(("en", "de", "zh"), start=80)}


def table(columns):
    """Texts -> rows of these matrices, as a tail would give them."""
    return lambda texts: torch.stack([columns[text] for text in texts])


def made(n, d, noise, seed=0):
    """A corpus whose second language is a linear function of the first, but for noise."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(n, d, generator=generator)
    turn = torch.eye(d) + 0.3 * torch.randn(d, d, generator=generator)
    other = source @ turn + 1.0 + noise * torch.randn(n, d, generator=generator)
    columns = {f"en{i}": source[i] for i in range(n)} | {f"de{i}": other[i] for i in range(n)}
    corpus = {lang: [f"{lang}{i}" for i in range(n)] for lang in ("en", "de")}
    return corpus, table(columns), source, other


def test_a_linear_relation_is_found():
    corpus, queries, source, other = made(400, 6, 0.0)
    found = Maps(corpus, queries)["de"]
    assert found.ridge == 1e-3
    assert found.residual < 1e-3 * found.distance
    torch.testing.assert_close(found(source), other, atol=0.05, rtol=0.05)


def test_where_there_is_nothing_to_learn_a_query_stays_where_it_is():
    # The other language is noise around the source: its best map is the identity, and not the mean.
    corpus, _, source, _ = made(25, 20, 0.0)
    other = source + 3.0 * torch.randn(25, 20, generator=torch.Generator().manual_seed(5))
    columns = {f"en{i}": source[i] for i in range(25)} | {f"de{i}": other[i] for i in range(25)}
    found = Maps(corpus, table(columns))["de"]
    assert found.ridge == 10.0
    apart = (found(source) - found.offset - source).norm() / source.norm()
    # An unregularised map of 25 noisy rows in 20 dimensions would be many times as far.
    assert apart < 0.4


def test_the_ridge_is_the_formulas():
    corpus, queries, source, other = made(60, 4, 0.5)
    found = Maps(corpus, queries)["de"]
    x, y = (rows.double() - rows.double().mean(0) for rows in (source, other))
    spread = x.T @ x / 60
    strength = found.ridge * spread.diagonal().mean() * torch.eye(4)
    wanted = torch.eye(4) + torch.linalg.inv(spread + strength) @ (x.T @ (y - x) / 60)
    torch.testing.assert_close(found.matrix.double(), wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found(source.mean(0, keepdim=True)), other.mean(0, keepdim=True), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "corpus", [{}, {"en": ["a"] * LEAST, "de": ["b"] * (LEAST - 1)}, {"en": ["a"] * 5, "de": ["b"] * 5}]
)
def test_text_that_is_not_parallel_or_too_short_is_refused(corpus):
    if not corpus:
        with pytest.raises((InputError, ValueError)):
            Maps(corpus, table({}))
        return
    with pytest.raises(InputError, match=r"as long in every language, 20 texts at least; it is en \d+, de \d+"):
        Maps(corpus, table({}))


@pytest.fixture
def tail(tiny):
    model, tokenizer = tiny("bert")
    return FrozenTail(FeedForwardSite(model), tokenizer)


def learned(tail):
    return Maps(CORPUS, lambda texts: tail.queries(tail.readout.rows(texts)).q)


def test_a_mapped_row_has_the_mapped_query_of_its_origin(tail):
    tail.maps = learned(tail)
    one, two = tail.readout.rows(["one", "two"])
    plain = tail.queries([one, two]).q
    q = tail.queries([one, replace(two, via="zh"), replace(one, via="de"), two]).q
    assert torch.equal(q[0], plain[0])
    assert torch.equal(q[3], plain[1])
    torch.testing.assert_close(q[1], tail.maps["zh"](plain[1]))
    torch.testing.assert_close(q[2], tail.maps["de"](plain[0]))
    # Nothing was written over in the cache.
    assert torch.equal(tail.queries([one, two]).q, plain)
    with pytest.raises(InputError, match=r"no parallel text in fr \(has: de, zh\)"):
        tail.queries([replace(one, via="fr")])


def test_where_a_mapped_row_means_nothing_it_is_refused(tail, tiny):
    mapped = [replace(row, via="de") for row in tail.readout.rows(["one"])]
    with pytest.raises(InputError, match="need parallel text"):
        tail.queries(mapped)
    tail.maps = learned(tail)
    with pytest.raises(InputError, match="no dropout views"):
        tail.rows(mapped, UNCHANGED, views=2, generator=torch.Generator())
    model, tokenizer = tiny("bert")
    with pytest.raises(UnsupportedModelError, match="mapped queries have no text"):
        FullForward(tail.site, tokenizer).queries(mapped)
    with pytest.raises(InputError, match="without exact=True"):
        attach(
            model,
            tokenizer=tokenizer,
            memory=MemoryTexts((), parallel=CORPUS),
            recipe="polypatch-linear-mapped",
            encoding=Encoding(exact=True),
        )
    with pytest.raises(InputError, match=r"MemoryTexts\(…, parallel=…\)"):
        attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe="polypatch-linear-mapped")


def test_the_sampler_maps_to_what_is_not_there():
    one = Edit("x", {"en": "A", "de": "B"}, {"en": "yes"})
    rng = random.Random(0)
    assert [e.lang for e in SourcePlusMapped(languages=("de", "zh"))(one, rng)] == ["en", "~de", "~zh"]
    both = SourcePlusMapped(languages=("de", "zh"), k=None)(one, rng)
    assert [tuple(e) for e in both] == [
        ("en", "A", "yes", ""),
        ("de", "B", "yes", ""),
        ("~zh", "A", "yes", "zh"),
    ]
    three = Edit("x", {"en": "A", "de": "B", "fr": "C"}, {"en": "yes"})
    for _ in range(20):
        source, true, *mapped = SourcePlusMapped(languages=("de", "fr", "zh"), k=1)(three, rng)
        assert (source.lang, true.lang in ("de", "fr")) == ("en", True)
        assert [e.lang for e in mapped] == [f"~{lang}" for lang in ("de", "fr", "zh") if lang != true.lang]
    with pytest.raises(ValueError, match="not -1"):
        SourcePlusMapped(k=-1)


def test_edits_without_any_translation_and_further_ones_after_loading(tiny, tmp_path):
    model, tokenizer = tiny("bert")
    edits = [one.only(()) for one in tiny_edits(8)]
    assert all(one.languages == ("en",) for one in edits)
    memory = tiny_texts(50, seed=2)
    edited = edit(
        model,
        edits[:5],
        tokenizer=tokenizer,
        recipe="polypatch-linear-mapped",
        memory=MemoryTexts(memory, parallel=CORPUS),
    )
    made = [outcome for outcome in edited.outcomes.values() if outcome.triggered and outcome.success]
    assert made
    assert all(set(outcome.languages) <= {"en", "~de", "~zh"} for outcome in made)
    assert edited.sampled_languages == ("en",)
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    whole = edit(
        model, edits, tokenizer=tokenizer, recipe="polypatch-linear-mapped", memory=MemoryTexts(memory, parallel=CORPUS)
    )
    wanted = {name: tensor.clone() for name, tensor in whole.delta.tensors().items()}
    whole.unload()
    given = {"model": model, "tokenizer": tokenizer}
    with pytest.raises(InputError, match=r"MemoryTexts\(…, parallel=…\)"):
        EditedModel.from_pretrained(tmp_path / "edits", memory=memory, **given)
    loaded = EditedModel.from_pretrained(tmp_path / "edits", memory=MemoryTexts(memory, parallel=CORPUS), **given)
    try:
        list(loaded.edit(edits[5:]))
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in loaded.delta.tensors().items())
    finally:
        loaded.unload()


def test_a_workbench_maps_by_as_much_parallel_text_as_a_run_asks_for(tiny):
    model, tokenizer = tiny("bert")
    data = EditingData(
        "x", tuple(tiny_edits(4)), {"en": tiny_texts(30)}, {"en": tiny_texts(5, seed=9)}, parallel=CORPUS
    )
    bench = Workbench(model, tokenizer, data)
    few, all_of_it = Run(recipe="polypatch-linear-mapped", parallel=25), Run(recipe="polypatch-linear-mapped")
    plain = Run(recipe="polypatch-linear")
    assert bench.parallel(plain) is None
    assert [len(bench.parallel(run)["de"]) for run in (few, all_of_it)] == [25, 40]
    assert len(bench.texts([few])) == len(bench.texts([plain])) + 75
    bench.encode([few, all_of_it])
    (report,) = bench.run(few)
    assert bench.tail.maps.corpus is bench.parallel(few)
    assert tuple(report.config["recipe"]["sampler"]["languages"]) == ("de", "zh")
    none = Workbench(model, tokenizer, EditingData("y", data.edits, data.memory, data.validation))
    with pytest.raises(
        InputError, match="y: polypatch-linear-mapped maps queries by parallel text, and the data have none"
    ):
        none.run(few)


def test_parallel_text_that_nothing_would_map_by_is_refused(tiny):
    model, tokenizer = tiny("bert")
    with pytest.raises(InputError, match=r"no use for parallel text; polypatch, .*polypatch-linear-both do"):
        attach(
            model,
            tokenizer=tokenizer,
            recipe="polypatch-linear",
            memory=MemoryTexts((), parallel={"en": tiny_texts(25), "de": tiny_texts(25, seed=2)}),
        )


def test_the_rows_that_map_are_the_only_ones_to_ask_for_parallel_text():
    asks = {name for name, row in RECIPES.items() if isinstance(row.sampler, SourcePlusMapped)}
    linear = {f"polypatch-linear-{name}" for name in ("mapped", "one-mapped", "both")}
    assert asks == {*linear, "polypatch-mapped"}
