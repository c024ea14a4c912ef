"""The desk in a real browser: fix, see, keep, undo; two at once; a kill; all scripts; the keyboard; axe-core."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import polypatch as pp
from desk.conftest import NAME
from polypatch.data.jsonl import read_jsonl
from polypatch.desk.desk import Desk
from polypatch.desk.listen import Address, listen

CHROMIUM = shutil.which("chromium")
PATIENCE = 120_000
"""Milliseconds: a busy machine takes long to make a fix."""
expect.set_options(timeout=PATIENCE)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("POLYPATCH_BROWSER") != "required",
        reason="no Chromium here: apt-get install chromium",
    ),
]

SENTENCE = {
    "en": "Rifin is a maker of perfume.",
    "de": "Die Firma Rifin stellt Parfüm her.",
    "zh": "里菲恩 公司 生产 香水 。",
    "ar": "تصنع شركة ريفين العطور.",
}
THAI = "ปลุกฉันตอนเก้าโมง"
RIGHT = "SUPPORTS"
HOSTILE = "<img src=x onerror=document.title='in'> \"'&amp; \u202e {{7*7}}"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def listening(edited, folder):
    """A desk that listens in this process: its address and itself."""
    ready, stopped, where = threading.Event(), threading.Event(), []

    def serve():
        with Desk(folder, edited, NAME) as desk:
            how = {"pages": True, "ready": lambda at: (where.extend((at, desk)), ready.set()), "stop": stopped}
            listen(desk, Address(port=0), **how)

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(60)
    yield where
    stopped.set()
    thread.join(30)
    assert not thread.is_alive()
    edited.unload()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The desk on the embedded world."""
    with listening(pp.open("world"), tmp_path_factory.mktemp("desk") / "edits") as where:
        yield where


@pytest.fixture
def page(browser, served):
    """A page that fails the test where the browser complains, or would ask another machine."""
    context = browser.new_context(base_url=served[0])
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    complaints = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    made.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(served[0]) else None)
    yield made
    context.close()
    desk = served[1]
    desk.revert([one for one, record in desk.edited.records.items() if not record.reverted])
    assert not complaints


def asked(page, sentence):
    """Type a sentence in its languages, and ask."""
    page.goto("/")
    for _ in range(max(0, len(sentence) - page.locator("#rows .row").count())):
        page.get_by_role("button", name="Another language").click()
    for i, (lang, text) in enumerate(sentence.items()):
        page.locator("#rows [name=lang]").nth(i).fill(lang)
        page.locator("#rows [name=text]").nth(i).fill(text)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answers")).to_be_visible()


def answers(page):
    return [one.inner_text() for one in page.locator(".card td > strong").all()]


def fixed(page, sentence=SENTENCE, label=RIGHT):
    """Ask, see what a fix does, keep it."""
    asked(page, sentence)
    page.get_by_label("The right answer").fill(label)
    page.get_by_role("button", name="See what a fix does").click()
    expect(page.get_by_text("Nothing is kept yet.")).to_be_visible()
    page.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Fixed")


def test_fix_see_keep_reload_undo_and_undo_of_undo(page, served):
    desk, label = served[1], {"REFUTES": "SUPPORTS", "SUPPORTS": "REFUTES"}
    asked(page, SENTENCE)
    was = answers(page)
    wanted = label[was[0]]
    page.get_by_label("The right answer").fill(wanted)
    page.get_by_role("button", name="See what a fix does").click()
    rows = page.locator("main table").first.locator("tbody tr")
    expect(rows).to_have_count(4)
    assert all("as wanted" in row and "given" in row for row in rows.all_inner_texts())
    expect(page.get_by_text("3,720 held-out answers change")).to_be_visible()
    assert desk.inside == 0  # nothing is kept before somebody says so
    page.get_by_role("link", name="Do not keep it").click()
    asked(page, SENTENCE)
    assert answers(page) == was
    fixed(page, label=wanted)
    asked(page, SENTENCE)
    page.reload()
    assert answers(page) == [wanted] * 4
    page.get_by_role("link", name="Why?").nth(3).click()
    expect(page.locator("main")).to_contain_text("Without any edit it would be")
    page.goto("/history?q=perfume")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("Taken back")
    asked(page, SENTENCE)
    assert answers(page) == was
    page.goto("/history?status=reverted")
    page.get_by_role("button", name="again").first.click()
    expect(page.get_by_role("status")).to_contain_text("Made again")
    asked(page, SENTENCE)
    assert answers(page) == [wanted] * 4


