"""docs/tutorial.md is run, command by command; what it prints is what stands there, up to figures and times.

``POLYPATCH_WRITE=1 pytest tests/test_tutorial.py`` writes the outputs into the file; look at the difference.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```bash\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def masked(output):
    """Without what may differ between two machines: digits, the widths that follow from them, and which languages
    changed most elsewhere."""
    output = re.sub(r"^(Elsewhere: .* changed)(?: \([^)]*\))?\.", r"\1.", output, flags=re.MULTILINE)
    lines = [re.sub(r"\s+", " ", re.sub(r"[-+]?[\d.,]*\d", "#", line)).strip() for line in output.splitlines()]
    return [re.sub(r"─+", "─", line) for line in lines if line]


@pytest.mark.real
@pytest.mark.slow
def test_the_tutorial_does_what_it_says(shared, tmp_path):
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 7
    environment = {
        **os.environ,
        "MODEL": str(shared / "models" / "mini-mbert-massive"),
        "MASSIVE": str(shared / "data" / "massive"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "TERM": "dumb",
    }
    functions = "\n".join(re.findall(r"^edit\(\) \{.*?^\}$", text, flags=re.MULTILINE | re.DOTALL))
    outputs = []
    for block in blocks:
        script = f"{functions}\n{block['code']}"
        ran = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{block['code']}\n{ran.stdout}\n{ran.stderr}"
        outputs.append("".join(f"{line.rstrip()}\n" for line in ran.stdout.splitlines()))
    if os.environ.get("POLYPATCH_WRITE"):
        write(text, blocks, outputs)
        return
    for block, output in zip(blocks, outputs, strict=True):
        assert masked(output) == masked(block["shown"] or ""), block["code"]


def write(text, blocks, outputs):
    for block, output in reversed(list(zip(blocks, outputs, strict=True))):
        output = re.sub(r"\n{2,}", "\n\n", output.strip("\n"))
        shown = f"\n```text\n{output}\n```\n" if output else ""
        text = f"{text[: block.start()]}```bash\n{block['code']}```\n{shown}{text[block.end() :]}"
    TUTORIAL.write_text(text, encoding="utf-8")
