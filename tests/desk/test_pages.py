"""Pages beyond what a browser shows: translations by what is on this machine, a language model's answers, forms."""

import pytest

from desk.conftest import client_of
from polypatch.desk.given import Rows, corrected, lines_in
from polypatch.desk.listen import Address, app_of
from polypatch.desk.local_translators import LocalTranslators
from polypatch.edits import Edit
from polypatch.errors import DataError, InputError
from polypatch.outcomes import Status
from polypatch.store.history import HistoryFilter
from polypatch.testing import tiny_texts
from xfever.tiny_marian import tiny_marian

ENGLISH, OTHER = tiny_texts(2, seed=21)


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    """Out of English into German alone."""
    folder = tmp_path_factory.mktemp("translators")
    tiny_marian(folder / "en-de", "de")
    return LocalTranslators(f"{folder}/{{source}}-{{lang}}")


def test_a_sentence_is_translated_where_it_can_be_and_marked_so(desk, translators):
    from fastapi.testclient import TestClient

    app = app_of(desk, Address(names=("testserver",)), pages=True, translations=translators)
    client = TestClient(app, follow_redirects=False)
    page = client.post("/ask", data={"lang": ["en"], "text": [ENGLISH]}).text
    assert "translated into de, too" in page
    form = {"lang": ["en"], "text": [ENGLISH], "second": [""], "label": ["class-1"]}
    page = client.post("/trial", data={**form, "translate": "yes"}).text
    (made,) = translators(ENGLISH, "en", ["de", "fr"]).values()
    assert made in page
    assert page.count(">translated<") == 1
    assert page.count(">given<") == 1
    assert ">translated<" not in client.post("/trial", data=form).text
    # Two sentences are there already, so nothing is left to translate.
    assert "translated into" not in client.post("/ask", data={"lang": ["en", "de"], "text": [ENGLISH, OTHER]}).text
    assert "translated into" not in client_of(desk).post("/ask", data={"lang": ["en"], "text": [ENGLISH]}).text


def test_a_translator_that_cannot_translate_says_so(desk, translators, monkeypatch):
    from fastapi.testclient import TestClient

    def broken(*_):
        raise DataError("model.safetensors: its weights cannot be read")

    monkeypatch.setattr("polypatch.data.marian.Marian.__call__", broken)
    app = app_of(desk, Address(names=("testserver",)), pages=True, translations=translators)
    form = {"lang": ["en"], "text": [OTHER], "second": [""], "label": ["class-1"], "translate": "yes"}
    refused = TestClient(app).post("/trial", data=form)
    assert refused.status_code == 422
    assert "its weights cannot be read" in refused.text


def test_a_failed_fix_is_shown_and_can_be_undone(desk, client, monkeypatch):
    from dataclasses import replace

    made = desk.session.correct

    def failing(edit):
        fix = made(edit)
        outcome = replace(fix.outcome, success=False, reason="still wrong in <en>")
        desk.edited.records[fix.id] = replace(desk.edited.records[fix.id], outcome=outcome)
        return replace(fix, outcome=outcome)

    monkeypatch.setattr(desk.session, "correct", failing)
    form = {"lang": ["en"], "text": [ENGLISH], "second": [""], "label": ["class-1"], "edit_id": "mine"}
    assert client.post("/keep", data=form).status_code == 303
    page = client.get("/tasks").text
    assert "still wrong in &lt;en&gt;" in page
    assert 'href="/edit?id=mine"' in page
    assert "failed" in client.get("/history?status=failed").text


def test_a_rendering_is_another_wording_in_its_language(desk, client, monkeypatch):
    first, second = tiny_texts(2, seed=33)
    edit = Edit("mine", {"en": ENGLISH, "de": first}, {"en": "class-1"}, renderings={"de": [second]})
    monkeypatch.setattr("polypatch.desk.pages.corrected", lambda *_, **__: edit)
    form = {"lang": ["en"], "text": [ENGLISH], "second": [""], "label": ["class-1"]}
    trial = client.post("/trial", data=form).text
    fix = desk.keep(edit)
    assert [(one["lang"], one["wording"]) for one in fix.to_plain()["texts"]] == [("en", 1), ("de", 1), ("de", 2)]
    for page in (trial, client.get("/edit?id=mine").text):
        assert '<span class="code">de (wording 2)</span></th>' in page
        assert f'<span dir="auto" lang="de">{second}</span>' in page
    assert "mapped" not in trial
    assert "en, de, de (wording 2)" in client.get("/edit?id=mine").text
    history = client.get("/history").text
    assert '<td data-is="Languages">en de</td>' in history
    assert "#2" not in trial + history


