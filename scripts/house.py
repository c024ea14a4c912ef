"""Figures of the source tree, now and at earlier commits: python scripts/house.py [--chain] [COMMIT ...].

Lines are those of every .py file under src/polypatch, blank ones and comments included. Rooms are the names of its top
level: files and packages, without ``__init__`` and ``__main__``. A chain is a way along imports that run when the
first of its modules is imported; a circle is a set of modules of which each imports, in the end, every other.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
NAME = "polypatch"


def modules_of(source: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    paths = {}
    for path in sorted((source / NAME).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def imports_of(path: Path, modules: dict[str, Path], *, at_import: bool) -> Iterator[str]:
    """The package's own modules that a file imports: everywhere in it, or as soon as it is imported itself."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if at_import and (isinstance(node, ast.FunctionDef | ast.Lambda) or _for_types_only(node)):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def graph_of(modules: dict[str, Path], *, at_import: bool) -> nx.DiGraph:
    """Module -> module that it imports."""
    graph = nx.DiGraph()
    graph.add_nodes_from(modules)
    for name, path in modules.items():
        graph.add_edges_from((name, other) for other in imports_of(path, modules, at_import=at_import) if other != name)
    return graph


def circles(graph: nx.DiGraph) -> list[list[str]]:
    """Sets of modules that import one another."""
    return [sorted(some) for some in nx.strongly_connected_components(graph) if len(some) > 1]


def longest_chain(graph: nx.DiGraph) -> list[str]:
    """The longest way along imports, a circle counted once."""
    whole = nx.condensation(graph)
    return [" + ".join(sorted(whole.nodes[one]["members"])) for one in nx.dag_longest_path(whole)]


def figures(source: Path) -> dict[str, object]:
    """One line of the table."""
    modules = modules_of(source)
    running, written = (graph_of(modules, at_import=at_import) for at_import in (True, False))
    return {
        "lines": sum(path.read_text(encoding="utf-8").count("\n") for path in modules.values()),
        "files": len(modules),
        "rooms": len({name.split(".")[1] for name in modules if "." in name} - {"__main__"}),
        "longest chain": len(longest_chain(running)),
        "circles": len(circles(running)),
        "circles, with types and functions": len(circles(written)),
    }


def unpacked(commit: str, folder: Path) -> Path:
    """The sources at a commit."""
    packed = subprocess.run(["git", "-C", ROOT, "archive", commit, "src"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def main(commits: list[str], *, chain: bool) -> None:
    """Print the table."""
    rows = {}
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            rows[commit] = figures(unpacked(commit, Path(folder)))
    rows["now"] = figures(ROOT / "src")
    print("| |", " | ".join(rows), "|")
    print("|---" * (len(rows) + 1) + "|")
    for name in rows["now"]:
        print("|", name, "|", " | ".join(f"{row[name]}" for row in rows.values()), "|")
    if chain:
        graphs = [graph_of(modules_of(ROOT / "src"), at_import=at_import) for at_import in (True, False)]
        print("\nlongest chain:", " > ".join(longest_chain(graphs[0])))
        print("circles:", "; ".join(", ".join(one) for one in circles(graphs[1])) or "none")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="*", metavar="COMMIT")
    parser.add_argument("--chain", action="store_true", help="name the modules")
    given = parser.parse_args()
    main(given.commits, chain=given.chain)
