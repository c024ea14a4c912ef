"""What a verb does not need it does not import: torch alone takes two seconds, transformers' models as many again."""

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "transformers", "matplotlib", "datasets", "pandas", "scipy", "sklearn", "peft", "ray"]
PROGRAM = f"""
import json, sys
from polypatch.cli import main
for argv in json.loads(sys.argv[1]):
    try:
        main(argv)
    except SystemExit as left:
        assert left.code == 0, argv
print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr)
"""


def imported(*commands):
    """The heavy packages that a process has imported after these commands."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([[str(word) for word in argv] for argv in commands])],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stderr.splitlines()[-1])


def test_lists_and_histories_wait_for_no_torch(edited):
    assert imported(["--help"], ["edit", "--help"], ["ls"], ["ls", edited], ["log", edited]) == []


@pytest.mark.parametrize("verb", ["try", "explain"])
def test_asking_a_model_imports_what_runs_models_and_no_more(edited, verb):
    assert imported([verb, edited, "w1 w2 w3"]) == ["torch", "transformers"]
