"""Notebooks are run as Jupyter does it: cell by cell in one namespace, the last expression of a cell being shown.

``POLYPATCH_WRITE=1`` writes what they show into the notebook; look at the difference.
"""

import ast
import contextlib
import io
import json
import os
import re

from pages import masked


def run(notebook):
    """Runs the cells, each of which has to show what stands below it; or writes that there, where that was asked for.

    Returns the names that they leave behind.
    """
    writing = bool(os.environ.get("POLYPATCH_WRITE"))
    content = json.loads(notebook.read_text(encoding="utf-8"))
    names = {"__name__": "__main__"}
    for cell in content["cells"]:
        if cell["cell_type"] != "code":
            continue
        outputs = _outputs("".join(cell["source"]), names, f"{notebook.name}, {cell['id']}")
        if writing:
            cell["outputs"] = outputs
        else:
            assert shown(outputs) == shown(cell["outputs"]), (cell["id"], outputs)
    if writing:
        notebook.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return names


def shown(outputs):
    """What a reader sees, up to figures and times."""
    texts = [output.get("text") or [line for kind in output["data"].values() for line in kind] for output in outputs]
    return [masked(re.sub(r"<[^>\n]+>", "\n", "".join(text))) for text in texts]


def _outputs(code, names, where):
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names) if last else None
    text = printed.getvalue()
    streams = [{"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}] if text else []
    return streams + ([_result(value)] if value is not None else [])


def _result(value):
    """As HTML where the value has it, which is what a reader sees."""
    kind, text = ("text/html", value._repr_html_()) if hasattr(value, "_repr_html_") else ("text/plain", repr(value))
    data = {kind: text.splitlines(keepends=True)}
    return {"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"}
