"""``polypatch serve``: an edited model over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from polypatch.cli.desk import Host, OtherNames, Port, Token, serve_place
from polypatch.cli.options import Device, Model, Quiet, Threads

EXAMPLES = """[bold]Examples[/]

polypatch serve my-edits

curl -s localhost:8765/v1/predict -H 'content-type: application/json' -d '{"texts": ["wake me up at nine"]}'

curl -s localhost:8765/v1/fix -H 'content-type: application/json' \
-d '{"text": "wake me up at nine", "label": "alarm_set", "translations": {"de": "weck mich um neun"}}'

curl -s localhost:8765/openapi.json
"""


def serve(
    edits: Annotated[str, typer.Argument(metavar="EDITS", help="Saved edits, or a RUN.")],
    host: Host = "127.0.0.1",
    port: Port = 8765,
    name: OtherNames = None,
    token: Token = None,
    model: Model = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Predict or generate, explain, fix, revert and the history, over HTTP.

    /v1/predict, /v1/generate, /v1/explain, /v1/fix, /v1/revert, /v1/history,
    /health, /metrics for Prometheus; /openapi.json describes them. Texts of
    requests that come at once are answered in one pass. A request sees all of an
    edit or nothing of it. Ctrl-C stops it.
    """
    from polypatch.cli.session import EditsOrModel

    place = EditsOrModel(edits, base=model, device=device)
    at = {"host": host, "port": port, "names": tuple(name or ()), "token": token}
    serve_place(place, at, threads, quiet, pages=False)
