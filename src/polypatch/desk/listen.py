"""Listening: the pages and the service of a desk at an address, until somebody stops it."""

from __future__ import annotations

import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn

from polypatch.desk.desk import Desk
from polypatch.desk.door import Door, is_loopback
from polypatch.desk.local_translators import LocalTranslators
from polypatch.desk.pages import add_pages
from polypatch.desk.served import Served
from polypatch.desk.service import OPEN, service
from polypatch.edits import Lang
from polypatch.errors import InputError

HERE = "127.0.0.1"
"""This machine, and no other."""

PORT = 8765
TOKEN = 24
"""Bytes of a token that is made here."""

BACKLOG = 2048

GRACE = 10
"""Seconds that requests have when the service stops."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a desk listens, and who may come.

    Attributes:
        host: an address of this machine; beyond loopback a token is needed.
        port: 0 for any that is free.
        names: further names that it is called by, such as that of a proxy in front.
        token: None makes one where `host` is not loopback.
    """

    host: str = HERE
    port: int = PORT
    names: tuple[str, ...] = ()
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", self.token):
            raise InputError("the token should have 16 to 200 letters, digits, - and _; leave it out to have one made")

    def settled(self) -> Address:
        """With the token that it needs."""
        if self.token is not None or is_loopback(self.host):
            return self
        return Address(host=self.host, port=self.port, names=self.names, token=secrets.token_urlsafe(TOKEN))

    @property
    def hosts(self) -> Iterable[str]:
        """All that a request may call it."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return (shown, "localhost", HERE, "[::1]", *self.names)


def app_of(
    desk: Served, address: Address, *, pages: bool, source: Lang = "en", translations: LocalTranslators | None = None
) -> Door:
    """The service, with pages or without, behind its door."""
    app = service(desk)
    if pages:
        assert isinstance(desk, Desk)  # pages search, export and look for tasks, as what stands for a desk does not
        add_pages(app, desk, source, translations)
    open_paths = [*OPEN, *(("/static/desk.css", "/static/icon.svg") if pages else ())]
    return Door(app, hosts=address.hosts, token=address.token, open_paths=open_paths, front=pages)


def listen(
    desk: Served,
    address: Address,
    *,
    pages: bool,
    source: Lang = "en",
    translations: LocalTranslators | None = None,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve until Ctrl-C or a signal to end.

    Args:
        desk: open; with pages a `Desk` itself.
        address: where; its token is made first where one is needed.
        pages: the pages too, not the service alone.
        source: the language of a sentence that names none.
        translations: what the pages translate by; None for the usual translators, where they are on this machine.
        ready: called with the address to open, once it is listened at.
        stop: ends it too, once it is set, for who calls this in a thread, where no signal comes.

    Raises:
        InputError: the address cannot be listened at.
    """
    address = address.settled()
    with _bound(address) as bound:
        host, port = bound.getsockname()[:2]
        config = uvicorn.Config(
            app_of(desk, address, pages=pages, source=source, translations=translations),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            http="h11",  # the strict one: httptools, which may be installed, takes two hosts and headers without an end
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        if ready is not None:
            token = f"?token={address.token}" if address.token and pages else ""
            ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}")
        server = uvicorn.Server(config)
        if stop is not None:
            threading.Thread(target=_stopping, args=(server, stop), daemon=True).start()
        with _ending_well():
            server.run(sockets=[bound])


@contextmanager
def _ending_well() -> Iterator[None]:
    """Inside the block Ctrl-C and the signal to end, which uvicorn hands on once it has stopped, only end the block."""
    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if here else None
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


def _stopping(server: uvicorn.Server, stop: threading.Event) -> None:
    stop.wait()
    server.should_exit = True


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
        bound.listen(BACKLOG)  # who comes before the first request is read waits
    except OSError as error:
        bound.close()
        raise InputError(
            f"--host {address.host} --port {address.port}: cannot be listened at ({error.strerror}); --port 0 takes "
            "any that is free"
        ) from error
    return bound
