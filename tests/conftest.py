"""Checked annotations, one thread, one Hypothesis profile, the place of the real data, and the figures of tests."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Where numbers are made, arguments and results are checked against their annotations. Not everywhere: to check a
# sequence, beartype draws from Python's global random state, which tests here watch; and it cannot check protocols.
CHECKED = ["polypatch.editors.losses", "polypatch.editors.loudest"]
install_import_hook(CHECKED, "beartype.beartype")

from polypatch.testing import tiny_model  # noqa: E402

torch.set_num_threads(1)
settings.register_profile(
    "suite",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real data and checkpoint, or a skip."""
    folder = Path(os.environ.get("POLYPATCH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set POLYPATCH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny():
    """tiny_model, each model made once. Whoever edits one takes the edits off again."""
    made = {}

    def get(family="bert", **sizes):
        key = (family, *sorted(sizes.items()))
        if key not in made:
            made[key] = tiny_model(family, **sizes)
        return made[key]

    return get


@pytest.fixture
def figure(record_property):
    """Report a number: it is printed at the end of the run."""

    def report(name: str, value: float) -> None:
        record_property(f"figure: {name}", f"{value:.2g}")

    return report


def pytest_terminal_summary(terminalreporter):
    figures = [
        f"{name.removeprefix('figure: ')}: {value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name.startswith("figure: ")
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
