"""Pairs of texts on the pages: typed, pasted, sent as a file, corrected, undone; without a script."""

import re

import pytest

from desk.conftest import client_of
from polypatch.testing import tiny_texts

PAIRS = [("a premise", "a claim"), ("ein Satz", "eine Behauptung")]


def hidden(page, names):
    """What the forms below say again, by name."""
    return {name: re.findall(rf'type="hidden" name="{name}" value="([^"]*)"', page) for name in names}


def shown(page):
    """The pairs in the table of answers."""
    between = ' <span aria-hidden="true">/</span> '
    return [one.replace(between, "|") for one in re.findall(r'<span dir="auto" lang="\w+">(.*)</span></td>', page)]


def fields(page):
    """The names of the fields of the form on top."""
    return re.findall(r'name="(\w+)"', page.partition("</form>")[0])


@pytest.mark.parametrize(
    ("memory", "reads", "asks"),
    [([(text, text) for text in tiny_texts(40)], True, False), (tiny_texts(40), False, False), (None, False, True)],
    ids=["pairs", "texts", "nothing"],
)
@pytest.mark.filterwarnings("ignore:no memory")
def test_a_second_field_is_there_for_pairs_alone_and_can_be_had_where_nothing_is_known(opened, memory, reads, asks):
    client = client_of(opened(memory=memory))
    page = client.get("/").text
    assert ("second" in fields(page)) is reads
    assert ('href="/?texts=two"' in page) is asks
    assert ("second" in fields(client.get("/?texts=two").text)) is (reads or asks)


@pytest.mark.filterwarnings("ignore:no memory")
def test_a_pair_is_asked_corrected_and_undone_by_forms_alone(opened):
    """In two languages, from a model of which nobody has said what it reads."""
    desk = opened(memory=None, recipe="polypatch-linear")
    client = client_of(desk)
    form = {"lang": ["en", "de"], "text": [one for one, _ in PAIRS], "second": [other for _, other in PAIRS]}
    page = client.post("/ask", data=form).text
    assert fields(page).count("second") == 2
    assert [value in page for value in (PAIRS[1][0], PAIRS[1][1])] == [True, True]
    was = [one.label for one in desk.answers(PAIRS).answers]
    assert re.findall(r'<strong dir="auto">([^<]+)<', page) == was
    label = next(name for name in desk.edited.labels.values() if name not in was)
    assert hidden(page, form) == form
    trial = client.post("/trial", data={**form, "label": label})
    assert "This fix works" in trial.text
    assert 'href="/?texts=two">Do not keep it' in trial.text
    assert client.post("/keep", data=hidden(trial.text, (*form, "label"))).status_code == 303
    assert desk.edited.predict(PAIRS) == [label, label]
    (record,) = desk.edited.records.values()
    assert dict(record.edit.prompt) == dict(zip(("en", "de"), PAIRS, strict=True))
    assert "second" in fields(client.get("/").text)  # now it is known
    assert client.post("/undo", data={"id": record.edit.id}).status_code == 303
    assert desk.edited.predict(PAIRS) == was


def test_pairs_are_pasted_and_sent_as_documented(opened):
    desk = opened(memory=[(text, text) for text in tiny_texts(40)])
    client, blank = client_of(desk), {"lang": ["en"], "text": [""], "second": [""]}
    page = client.post("/ask", data={**blank, "many": "ba be || bo\nde: da\tdu\n"}).text
    assert shown(page) == ["ba be|bo", "da|du"]
    for name, lines in (
        ("a.txt", "ba || be\nbo\tbu\n"),
        ("a.jsonl", '{"lang": "en", "text": ["ba", "be"]}\n{"lang": "de", "text": "bo || bu"}\n'),
        ("a.csv", "lang,text\nen,ba || be\nde,bo||bu\n"),
    ):
        page = client.post("/ask", data=blank, files={"file": (name, lines)}).text
        assert shown(page) == ["ba|be", "bo|bu"], name
    for wrong in ("ba be", "ba ||", "a || b || c"):
        refused = client.post("/ask", data={**blank, "many": wrong})
        assert (refused.status_code, "give two texts" in refused.text) == (422, True), wrong
    for half in ({"text": ["ba"]}, {"second": ["be"]}):
        refused = client.post("/ask", data={**blank, **half})
        assert (refused.status_code, "other text of the pair is missing" in refused.text) == (422, True)


def test_what_reads_no_pairs_reads_all_of_a_line(client):
    page = client.post("/ask", data={"lang": ["en"], "text": [""], "many": "ba || be"}).text
    assert '<span dir="auto" lang="en">ba || be</span>' in page
