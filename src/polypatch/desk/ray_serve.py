"""A writer and replicas as an application of Ray Serve: ``pip install 'polypatch[desk,ray]'``.

Serve keeps them alive: one that is lost with its process or its node is started again where there is room. HTTP is not
Serve's here: what listens stands before it, with its own door, and asks through handles.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from polypatch.desk.remote_desk import RemoteCall, RemoteDesk
from polypatch.desk.replicas import Replica, SharedEdits, Writer
from polypatch.errors import InputError, UnavailableError
from polypatch.files import sha256
from polypatch.runs.ray_connection import connected, ray_library

AT_ONCE = 64
"""Requests that a replica takes; what comes at once is answered in one pass."""

CHANGE, ANSWER, FETCH = 300.0, 60.0, 10.0
"""Seconds until a change, one try to get an answer, and one to get the newest edits or their edition are given up.

A call that was with a lost node may hang. What is larger than 100 KiB, as edits soon are, waits in a store of that node
to be fetched: Ray 2.60 says after some fifteen seconds that it is gone, and earlier ones may not say it at all
(https://github.com/ray-project/ray/issues/47582)."""

WRITER, REPLICA = "writer", "replica"
OPTIONS = {"max_ongoing_requests": AT_ONCE, "health_check_period_s": 2.0, "graceful_shutdown_timeout_s": 5.0}
QUIET = {"log_level": "ERROR", "enable_access_log": False}


class _Node:
    """Does what a method of `inner` does, in threads of its own: Serve's must go on."""

    inner: Any

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "polypatch-node")

    async def do(self, method: str, *given: Any) -> Any:
        """Call a method."""
        work = partial(getattr(self.inner, method), *given)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _WriterNode(_Node):
    def __init__(self, place: SharedEdits) -> None:
        super().__init__()
        self.inner = Writer(place)


class _ReplicaNode(_Node):
    def __init__(self, place: SharedEdits, writer: Any) -> None:
        super().__init__()
        fetch = partial(caller(writer, "the writer", FETCH), "edits")
        # In a thread: Serve makes this inside its event loop, where nothing may wait for an answer.
        self.inner = self._threads.submit(Replica, place, fetch).result()


def caller(handle: Any, who: str, seconds: float) -> RemoteCall:
    """Calls methods of what a handle of Serve leads to; what it raises is raised here.

    Raises:
        UnavailableError: on calling: it is lost, too busy, or longer at it than `seconds`.
    """
    ray, serve = ray_library(), _serve_library()

    def call(method: str, *given: Any) -> Any:
        try:
            return handle.do.remote(method, *given).result(timeout_s=seconds)
        except ray.exceptions.RayTaskError as error:
            # Ray wraps what was raised there; who asks knows nothing of Ray.
            raise error.cause from error
        except (ray.exceptions.RayError, serve.exceptions.RayServeException, TimeoutError) as error:
            raise UnavailableError(f"{who} does not answer just now ({type(error).__name__}); ask again") from error

    return call


@contextmanager
def desk_on_ray(place: SharedEdits, address: str, replicas: int) -> Iterator[RemoteDesk]:
    """A desk whose writer and replicas are on a Ray cluster; they end with the block, and the folder is written then.

    Args:
        place: as every node sees it.
        address: of a running cluster, or ``local``; as for `polypatch.runs.cluster.Cluster`.
        replicas: how many; each needs a core, and the writer one more. On ``cuda`` each needs a GPU as well.

    Raises:
        InputError: Ray Serve is not installed, no cluster answers, it is too small, it serves this folder already; the
            edits cannot be opened there.
        UnavailableError: the writer was lost when the folder was to be written; the journal has every edit.
    """
    ray, serve = ray_library(), _serve_library()
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # else it tells of every step, on stderr
    name = f"polypatch-{sha256(str(place.folder).encode())[:12]}"
    with connected(ray, address):
        _require_room(ray, address, replicas)
        _require_free(serve, name, place.folder)
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        try:
            desk = _deployed(serve, name, place, replicas)
            yield desk
            caller(serve.get_deployment_handle(WRITER, name), "the writer", CHANGE)("close")
        finally:
            serve.delete(name)


def _deployed(serve: Any, name: str, place: SharedEdits, replicas: int) -> RemoteDesk:
    needs = {"num_cpus": 1, "num_gpus": int(place.device == "cuda")}
    options = {**OPTIONS, "ray_actor_options": needs, "logging_config": QUIET}
    writer = serve.deployment(_WriterNode).options(name=WRITER, num_replicas=1, **options).bind(place)
    node = serve.deployment(_ReplicaNode).options(name=REPLICA, num_replicas=replicas, **options).bind(place, writer)
    try:
        handle = serve.run(node, name=name, route_prefix=None)
    except RuntimeError as error:
        raise InputError(_reason(serve.status().applications[name], error)) from error
    to_writer = serve.get_deployment_handle(WRITER, name)
    change, news = (caller(to_writer, "the writer", seconds) for seconds in (CHANGE, FETCH))
    return RemoteDesk(place.name, change, news, caller(handle, "a replica", ANSWER))


def _reason(state: Any, error: RuntimeError) -> str:
    """The message of ours in what Serve says of an application that could not start."""
    said = "\n".join([*(one.message for one in state.deployments.values()), str(error)])
    own = re.search(r"polypatch\.errors\.\w+: (.*)", said)
    return own[1] if own else f"Ray Serve could not start the replicas ({said.strip().splitlines()[-1]})"


def _require_room(ray: Any, address: str, replicas: int) -> None:
    cores = int(ray.cluster_resources().get("CPU", 0))
    if cores < replicas + 1:
        raise InputError(
            f"--replicas {replicas}: needs {replicas + 1} cores, one of them for the writer, and Ray at {address} has "
            f"{cores}; take fewer, or add nodes"
        )


def _require_free(serve: Any, name: str, folder: Path) -> None:
    if name in serve.status().applications:
        raise InputError(
            f"{folder}: is served on this cluster already; stop that polypatch serve. Where it was killed, end what it "
            f"""left: python -c 'from ray import serve; serve.delete("{name}")'"""
        )


def _serve_library() -> Any:
    """The package.

    Raises:
        InputError: it is not installed.
    """
    try:
        importlib.import_module("ray.serve.exceptions")
        return importlib.import_module("ray.serve")
    except ImportError as error:
        raise InputError("polypatch serve --ray needs pip install 'polypatch[desk,ray]'") from error
