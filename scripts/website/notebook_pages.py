"""A notebook as Markdown: its texts, its code, and what the code printed."""

import json
from pathlib import Path
from typing import Any


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, their source joined."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def as_markdown(notebook: Path) -> str:
    """The notebook as one page, with a line that says where the notebook itself is."""
    parts = [_of(cell) for cell in cells_of(notebook)]
    title, *rest = parts
    return "\n\n".join([title, f'<a href="../{notebook.name}" download>The notebook itself</a>', *rest]) + "\n"


def _of(cell: dict[str, Any]) -> str:
    if cell["cell_type"] == "markdown":
        return str(cell["source"])
    shown = [_shown(output) for output in cell["outputs"]]
    return "\n\n".join([f"```python\n{cell['source']}\n```", *shown])


def _shown(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output["data"]
    if "text/html" in data:
        return f'<div class="output">{"".join(data["text/html"])}</div>'
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"
