"""The public surface: what is promised is there, documented, and quick to import."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import polypatch

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = sorted(name for name in polypatch.__all__ if not name.startswith("_"))


def documents():
    return "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))])


def test_the_surface_is_small_sorted_and_complete():
    """About thirty names, each once, in order; dir() shows them."""
    names = [name for name in polypatch.__all__ if not name.startswith("_")]
    assert names == sorted(set(names))
    assert 5 <= len(names) <= 36
    assert set(names) <= set(dir(polypatch))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_can_be_used_and_says_what_it_is(name):
    thing = getattr(polypatch, name)
    assert thing is getattr(polypatch, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)
        assert thing.__module__.startswith("polypatch")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_occurs_in_the_documents(name):
    assert name in documents(), f"{name} is public and neither README.md nor docs/ has the word"


@pytest.mark.parametrize("name", ["polypatch", "polypatch.editors", "polypatch.sites"])
def test_what_type_checkers_see_is_what_there_is(name):
    """The lazy table and the imports under TYPE_CHECKING list the same names from the same places."""
    package = importlib.import_module(name)
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polypatch.")
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }
    assert sorted(imported) == sorted(name for name in package.__all__ if not name.startswith("_"))
    for name, module in imported.items():
        assert getattr(importlib.import_module(module), name) is getattr(package, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        polypatch.no_such_thing  # noqa: B018


def test_the_version_is_stated_once():
    assert polypatch.__version__
    assert polypatch.__version__ in (ROOT / "src" / "polypatch" / "_version.py").read_text(encoding="utf-8")


def test_importing_waits_for_nobody():
    """`import polypatch` loads neither torch nor transformers, and writes nothing."""
    code = "import sys, polypatch; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_errors_are_one_tree():
    """Every error class is below PolypatchError, says what it is for, and stands in the drawing of the tree."""
    from polypatch import errors

    classes = [thing for thing in vars(errors).values() if inspect.isclass(thing) and not issubclass(thing, Warning)]
    classes.remove(errors.StoppedError)  # Ctrl-C: nothing was wrong
    assert len(classes) >= 9
    for error in classes:
        assert issubclass(error, polypatch.PolypatchError)
        assert error.__doc__
        assert error.__name__ in errors.__doc__


def test_nothing_imports_the_checker():
    """polypatch.testing is a leaf."""
    source = Path(polypatch.__file__).parent
    for path in source.rglob("*.py"):
        if path.parent.name != "testing":
            assert "polypatch.testing" not in path.read_text(encoding="utf-8"), path
