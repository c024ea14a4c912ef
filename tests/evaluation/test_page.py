"""The page of a run: small, the same each time, whole without a network, read out, and deaf to what its data say."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from markupsafe import Markup

from polypatch.evaluation.in_words import in_words, made_in_words
from polypatch.evaluation.page.document import (
    CodeShown,
    Facts,
    Page,
    Paragraphs,
    Picture,
    Section,
    TableShown,
)
from polypatch.evaluation.page.meanings import meaning
from polypatch.evaluation.page.pictures import locality_picture, trajectory_pictures
from polypatch.evaluation.page.run_page import RunFacts, run_page
from polypatch.evaluation.tables import results_grid
from polypatch.outcomes import TrajectoryPoint
from polypatch.rendering.grid import labels
from polypatch.rendering.harmless import harmless

from .pages import LANGUAGES, Made, Taken, kinds

HOSTILE = "$\\foo$ \u202e\ufffe</td><script>alert(1)</script><img src=x onerror=\"alert('2')\">'\"&amp;{{ 7*7 }}"
HOSTILE += "\u2067\x00\x1b[31m\ud800"
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def made():
    return Made()


@pytest.fixture(scope="module")
def taken(made):
    return Taken(made.bytes())


# --- the same each time, whole without a network


def test_the_same_run_is_the_same_page_byte_for_byte(made):
    assert made.bytes() == made.bytes() == Made().bytes()


def test_nothing_leaves_the_page(made, taken):
    text = made.bytes().decode()
    assert not re.search(r"https?:|//|@import|\bdata:|url\((?!#)", text)
    tags = {tag for tag, *_ in taken.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "image", "base", "video", "audio"}
    policies = [one for _, one, _ in taken.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert [one["content"] for one in policies] == [
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    order = [tag for tag, one, _ in taken.elements if tag == "style" or one.get("http-equiv")]
    assert order == ["meta", "style"], "the policy comes first, and there is one style sheet"


def test_what_is_referred_to_is_there_once(made, taken):
    ids = [one["id"] for _, one, _ in taken.elements if "id" in one]
    assert len(ids) == len(set(ids)) > 10
    values = [value for _, one, _ in taken.elements for name, value in one.items() if name in ("href", "clip-path")]
    assert values
    for value in values:
        assert re.fullmatch(r"#[\w-]+|url\(#[\w-]+\)", value), value
    referred = {re.search(r"#([\w-]+)", value)[1] for value in values}
    referred |= {name for _, one, _ in taken.elements for name in one.get("aria-labelledby", "").split()}
    assert referred <= set(ids)


# --- for everybody


def test_headings_are_in_order_and_sections_in_theirs(taken):
    levels = [int(tag[1]) for tag, *_ in taken.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    titles = ["Before and after", "Measures", "CLG against locality", "Along the stream", "What failed, and why"]
    titles += ["What changed elsewhere", "How it was made"]
    places = [taken.text.rindex(f"\n{title}\n") for title in titles if f"\n{title}\n" in taken.text] or [
        taken.text.rindex(title) for title in titles
    ]
    assert places == sorted(places)


def test_every_picture_has_a_title_and_its_figures_in_words(taken, made):
    assert len(taken.pictures) == 4  # CLG against locality; reliability, locality, patches
    for picture in taken.pictures:
        assert picture["role"] == "img"
        assert picture["title"]
        assert re.search(r"\d", picture["desc"])
    said = taken.pictures[0]["desc"]
    assert f"polypatch: {made.report.clg_avg:.1f} % of the translations right, 61.2 % of the answers as before" in said
    assert "on its worst set, test.th" in said
    assert f"original: {made.report.original.clg_avg:.1f} %" in said
    assert "91 after 1 edit, 95 after 5 edits" in taken.pictures[1]["desc"]
    assert "98 after 1 edit, 94 after 5 edits" in taken.pictures[2]["desc"]


def test_a_collapse_half_way_is_in_words():
    points = tuple(TrajectoryPoint(i, i, value) for i, value in ((1, 90.0), (2, 12.5), (3, 80.0)))
    reliability, patches = trajectory_pictures([replace(Made().report, trajectory=points)])
    assert "lowest 12.5 after 2" in reliability.said
    assert "lowest" not in patches.said


def test_what_gave_up_much_is_drawn_all_the_same():
    (picture,) = locality_picture([Made().report])
    assert "not drawn" not in picture.svg
    assert "polypatch" in picture.svg
    assert locality_picture([replace(Made().report, locality={})]) == []
    assert trajectory_pictures([replace(Made().report, trajectory=())]) == []


def test_tables_have_captions_and_their_headers_a_scope(taken):
    tags = [tag for tag, *_ in taken.elements]
    assert tags.count("caption") == tags.count("table") > 4
    assert all(after == "caption" for tag, after in pairwise(tags) if tag == "table")
    assert {one.get("scope") for tag, one, _ in taken.elements if tag == "th"} == {"col", "row", "rowgroup"}


def test_sentences_are_in_their_language_and_their_direction(taken):
    cells = [one for tag, one, _ in taken.elements if tag == "td" and "lang" in one]
    assert {one["lang"] for one in cells} == set(LANGUAGES)
    assert all(one["dir"] == "auto" for one in cells)
    labels = [one for tag, one, drawn in taken.elements if tag == "span" and not drawn]
    assert labels
    assert all(one == {"dir": "auto"} for one in labels), "a label is in no language"
    written = Taken(
        run_page([replace(Made().report, sources=("en",))], RunFacts("", {}, (), "answers.jsonl")).to_bytes()
    )
    answers = [one for tag, one, drawn in written.elements if tag == "span" and "lang" in one]
    assert {one["lang"] for one in answers} == set(LANGUAGES)


def contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_are_told_apart_in_the_light_and_in_the_dark(made):
    assert round(contrast("#000000", "#ffffff")) == 21
    styles = re.findall(r":root \{([^}]*)\}", made.bytes().decode())
    assert len(styles) == 2
    for style in styles:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", style))
        for ink in ("ink", "quiet", "right", "wrong", "link"):
            assert contrast(colours[ink], colours["paper"]) >= 4.5, ink
            assert contrast(colours[ink], colours["shade"]) >= 4.5, ink
    drawn = set(re.findall(r"(?:fill|stroke): (#\w+)", made.bytes().decode()))
    for colour in drawn:
        assert contrast(colour, "#ffffff") >= 3, "light"
        assert contrast(colour, "#0d1117") >= 3, "dark"


# --- what its data say


def test_hostile_data_are_shown_and_not_obeyed(made, taken):
    hostile = Made(text=HOSTILE)
    page = hostile.bytes()
    found = Taken(page)
    assert found.shape == taken.shape, "no element and no attribute came from the data"
    assert {(tag, *one) for tag, one, drawn in found.elements if drawn} <= {
        (tag, *one) for tag, one, drawn in taken.elements if drawn
    } | {("rect", *()), ("path", "d", "style")}
    text = page.decode()
    assert not COMMANDS.search(text)
    assert "<script" not in text
    assert "49" not in found.tables[1][1][0]
    assert harmless(f"edit-0{HOSTILE}") in found.text
    assert harmless(f"not right after 30 steps{HOSTILE}") in found.text
    assert harmless(f"my-model{HOSTILE}") in found.text


@pytest.mark.parametrize("place", ["title", "lead", "heading", "words", "table", "facts", "code", "summary", "picture"])
def test_whatever_a_page_is_made_of_is_shown_and_not_obeyed(place):
    def at(name):
        return HOSTILE if name == place else "nothing"

    def page(at):
        table = TableShown(at("table"), labels((at("table"), "b"), [(at("table"), at("table"))]), {"b": at("table")})
        blocks = [
            Paragraphs([at("words")]),
            table,
            Facts({at("facts"): at("facts")}),
            CodeShown(at("code"), at("summary")),
        ]
        blocks += [Picture(Markup("<svg></svg>"), at("picture"), at("picture"), wide=True)]
        return Page(at("title"), [at("lead")], [Section(at("heading"), blocks)]).to_bytes()

    found, plain = Taken(page(at)), Taken(page(lambda _: "nothing"))
    assert found.shape == plain.shape
    assert not COMMANDS.search(found.text)
    assert harmless(HOSTILE) in found.text


def test_a_hostile_language_is_an_attribute_and_no_more(made, taken):
    """Languages are checked where they come in; a page does not rely on it."""
    evil = 'x" onclick="alert(1)'
    prompts = tuple(one._replace(lang=evil) for one in made.report.prompts)
    page = run_page([replace(made.report, prompts=prompts)], RunFacts("", {}, made.outcomes, "answers.jsonl"))
    found = Taken(page.to_bytes())
    assert not [one for _, one, _ in found.elements if "onclick" in one]
    assert evil in {one.get("lang") for _, one, _ in found.elements}


def test_pairs_of_sentences_stand_below_each_other(made):
    prompts = tuple(one._replace(prompt=("a premise", "a claim")) for one in made.report.prompts)
    page = run_page([replace(made.report, prompts=prompts)], RunFacts("", {}, (), "answers.jsonl")).to_html()
    assert "a premise\na claim</td>" in page


# --- what it says is what there is


def test_it_begins_with_what_happened_in_the_words_of_the_command_line(made, taken):
    lead = [f"{made_in_words(made.outcomes)}.", *in_words([made.report]).splitlines()]
    assert "\n".join(lead) in re.sub(r"\n+", "\n", taken.text)
    assert made_in_words(made.outcomes) == "14 edits made, 12 took, 2 did not"


def test_the_figures_are_those_of_the_report(made, taken):
    row = made.report.to_row()
    (measures,) = [table for table in taken.tables if table[0][0] == "Recipe"]
    found = {name.strip().split(" the")[0].split("\n")[0]: cells for name, *cells in measures[1:]}
    at = {
        name: next(cells for known, cells in found.items() if known.startswith(name)) for name in ("Reliab", "CLG Avg")
    }
    assert at["Reliab"] == [f"{row['original']['reliability']:.1f}", f"{row['reliability']:.1f}"]
    assert at["CLG Avg"] == [f"{row['original']['clg_avg']:.1f}", f"{row['clg_avg']:.1f}"]
    grid = results_grid([made.report]).transposed()
    assert [cells for _, *cells in measures[1:]] == [list(map(str, cells)) for _, *cells in grid.rows]
    for (shown, *_), (title, *_) in zip(measures[1:], grid.rows, strict=True):
        assert shown == f"{title} {meaning(title)}".strip()
        assert meaning(title)
    (elsewhere,) = [table for table in taken.tables if table[0][-1] == "Per cent"]
    assert elsewhere[1:] == [["en", "300", "3", "1.0"], ["th", "200", "5", "2.5"]]
    (failed,) = [table for table in taken.tables if table[0][-1] == "Why"]
    assert [name for name, *_ in failed[1:]] == [one.edit_id for one in made.outcomes if not one.success]
    assert json.loads(re.search(r'\{\n  "run".*?\n\}', taken.text, re.S)[0]) == row["config"]


def test_every_sentence_stands_with_its_answers(made, taken):
    (prompts,) = [table for table in taken.tables if table[0][:2] == ["Language", "Sentence"]]
    rows = [row for row in prompts[1:] if len(row) == 5]
    assert len(rows) == len(made.report.prompts) == 14 * 6
    inside = [one for kind in kinds(made) for i in kind for one in made.report.prompts[6 * i : 6 * i + 6]]
    for (lang, sentence, wanted, before, after), one in zip(rows, inside, strict=True):
        assert lang.split()[0] == one.lang
        assert (sentence, wanted) == (one.prompt, one.wanted)
        assert before == f"{one.before} {'right' if one.right_before else 'wrong'}"
        assert after == f"{one.after} {'right' if one.right_after else 'wrong'}"
    (languages,) = [table for table in taken.tables if table[0][1:3] == ["Sentences", "Right before"]]
    cells = made.report.cells
    for column, (lang, *counts) in enumerate(languages[1:]):
        was, now = cells.before[:, column] == 1, cells.after[:, column] == 1
        wanted = [len(was), was.sum(), now.sum(), (~was & now).sum(), (~was & ~now).sum(), (was & ~now).sum()]
        assert (lang, list(map(int, counts))) == (cells.languages[column], list(map(int, wanted)))


def test_folds_are_one_page(made):
    other = Made(5)
    both = run_page([made.report, other.report], RunFacts("", {}, made.outcomes, "answers-*.jsonl"))
    found = Taken(both.to_bytes())
    assert "19 edits by polypatch" in found.text
    assert "polypatch (n = 2)" in found.text or "(n = 2)" in found.text
    assert "the first of 2 folds" in found.text
    assert "All 19 edits, before and after" in found.text


def test_a_run_without_anything_has_a_page():
    found = Taken(run_page([Made(0, trajectory=0).report], RunFacts("polypatch", {}, (), "answers.jsonl")).to_bytes())
    assert "Every edit that was needed took." in found.text
    assert "How it was made" in found.text