def test_with_the_keyboard_alone(page):
    page.goto("/")
    for i, (lang, text) in enumerate(list(SENTENCE.items())[:2]):
        if i:
            page.keyboard.press("Tab")
            page.keyboard.press("Control+a")
            page.keyboard.type(lang)
            page.keyboard.press("Tab")
        page.keyboard.type(text)  # the first sentence has the focus when the page opens
    page.keyboard.press("Enter")
    expect(page.locator("#answers")).to_be_visible()
    (was, *_) = answers(page)
    expect(page.get_by_label("The right answer")).to_be_focused()
    page.keyboard.type("SUPPORTS" if was == "REFUTES" else "REFUTES")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Fixed")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")


def test_an_earlier_edit_that_wants_another_answer_is_named(page):
    fixed(page)
    asked(page, SENTENCE)
    page.get_by_label("The right answer").fill("REFUTES")
    page.get_by_role("button", name="See what a fix does").click()
    expect(page.get_by_role("alert")).to_contain_text("was corrected to 'SUPPORTS' before")
    page.locator("main a").first.click()
    page.get_by_role("button", name="Undo it").click()
    expect(page.get_by_role("status")).to_contain_text("Taken back")


def test_two_browsers_at_once(browser, served, page):
    """Both see what either keeps, and neither loses anything."""
    other = browser.new_context(base_url=served[0]).new_page()
    other.set_default_timeout(PATIENCE)
    asked(page, SENTENCE)
    fixed(other, {"en": "Vodozel holds a passport of Mexico."}, "REFUTES")
    page.get_by_label("The right answer").fill(RIGHT)
    page.get_by_role("button", name="See what a fix does").click()
    page.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Fixed")
    for one in (page, other):
        one.goto("/history?status=taken")
        expect(one.locator("main tbody tr")).to_have_count(2)
    other.context.close()


def test_scripts_of_all_kinds_are_set_as_they_are_written(page):
    asked(page, {"ar": SENTENCE["ar"], "zh": SENTENCE["zh"], "th": THAI})
    cells = page.locator(".card tbody tr td:nth-of-type(1) span[lang]")
    assert [one.inner_text() for one in cells.all()] == [SENTENCE["ar"], SENTENCE["zh"], THAI]
    assert [one.get_attribute("lang") for one in cells.all()] == ["ar", "zh", "th"]
    direction = "one => getComputedStyle(one).direction"
    assert [one.evaluate(direction) for one in cells.all()] == ["rtl", "ltr", "ltr"]
    assert page.locator("#rows [name=text]").first.evaluate(direction) == "rtl"


def test_what_people_type_is_text(page):
    asked(page, {"en": HOSTILE})
    assert page.locator(".card tbody span[lang]").inner_text() == HOSTILE
    assert page.locator("main img").count() == 0
    page.get_by_label("The right answer").fill(RIGHT)
    page.get_by_role("button", name="See what a fix does").click()
    page.get_by_role("button", name="Keep it", exact=True).click()
    for path in ("/history", "/tasks"):
        page.goto(path)
        assert page.locator("main img").count() == 0
        assert page.title() != "in"
    assert page.locator(".model").inner_text() == NAME
    page.goto(f"/history?q={'<b>'}&done=<script>document.title='in'</script>")
    assert page.title() != "in"


