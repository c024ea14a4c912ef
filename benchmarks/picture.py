"""Draws the README's picture from what the shipped world says: one sentence in six languages, before and after a fix.

Writes docs/images/one-fix-light.svg and one-fix-dark.svg: ``python benchmarks/picture.py``.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import polypatch as pp

EDIT = "world-0248"
LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "zh": "Chinese", "ar": "Arabic"}
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, ROW, TOP = 880, 38, 92
LEFT, SENTENCE, SENTENCE_END, BEFORE, AFTER = 24, 120, 520, 600, 770
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'Noto Sans Arabic', sans-serif"


class Palette(NamedTuple):
    """Colours of one scheme."""

    back: str
    ink: str
    quiet: str
    line: str
    wrong: str
    right: str


SCHEMES = {
    "light": Palette("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#cf222e", "#1a7f37"),
    "dark": Palette("#0d1117", "#f0f6fc", "#9198a1", "#3d444d", "#ff7b72", "#3fb950"),
}


class Shown(NamedTuple):
    """What is drawn."""

    prompts: dict[str, str]
    wanted: str
    before: list[str]
    after: list[str]
    kept: int
    others: int


def asked() -> Shown:
    """Make the one edit on the shipped world and ask before and after; other texts are the world's locality sets."""
    world = pp.load_world()
    edit = next(edit for edit in world.data.edits if edit.id == EDIT)
    prompts = {lang: str(edit.prompt[lang]) for lang in LANGUAGES}
    others = list(dict.fromkeys(row.text for rows in world.data.locality.values() for row in rows))
    before, rest = world.predict([*prompts.values()]), world.predict(others)
    edited = pp.edit(
        world.model,
        [edit],
        tokenizer=world.tokenizer,
        memory=world.data.memory_texts(list(LANGUAGES)),
        rules=pp.Rules(seed=0),
    )
    after, rest_after = edited.predict([*prompts.values()]), edited.predict(others)
    kept = sum(a == b for a, b in zip(rest, rest_after, strict=True))
    return Shown(prompts, edit.target_in("en"), list(before), list(after), kept, len(others))


def drawn(shown: Shown, colours: Palette) -> str:
    """The SVG."""
    height = TOP + ROW * len(shown.prompts) + 50
    said = f"{shown.kept:,} of {shown.others:,} other answers are as they were."
    about = (
        f"One sentence in six languages. Before the fix the model answers {shown.before[0]} in all, which is wrong; "
        f"after it {shown.after[0]}, which is right. {said}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(about)}" font-family="{FONT}" font-size="16">',
        f"<title>{escape(about)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{colours.back}" stroke="{colours.line}"/>',
        _text(LEFT, 40, "One fix, every language", colours.ink, 'font-size="20" font-weight="600"'),
        _text(BEFORE, 72, "before", colours.quiet, 'text-anchor="middle"'),
        _text(AFTER, 72, "after one fix", colours.quiet, 'text-anchor="middle"'),
    ]
    for row, (lang, prompt) in enumerate(shown.prompts.items()):
        y = TOP + ROW * row
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{y}" y2="{y}" stroke="{colours.line}"/>')
        parts.append(_text(LEFT, y + 25, LANGUAGES[lang], colours.quiet))
        parts.append(_sentence(lang, prompt, y + 25, colours.ink))
        parts += [_answer(x, y + 25, said[row], shown.wanted, colours) for x, said in _answers(shown)]
    y = TOP + ROW * len(shown.prompts)
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{y}" y2="{y}" stroke="{colours.line}"/>')
    parts.append(_text(LEFT, y + 30, f"Everything else: {said}", colours.ink))
    return "\n".join([*parts, "</svg>", ""])


def _answers(shown: Shown) -> list[tuple[int, list[str]]]:
    return [(BEFORE, shown.before), (AFTER, shown.after)]


def _sentence(lang: str, prompt: str, y: int, ink: str) -> str:
    if lang == "ar":  # from right to left, set against the right edge of its column
        return _text(SENTENCE_END, y, prompt, ink, 'direction="rtl" text-anchor="start" xml:lang="ar"')
    # The world's tokenizer wants spaces between Chinese words; a reader does not.
    shown = prompt.replace(" ", "") if lang == "zh" else prompt
    return _text(SENTENCE, y, shown, ink, f'xml:lang="{lang}"')


def _answer(x: int, y: int, said: str, wanted: str, colours: Palette) -> str:
    right = said == wanted
    mark, colour = ("✓", colours.right) if right else ("✗", colours.wrong)
    words = {"SUPPORTS": "true", "REFUTES": "false"}
    return _text(x, y, f"{mark} {words[said]}", colour, 'text-anchor="middle" font-weight="600"')


def _text(x: int, y: int, text: str, fill: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}" {more}>{escape(text)}</text>'


def main() -> None:
    """Both schemes."""
    shown = asked()
    print(shown)
    FOLDER.mkdir(exist_ok=True)
    for name, colours in SCHEMES.items():
        (FOLDER / f"one-fix-{name}.svg").write_text(drawn(shown, colours), encoding="utf-8")


if __name__ == "__main__":
    main()
