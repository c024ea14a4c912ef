"""Pages of documentation whose commands are run: their blocks, and what these print, up to figures and times.

``POLYPATCH_WRITE=1`` writes the outputs into the page; look at the difference.
"""

import os
import re

BLOCK = re.compile(
    r"^```(?P<how>bash|python)\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def blocks_of(page):
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


def masked(output):
    """Without what may differ between two machines: digits, the widths that follow from them, and which languages
    changed most elsewhere."""
    output = re.sub(r"^(Elsewhere: .* changed)(?: \([^)]*\))?\.", r"\1.", output, flags=re.MULTILINE)
    lines = [re.sub(r"\s+", " ", re.sub(r"[-+]?[\d.,]*\d", "#", line)).strip() for line in output.splitlines()]
    return [re.sub(r"─+", "─", line) for line in lines if line]


def require_shown(page, blocks, outputs):
    """What the blocks printed is what stands behind them; or is written there, where that was asked for."""
    if os.environ.get("POLYPATCH_WRITE"):
        page.write_text(with_outputs(page.read_text(encoding="utf-8"), blocks, outputs), encoding="utf-8")
        return
    for block, output in zip(blocks, outputs, strict=True):
        assert masked(output) == masked(block["shown"] or ""), block["code"]


def with_outputs(text, blocks, outputs):
    for block, output in reversed(list(zip(blocks, outputs, strict=True))):
        output = re.sub(r"\n{2,}", "\n\n", output.strip("\n"))
        shown = f"\n```text\n{output}\n```\n" if output else ""
        text = f"{text[: block.start()]}```{block['how']}\n{block['code']}```\n{shown}{text[block.end() :]}"
    return text
