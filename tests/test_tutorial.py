"""docs/tutorial.md is run, command by command; what it prints is what stands there, up to figures and times.

``POLYPATCH_WRITE=1 pytest tests/test_tutorial.py`` writes the outputs into the file; look at the difference.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages import blocks_of, require_shown
from warm import warm_bin

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"


@pytest.mark.real
@pytest.mark.slow
def test_the_tutorial_does_what_it_says(shared, tmp_path):
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = blocks_of(TUTORIAL)
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
    (bin_folder := tmp_path / "bin").mkdir()
    (folder := tmp_path / "tutorial").mkdir()
    with warm_bin(bin_folder, environment) as commands:
        for block in blocks:
            script = f"{functions}\n{block['code']}"
            killed = "kill -9" in script  # a real process is
            path = environment["PATH"] if killed else f"{commands}:{environment['PATH']}"
            how = {"cwd": folder, "env": {**environment, "PATH": path}, "capture_output": True, "text": True}
            ran = subprocess.run(["bash", "-c", script], **how, check=False)
            assert ran.returncode == 0, f"{block['code']}\n{ran.stdout}\n{ran.stderr}"
            outputs.append("".join(f"{line.rstrip()}\n" for line in ran.stdout.splitlines()))
    require_shown(TUTORIAL, blocks, outputs)
