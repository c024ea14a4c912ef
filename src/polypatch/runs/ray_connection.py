"""Ray, where it is installed, and a connection to a cluster of it, or to one of our own."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from polypatch.errors import InputError

LOCAL = "local"

KNOCK = 10.0
"""Seconds in which an address must answer."""

_SETTINGS = b"\x04"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
"""How a client begins; a server answers with a frame of the same kind (RFC 9113, section 3.4)."""


@contextlib.contextmanager
def connected(ray: Any, address: str) -> Iterator[bool]:
    """A connection that ends with the block, and with it a cluster of our own; one that is there already is used.

    Whether this machine is all of the cluster, as far as is known.
    """
    if ray.is_initialized():
        yield False
        return
    ours = {"include_dashboard": False} if address == LOCAL else {}
    # Not public: else what befalls a node is printed on stdout, which is the results'.
    ray._private.worker._worker_logs_enabled = False
    try:
        try:
            if address != LOCAL:
                knock(_meant(ray, address))
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **ours)
        except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
            raise InputError(
                f"Ray at {address}: no cluster can be used there ({error}); one is started by ray start --head"
            ) from error
        yield address == LOCAL
    finally:
        ray.shutdown()
        ray._private.worker._worker_logs_enabled = True


def _meant(ray: Any, address: str) -> str:
    """The address that ``auto`` stands for: the environment's, or that of the cluster which was started here last."""
    if address == "auto":
        # Not public, so it may change; without it Ray asks by itself, and is slower to say that nobody is there.
        with contextlib.suppress(AttributeError, TypeError):
            return str(ray._private.services.get_ray_address_from_environment("auto", None))
    return address


def knock(address: str) -> None:
    """Ray itself tries for minutes, and says so on stderr.

    Raises:
        OSError: nobody answers, or not with HTTP/2, which Ray speaks.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # Ray says what it thinks of that
    with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK) as connection:
        if os.environ.get("RAY_USE_TLS", "0") == "0":
            connection.sendall(_HTTP2)
            if connection.recv(4)[3:] != _SETTINGS:
                raise OSError("what answers is not Ray")


def ray_library() -> Any:
    """The package.

    Raises:
        InputError: it is not installed.
    """
    # Read at import; it would tell its makers about every cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        importlib.import_module("ray.util.scheduling_strategies")
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError("a grid on Ray needs pip install 'polypatch[ray]'") from error
