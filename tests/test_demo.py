"""The README's table is what `polypatch demo` prints, digit for digit, on this processor and on others."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polypatch.evaluation import load_reports, markdown_table
from polypatch.experiments.demo import Demonstration

README = Path(__file__).parents[1] / "README.md"
MARKS = re.compile(r"<!-- demo table -->\n(.*?)<!-- end of demo table -->", re.DOTALL)
SPEAKING = re.compile(r"<!-- speaking demo -->\n(.*?)<!-- end of speaking demo -->", re.DOTALL)


def rows(markdown):
    """Cells by row, whatever the widths of the columns."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if not re.fullmatch(r"[|:\- ]+", line)
    ]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the digits are those of x86-64 processors")
def test_the_readmes_table_digit_for_digit(tmp_path):
    """On a played processor: kernels by which the libraries would choose AVX2 alone."""
    env = {**os.environ, "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    out = tmp_path / "demo"
    ran = subprocess.run(
        [sys.executable, "-m", "polypatch", "demo", "--out", str(out), "--quiet"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (said,) = MARKS.findall(README.read_text(encoding="utf-8"))
    demo = Demonstration(load_reports(out / "report.json"), None, out, 0.0, "")
    assert rows(said) == rows(markdown_table(demo.table))
    (spoken,) = SPEAKING.findall(README.read_text(encoding="utf-8"))
    _, _, report = (out / "report.md").read_text(encoding="utf-8").partition("## The world that speaks")
    assert rows(spoken) == rows(report)[: len(rows(spoken))]
