"""The house's budget: short files, short functions, and a library that never prints, pickles or seeds the process."""

import ast
from pathlib import Path

import pytest

import polypatch

SOURCE = Path(polypatch.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 50
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def code_lines(function, lines):
    """Lines with code in the body: neither signature, docstring, comment nor blank line."""
    skipped = set()
    if ast.get_docstring(function) is not None:
        first = function.body[0]
        skipped = set(range(first.lineno, first.end_lineno + 1))
    numbers = range(function.body[0].lineno, function.end_lineno + 1)
    texts = [lines[n - 1].strip() for n in numbers if n not in skipped]
    return sum(1 for text in texts if text and not text.startswith("#"))


def calls(tree):
    """Every call as (dotted name, node)."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def parsed(path):
    text = path.read_text(encoding="utf-8")
    return ast.parse(text), text.splitlines()


def test_there_is_something_to_measure():
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_and_functions_are_short(path):
    tree, lines = parsed(path)
    assert len(lines) <= FILE_LINES
    long = {f.name: code_lines(f, lines) for f in functions(tree) if code_lines(f, lines) > FUNCTION_LINES}
    assert not long


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_modules_say_what_they_are_for(path):
    assert ast.get_docstring(parsed(path)[0])


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_prints_but_the_command_line(path):
    """Only cli/ prints; and nothing but cli/ parses argv, configures logging or leaves the process."""
    if path.is_relative_to(SOURCE / "cli") or path.name == "__main__.py":
        return
    tree, _ = parsed(path)
    forbidden = {"print", "breakpoint", "exit", "sys.exit", "logging.basicConfig", "argparse.ArgumentParser"}
    assert not forbidden & {name for name, _ in calls(tree)}
    assert "argv" not in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_runs_code_from_files(path):
    """No pickle, in any of its disguises."""
    tree, _ = parsed(path)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"} & imported
    assert not {"torch.load", "torch.save", "eval", "exec", "__import__", "yaml.load", "np.load"} & {
        name for name, _ in calls(tree)
    }


SEEDING = ("manual_seed", "manual_seed_all", "set_rng_state", "use_deterministic_algorithms")


def seeds_the_process(tree):
    """Calls that set a global random state, outside a `with` block that forks it."""
    forked = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any(word in ast.unparse(item.context_expr) for item in node.items for word in ("fork_rng", "forked_rng"))
    ]
    inside = {id(node) for block in forked for node in ast.walk(block)}
    found = []
    for name, node in calls(tree):
        owner, _, last = name.rpartition(".")
        # A Generator's own seed is nobody else's.
        of_torch = last in SEEDING and owner in ("torch", "torch.random", "torch.cuda", "transformers", "")
        of_others = name in ("random.seed", "np.random.seed", "numpy.random.seed", "transformers.set_seed", "set_seed")
        if (of_torch or of_others) and id(node) not in inside:
            found.append(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_seeds_the_process(path):
    """Global seeds are set inside a block that forks the global state, or not at all."""
    if path.name == "bits.py" and path.parent.name == "testing":
        return  # puts the state back that it photographed
    assert not seeds_the_process(parsed(path)[0])


def test_the_seeding_rule_sees_what_it_should():
    """The rule itself: bare, forked, in a function beside a fork, and a generator's own."""
    assert seeds_the_process(ast.parse("torch.manual_seed(0)")) == ["torch.manual_seed"]
    assert seeds_the_process(ast.parse("np.random.seed(0)")) == ["np.random.seed"]
    assert not seeds_the_process(ast.parse("with torch.random.fork_rng():\n    torch.manual_seed(0)"))
    assert seeds_the_process(ast.parse("with a():\n    torch.manual_seed(0)"))
    assert not seeds_the_process(ast.parse("torch.Generator().manual_seed(0)"))


def test_global_draws_are_where_they_must_be():
    """Only dropout and Hugging Face's initialisers need the global generator: few files may seed it, even forked."""
    users = {
        path.relative_to(SOURCE).parts[0]
        for path in FILES
        for name, _ in calls(parsed(path)[0])
        if name in ("torch.manual_seed", "torch.random.fork_rng")
    }
    assert users <= {"sites", "world", "testing", "training"}
