"""Pairs of texts in a real browser: a row for each language, two fields in it, also on a telephone."""

import pytest
from playwright.sync_api import expect

import polypatch as pp
from desk.test_browser import PATIENCE, answers, browser, listening, pytestmark  # noqa: F401
from polypatch.testing import tiny_texts

PAIRS = [("ba be bi", "do du da"), ("bo bu ba", "da di do")]


@pytest.fixture
def pairs(tiny, tmp_path):
    """A desk on a model whose memory is pairs."""
    model, tokenizer = tiny("bert")
    memory = {"en": list(zip(tiny_texts(40), tiny_texts(40, seed=1), strict=True))}
    with listening(pp.attach(model, tokenizer=tokenizer, memory=memory), tmp_path / "edits") as where:
        yield where


def test_pairs_are_typed_in_a_row_for_each_language(browser, pairs):  # noqa: F811
    page = browser.new_context(base_url=pairs[0]).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto("/")
    page.get_by_role("button", name="Another language").click()
    page.locator("[name=lang]").last.fill("ar")
    for i, (text, second) in enumerate(PAIRS):
        page.locator("[name=text]").nth(i).fill(text)
        page.locator("[name=second]").nth(i).fill(second)
    assert page.locator("[name=second]").last.get_attribute("lang") == "ar"
    page.keyboard.press("Enter")
    expect(page.locator("#answers")).to_be_visible()
    label = next(name for name in pairs[1].edited.labels.values() if name not in answers(page))
    page.get_by_label("The right answer").fill(label)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is kept yet.")).to_be_visible()
    page.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Fixed")
    assert pairs[1].edited.predict(PAIRS) == [label, label]
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()
