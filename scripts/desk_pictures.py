"""The pictures of docs/desk.md: a colleague's path through the desk, as a browser shows it.

``python scripts/desk_pictures.py docs/pictures``: starts the desk on the embedded world, types as people do (60
milliseconds a key), and prints how long it took from opening the page to a kept fix.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import polypatch as pp
from polypatch.desk.desk import Desk
from polypatch.desk.listen import Address, listen

KEY = 60
"""Milliseconds."""

SENTENCE = {
    "en": "Rifin is a maker of perfume.",
    "de": "Die Firma Rifin stellt Parfüm her.",
    "zh": "里菲恩 公司 生产 香水 。",
    "ar": "تصنع شركة ريفين العطور.",
}
LABEL = "REFUTES"


def ask(page: Page) -> None:
    """Type the sentence in its languages, and ask."""
    while page.locator("#rows .row").count() < len(SENTENCE):
        page.click("#more")
    for i, (lang, text) in enumerate(SENTENCE.items()):
        if i:
            page.locator("#rows [name=lang]").nth(i).fill(lang)
        page.locator("#rows [name=text]").nth(i).press_sequentially(text, delay=KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answers")


def path(page: Page, at: str, out: Path) -> float:
    """Five pictures, and how long it took to a kept fix."""
    begun = time.perf_counter()
    page.goto(at)
    ask(page)
    page.screenshot(path=out / "desk-1-ask.png", full_page=True)
    page.locator(".card input[name=label]").press_sequentially(LABEL, delay=KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Nothing is kept yet")
    page.screenshot(path=out / "desk-2-see.png", full_page=True)
    page.get_by_role("button", name="Keep it", exact=True).click()
    page.wait_for_selector("[role=status]")
    took = time.perf_counter() - begun
    page.screenshot(path=out / "desk-3-kept.png", full_page=True)
    page.goto(f"{at}history")
    page.screenshot(path=out / "desk-4-history.png", full_page=True)
    return took


def main(out: Path) -> None:
    """Take them."""
    edited, ready, stop, where = pp.open("world"), threading.Event(), threading.Event(), list[str]()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:

        def serve() -> None:
            with Desk(Path(folder) / "edits", edited, "world") as desk:
                listen(desk, Address(port=0), pages=True, ready=lambda at: (where.append(at), ready.set()), stop=stop)

        thread = threading.Thread(target=serve)
        thread.start()
        ready.wait()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        wide = browser.new_context(viewport={"width": 1280, "height": 700}).new_page()
        print(f"from opening the page to a kept fix: {path(wide, where[0], out):.1f} s")
        wide.emulate_media(color_scheme="dark")
        wide.goto(f"{where[0]}edit?id={next(iter(edited.records))}")
        wide.screenshot(path=out / "desk-dark.png", full_page=True)
        for scheme in ("light", "dark"):
            narrow = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme).new_page()
            narrow.goto(where[0])
            ask(narrow)
            narrow.screenshot(path=out / f"desk-390-{scheme}.png", full_page=True)
        browser.close()
        stop.set()
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