def test_the_history_is_searched_by_words_prompts_and_status(desk, client):
    one = Edit("first", {"en": "ba Be", "de": ("do", "Du")}, {"en": "class-1"})
    desk.keep(one)
    desk.keep(Edit("second", {"en": "bo"}, {"en": "class-0"}))
    desk.revert(["second"])
    lines = desk.history()
    for wanted, found in [
        (HistoryFilter(), ["first", "second"]),
        (HistoryFilter(words="DO d"), ["first"]),
        (HistoryFilter(words="class-0"), ["second"]),
        (HistoryFilter(words="SECOND"), ["second"]),
        (HistoryFilter(prompt_lang="de"), ["first"]),
        (HistoryFilter((Status.REVERTED,), prompt_lang="de"), []),
        (HistoryFilter(prompt_lang="en", limit=1), ["second"]),
    ]:
        assert [line.record.outcome.edit_id for line in wanted.choose(lines)] == found
    page = client.get("/history", params={"q": " DU ", "lang": "de", "status": "taken"}).text
    assert "1 of 2 edits" in page
    assert 'href="/edit?id=first"' in page
    assert "0 of 2 edits" in client.get("/history?lang=fr").text
    assert client.get("/history?status=nonsense").status_code == 422


def test_both_texts_of_a_pair_are_translated(translators):
    first, second = (translators(text, "en", ["de", "fr"]) for text in (ENGLISH, OTHER))
    assert translators((ENGLISH, OTHER), "en", ["de", "fr"]) == {"de": (first["de"], second["de"])}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (Rows(["en"], [""]), "no sentence"),
        (Rows([""], ["a"]), "language is missing"),
        (Rows(["xx"], ["a"]), "xx"),
        (Rows(["cn"], ["a"]), "zh"),
        (Rows(["en", "en"], ["a", "b"]), "two sentences"),
        (Rows(["en"], ["a"], [""], [" "]), "answer is missing"),
    ],
)
def test_what_a_form_lacks_is_said(rows, said):
    with pytest.raises(InputError, match=said):
        corrected(rows, "en", writes=False)


def test_what_a_form_says():
    rows = Rows(["de ", "", "en"], [" Satz ", "", "a sentence"], ["", "", "second"], ["class-1"])
    edit = corrected(rows, "en", writes=False, edit_id="mine")
    assert (edit.id, edit.source) == ("mine", "en")
    assert dict(edit.prompt) == {"en": ("a sentence", "second"), "de": "Satz"}
    assert edit.target_in("de") == "class-1"
    other = corrected(Rows(["de", "fr"], ["Satz", "phrase"], [], ["ja", "oui"]), "en", writes=True)
    assert (other.source, dict(other.target)) == ("de", {"de": "ja", "fr": "oui"})
    with pytest.raises(InputError, match="answer in fr is missing"):
        corrected(Rows(["de", "fr"], ["Satz", "phrase"], [], ["ja", ""]), "en", writes=True)


def test_lines_name_their_language_or_do_not():
    many = "one\nde: zwei\n\n  \nnote: three\nar:  أربعة\nfr:\nzz: five"
    assert lines_in(many, "en") == [
        ("en", "one"), ("de", "zwei"), ("en", "note: three"), ("ar", "أربعة"), ("en", "fr:"), ("en", "zz: five"),
    ]  # fmt: skip


def test_a_language_model_is_asked_for_the_right_answer_in_each_language(speaking_desk):
    client, edit = client_of(speaking_desk), speaking_desk.asked[0]
    langs, texts = ["en", "de"], [edit.prompt["en"], edit.prompt["de"]]
    page = client.post("/ask", data={"lang": langs, "text": texts}).text
    assert page.count('name="label"') == 2
    assert "Right answer in de" in page
    form = {"lang": langs, "text": texts, "second": ["", ""]}
    refused = client.post("/trial", data={**form, "label": [edit.target["en"], ""]})
    assert refused.status_code == 422
    assert "the right answer in de is missing" in refused.text
    labels = [edit.target["en"], edit.target["de"]]
    assert "This fix works" in client.post("/trial", data={**form, "label": labels}).text
    assert speaking_desk.inside == 0
    kept = client.post("/keep", data={**form, "label": labels, "source": "en", "edit_id": "mine"})
    assert kept.headers["location"].startswith("/?done=Fixed")
    assert speaking_desk.edited.predict(texts) == labels
    assert "At the token" in client.get("/why", params={"text": texts[1], "lang": "de"}).text