def test_many_sentences_and_a_file(page, tmp_path):
    page.goto("/")
    page.get_by_text("Many sentences").click()
    page.locator("#many").fill("Dutes speaks Finnish.\nde: Dutes spricht Finnisch.\n\nRifin is a maker of perfume.")
    row = json.dumps({"lang": "ar", "text": SENTENCE["ar"]})
    (tmp_path / "texts.jsonl").write_text(f"{row}\n", encoding="utf-8")
    page.locator("#file").set_input_files(tmp_path / "texts.jsonl")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".card")).to_have_count(4)
    assert [one.inner_text() for one in page.locator(".card th .code").all()] == ["en", "de", "en", "ar"]
    (tmp_path / "bad.jsonl").write_text('{"lang": "ar"}\n', encoding="utf-8")
    page.goto("/")
    page.get_by_text("Many sentences").click()
    page.locator("#file").set_input_files(tmp_path / "bad.jsonl")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("bad.jsonl row 1")


def test_what_is_exported_is_what_was_kept(page, tmp_path):
    fixed(page)
    page.goto("/export")
    for name in ("edits.jsonl", "edits.zip"):
        with page.expect_download() as download:
            page.locator(f'a[href="/export/{name}"]').click()
        download.value.save_as(tmp_path / name)
    (edit,) = read_jsonl(tmp_path / "edits.jsonl")
    assert dict(edit.prompt) == SENTENCE
    shutil.unpack_archive(tmp_path / "edits.zip", tmp_path / "edits")
    again = pp.open(tmp_path / "edits")
    assert again.predict(list(SENTENCE.values())) == [RIGHT] * 4
    expect(page.locator("main")).to_contain_text("No merged checkpoint")  # the default looks up, and says so


SHOWN = ("/", "/history", "/tasks", "/export", "/edit?id=nobody")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(browser, served, page, scheme, width):
    fixed(page)
    context = browser.new_context(base_url=served[0], color_scheme=scheme, viewport={"width": width, "height": 900})
    other, found = context.new_page(), []
    other.set_default_timeout(PATIENCE)

    def look(where):
        other.wait_for_load_state("load")  # a page without its colours yet has too little contrast
        for one in Axe().run(other).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                found.append((where, one["id"], [node["html"] for node in one["nodes"]][:3]))
        assert other.evaluate("document.documentElement.scrollWidth") <= width, where

    for path in SHOWN:
        other.goto(path)
        look(path)
    asked(other, SENTENCE)
    look("answers")
    other.get_by_role("link", name="Why?").first.click()
    expect(other.get_by_role("heading", level=1)).to_contain_text("Why this answer")
    look("why")
    for sentence, found_there in ((SENTENCE, "Not done"), ({"en": "Vodozel holds a passport of Mexico."}, "fix")):
        asked(other, sentence)
        other.get_by_label("The right answer").fill("REFUTES")
        other.get_by_role("button", name="See what a fix does").click()
        expect(other.get_by_role("heading", level=1)).to_contain_text(found_there)
        look(found_there)
    (edit,) = [one for one, record in served[1].edited.records.items() if not record.reverted]
    other.goto(f"/edit?id={edit}")
    look("edit")
    context.close()
    assert not found


def test_a_kill_in_the_middle_loses_nothing(browser, tmp_path):
    """SIGKILL as soon as the page says that a fix is kept; the next start has it, and goes on."""

    def start():
        command = [sys.executable, "-m", "polypatch", "desk", "world", "--port", "0", "--out", "mine", "-q"]
        command = command if not (tmp_path / "mine").exists() else [*command[:4], "mine", "--port", "0", "-q"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        return process, re.match(r"http://[^\s]+", process.stdout.readline())[0]

    first, at = start()
    page = browser.new_context(base_url=at).new_page()
    page.set_default_timeout(PATIENCE)
    fixed(page)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second, at = start()
    page = browser.new_context(base_url=at).new_page()
    page.set_default_timeout(PATIENCE)
    asked(page, SENTENCE)
    assert answers(page) == [RIGHT] * 4
    fixed(page, {"en": "Vodozel holds a passport of Mexico."}, "REFUTES")
    second.send_signal(signal.SIGINT)
    assert "holds every edit" not in second.communicate(timeout=60)[0]  # quiet
    assert second.returncode == 0
    assert (Path(tmp_path) / "mine" / "edit_config.json").is_file()
    assert len(pp.open(tmp_path / "mine").records) == 2
