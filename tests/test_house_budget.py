"""The house's budget: short files, short functions, and a library that never prints, pickles or seeds the process."""

import ast
import graphlib
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import polypatch

SOURCE = Path(polypatch.__file__).parent
FILE_LINES, FUNCTION_LINES = 300, 50


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


@cache
def calls(tree):
    """Every call as (dotted name, node)."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def parsed(path):
    text = path.read_text(encoding="utf-8")
    return ast.parse(text), text.splitlines()


@pytest.fixture(scope="module")
def sources():
    """Every file of the library: its name, its tree and its lines."""
    found = [(path.relative_to(SOURCE).as_posix(), *parsed(path)) for path in sorted(SOURCE.rglob("*.py"))]
    assert len(found) > 40, "there is something to measure"
    return found


def test_files_are_short(sources):
    assert not {name: len(lines) for name, _, lines in sources if len(lines) > FILE_LINES}


def test_functions_are_short(sources):
    sizes = {
        f"{name}:{f.lineno} {f.name}": code_lines(f, lines) for name, tree, lines in sources for f in functions(tree)
    }
    assert len(sizes) > 400
    assert not {name: size for name, size in sizes.items() if size > FUNCTION_LINES}


def test_modules_say_what_they_are_for(sources):
    assert not [name for name, tree, _ in sources if not ast.get_docstring(tree)]


def test_nothing_prints_but_the_command_line(sources):
    """Only cli/ prints; and nothing but cli/ parses argv, configures logging or leaves the process."""
    forbidden = {"print", "breakpoint", "exit", "sys.exit", "logging.basicConfig", "argparse.ArgumentParser"}
    found = {}
    for name, tree, _ in sources:
        if not name.startswith("cli/") and not name.endswith("__main__.py"):
            attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            found[name] = (forbidden & {call for call, _ in calls(tree)}) | ({"argv"} & attributes)
    assert not {name: what for name, what in found.items() if what}


def imports(tree):
    """Every module that is imported, anywhere in the file."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_nothing_runs_code_from_files(sources):
    """No pickle, in any of its disguises."""
    modules = {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    functions = {"torch.load", "torch.save", "eval", "exec", "__import__", "yaml.load", "np.load"}
    found = {
        name: (modules & imports(tree)) | (functions & {call for call, _ in calls(tree)}) for name, tree, _ in sources
    }
    assert not {name: what for name, what in found.items() if what}


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


def test_nothing_seeds_the_process(sources):
    """Global seeds are set inside a block that forks the global state, or not at all."""
    found = {name: seeds_the_process(tree) for name, tree, _ in sources}
    found.pop("testing/bits.py")  # puts the state back that it photographed
    assert not {name: what for name, what in found.items() if what}


def test_the_seeding_rule_sees_what_it_should():
    """The rule itself: bare, forked, in a function beside a fork, and a generator's own."""
    assert seeds_the_process(ast.parse("torch.manual_seed(0)")) == ["torch.manual_seed"]
    assert seeds_the_process(ast.parse("np.random.seed(0)")) == ["np.random.seed"]
    assert not seeds_the_process(ast.parse("with torch.random.fork_rng():\n    torch.manual_seed(0)"))
    assert seeds_the_process(ast.parse("with a():\n    torch.manual_seed(0)"))
    assert not seeds_the_process(ast.parse("torch.Generator().manual_seed(0)"))


def test_global_draws_are_where_they_must_be(sources):
    """Only dropout and Hugging Face's initialisers need the global generator: few files may seed it, even forked."""
    seeding = {"torch.manual_seed", "torch.random.fork_rng"}
    users = {name.split("/")[0] for name, tree, _ in sources if seeding & {call for call, _ in calls(tree)}}
    assert users <= {"sites", "world", "testing", "training"}


def names_in(tree):
    """Every name that code gives or uses: variables, attributes, arguments, functions, classes and imports."""
    fields = {ast.Name: "id", ast.Attribute: "attr", ast.arg: "arg", ast.keyword: "arg", ast.alias: "name"}
    defined = (ast.FunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if type(node) in fields:
            yield str(getattr(node, fields[type(node)]))
        elif isinstance(node, defined):
            yield node.name


def languages_of(tree):
    return sorted({name for name in names_in(tree) if re.search(r"(?i)(^|_|\.)lang(s|uage|uages)?(_|$)", name)})


def test_editors_deltas_and_sites_know_no_language(sources):
    """The paper's thesis as a rule, down to the names; that they import no sampler and no trigger is a contract."""
    blind = {name: tree for name, tree, _ in sources if name.split("/")[0] in ("editors", "deltas", "sites")}
    assert len(blind) > 30
    assert not {name: found for name, tree in blind.items() if (found := languages_of(tree))}


def test_the_rule_of_names_sees_what_it_should():
    for code in ("lang = 1", "a.languages", "def f(Lang): ...", "from polypatch.edits import Lang", "f(source_lang=1)"):
        assert languages_of(ast.parse(code)), code
    assert not languages_of(ast.parse("slang = 'lang'  # language\nangle = 1"))


def type_names(tree):
    """Classes and aliases of types that a module defines, those for its own use alone left out."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield ast.unparse(node.target)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):  # Rows = Sequence[Row]
            name = ast.unparse(node.targets[0])
            if name[0].isupper() and not name.isupper():
                yield name


def test_no_two_types_have_one_name(sources):
    homes = defaultdict(list)
    for name, tree, _ in sources:
        for one in type_names(tree):
            if not one.startswith("_"):
                homes[one].append(name)
    assert len(homes) > 200
    assert not {one: where for one, where in homes.items() if len(where) > 1}


def graph_of_imports(sources):
    """Module -> the package's own modules that it imports: on import, in a function, or for type checkers."""
    dotted = {name: "polypatch." + name.removesuffix(".py").replace("/", ".") for name, _, _ in sources}
    modules = {name.removesuffix(".__init__") for name in dotted.values()}
    graph = {}
    for name, tree, _ in sources:
        found = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in modules else node.module for name in inner}
        here = dotted[name].removesuffix(".__init__")
        graph[here] = (found & modules) - {here}
    return graph


def test_imports_have_no_circles(sources):
    graph = graph_of_imports(sources)
    assert sum(map(len, graph.values())) > 1000
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


def test_the_rule_of_circles_sees_what_it_should():
    """One that only type checkers see, and one inside a function."""
    texts = {
        "a.py": "if TYPE_CHECKING:\n    from polypatch.b import B",
        "b.py": "def f():\n    from polypatch import a",
        "__init__.py": "",
    }
    graph = graph_of_imports([(name, ast.parse(text), []) for name, text in texts.items()])
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(graph).prepare()
