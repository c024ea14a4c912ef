"""The wheel, installed into a folder of its own, does the work with no source tree in sight."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polypatch import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def python(*words, **more):
    ran = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False, **more)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder a wheel was installed into; what it was built from is gone."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    python("-m", "hatchling", "build", "-t", "wheel", "-d", place, cwd=source)
    (wheel,) = place.glob("*.whl")
    shutil.rmtree(source)
    target = place / "installed"
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    return target


@pytest.fixture
def command(installed, tmp_path):
    """The installed `polypatch`, called from a folder that has nothing to do with it."""
    env = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "OMP_NUM_THREADS": "1",
        "POLYPATCH_CACHE": str(tmp_path / "cache"),
    }
    return lambda *words: python(installed / "bin" / "polypatch", *words, cwd=tmp_path, env=env)


def test_every_file_of_the_package_is_in_the_wheel(installed):
    """Weights and `py.typed` as well, not the modules alone."""

    def names(package):
        files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(package).as_posix(): path.read_bytes() for path in files}

    found, wanted = names(installed / "polypatch"), names(ROOT / "src" / "polypatch")
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert "py.typed" in found


def test_the_installed_command_edits_the_world(command, installed, tmp_path):
    """Whose weights come with the package: nothing is trained, and nothing kept in the cache."""
    assert command("--version") == f"polypatch {__version__}\n"
    command("edit", "world", "--limit", 3, "--out", "run", "--quiet")
    assert (tmp_path / "run" / "edits" / "edits.safetensors").is_file()
    assert not (tmp_path / "cache" / "world").exists()
    env = {**os.environ, "PYTHONPATH": str(installed)}
    where = python("-c", "import polypatch; print(polypatch.__file__)", cwd=tmp_path, env=env)
    assert Path(where.strip()).is_relative_to(installed)
