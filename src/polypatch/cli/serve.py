"""``polypatch serve``: an edited model over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polypatch.cli.console import loading, say
from polypatch.cli.desk import Host, OtherNames, Port, Token, ready_at, require_extra, serve_place
from polypatch.cli.options import Device, Model, Quiet, Threads
from polypatch.errors import InputError

if TYPE_CHECKING:
    from polypatch.cli.session import EditsOrModel

CLUSTER = "On many machines"

EXAMPLES = """[bold]Examples[/]

polypatch serve my-edits

curl -s localhost:8765/v1/predict -H 'content-type: application/json' -d '{"texts": ["wake me up at nine"]}'

curl -s localhost:8765/v1/fix -H 'content-type: application/json' \
-d '{"text": "wake me up at nine", "label": "alarm_set", "translations": {"de": "weck mich um neun"}}'

curl -s localhost:8765/openapi.json

polypatch serve /shared/my-edits --ray auto --replicas 8
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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="local|ADDRESS",
            help="Answer on a Ray cluster (pip install 'polypatch\\[desk,ray]').",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Of the model, a core each, beside the one that makes the changes. Default: 1.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Predict or generate, explain, fix, revert and the history, over HTTP.

    /v1/predict, /v1/generate, /v1/explain, /v1/fix, /v1/revert, /v1/history,
    /health, /metrics for Prometheus; /openapi.json describes them. Texts of
    requests that come at once are answered in one pass. A request sees all of an
    edit or nothing of it. Ctrl-C stops it.

    With --ray the same answers come from replicas on many machines, where EDITS and
    their model must be what their names say. Who asks after the answer to a fix
    sees the fix, whichever replica answers.
    """
    from polypatch.cli.session import EditsOrModel
    from polypatch.store.places import find_edits

    place = EditsOrModel(edits, base=model, device=device)
    if place.edits is None:
        find_edits(Path(edits))  # says what is there instead; a service has no --out for a model's first edits
    at = {"host": host, "port": port, "names": tuple(name or ()), "token": token}
    if ray is not None:
        _serve_on_ray(place, at, threads, quiet, ray, replicas or 1)
        return
    if replicas is not None:
        raise InputError("--replicas is for --ray; without it one process answers")
    serve_place(place, at, threads, quiet, pages=False)


def _serve_on_ray(
    place: EditsOrModel, at: Mapping[str, Any], threads: int, quiet: bool, ray: str, replicas: int
) -> None:
    require_extra("serve")
    folder = place.folder.resolve()  # what is wrong with it is said before a cluster is asked
    if not quiet:
        loading("Ray and the replicas")
    from polypatch.desk.listen import Address, listen
    from polypatch.desk.ray_serve import desk_on_ray
    from polypatch.desk.replicas import SharedEdits

    address = Address(**at).settled()
    where = SharedEdits(folder, place.name, place.base, place.device, threads)
    made = address.token is not None and at["token"] is None
    with desk_on_ray(where, ray, replicas) as desk:
        listen(desk, address, pages=False, ready=ready_at(address, folder, made=made, pages=False))
    if not quiet:
        say(f"Stopped. {folder} holds every edit that was kept.")
