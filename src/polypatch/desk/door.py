"""The door: who gets in, how much at once and how often. Nothing behind it has to ask."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY = 4_000_000
"""Bytes of a request, at most."""

PER_SECOND, AT_ONCE = 200.0, 400.0
"""Requests of one client, in the mean and in a burst."""

CLIENTS = 10_000
"""Clients that are remembered, at most."""

COOKIE = "polypatch-token"
SAFE = ("GET", "HEAD")
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with none a browser says "Origin: null" of our own forms
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

ONWARD = (
    b'<!doctype html><html lang="en"><title>The desk</title><meta http-equiv="refresh" content="0;url=/">'
    b'<p><a href="/">To the desk</a></p></html>'
)
"""What opening an address with the token shows for a moment."""

FRONT = (
    b'<!doctype html><html lang="en"><title>The desk</title>'
    b"<p>This desk is open to those who have its token.</p>"
    b'<form action="/"><label>Token <input name="token" type="password" required></label> <button>Open</button></form>'
    b"</html>"
)
"""What who has no token sees of the pages: the same for everybody, and nothing of the model."""


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine's own, which no other machine reaches."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Allowance:
    """How many requests each client may make: a bucket that fills again."""

    per_second: float = PER_SECOND
    at_once: float = AT_ONCE
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, client: str) -> bool:
        """Whether one more request of a client is let in."""
        now = self.clock()
        left, since = self._left.pop(client, (self.at_once, now))
        left = min(self.at_once, left + (now - since) * self.per_second)
        if len(self._left) >= CLIENTS:
            del self._left[next(iter(self._left))]  # who came least recently
        self._left[client] = (max(left - 1, 0.0), now)
        return left >= 1


class Door:
    """An ASGI app in front of another.

    * **Host**: a request must name a host that the service is known by, else a page elsewhere could have its name
      pointed here (DNS rebinding).
    * **Token**: where there is one, a request brings it: ``Authorization: Bearer …``, or the cookie that opening
      ``/?token=…`` sets.
    * **Cross-site**: what changes something must come from a page of its own, or from no page at all.
    * **Sizes and rates**: 413 and 429 beyond them.
    * **The front**: ``/`` answers whoever has no token with a field for it, and 200, under any name: what starts
      containers asks there whether they serve, and knows neither token nor name.

    Args:
        app: what is behind it.
        hosts: names and addresses that it is known by, without ports.
        token: None for none.
        open_paths: paths that need no token.
        front: whether there are pages, and so a front.
        body: bytes of a request, at most.
        allowance: of each client.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str],
        token: str | None = None,
        open_paths: Iterable[str] = (),
        front: bool = False,
        body: int = BODY,
        allowance: Allowance | None = None,
    ) -> None:
        self.app, self.token, self.front, self.body = app, token, front, body
        self.hosts, self.open_paths = frozenset(host.lower() for host in hosts), frozenset(open_paths)
        self.allowance = allowance or Allowance()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self.allowance.take((scope.get("client") or ("",))[0]):
            await _plain(send, 429, "too many requests: wait a second")
        elif self._at_front(scope, headers):
            await _page(send, FRONT)
        elif (refused := self._refused(scope, headers)) is not None:
            await _plain(send, *refused)
        elif self._brings_token(scope):
            await _page(send, ONWARD, _cookie_of(self.token or "", scope))
        else:
            await self._let_in(scope, receive, send)

    def _at_front(self, scope: Scope, headers: MutableMapping[str, str]) -> bool:
        return self.front and scope["path"] == "/" and scope["method"] in SAFE and not self._may(scope, headers)

    def _refused(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        """The status and the reason, where it is not let in."""
        host = headers.get("host", "")
        if _name(host) not in self.hosts:
            return 421, "unknown host: start the service with --host for the name that it is called by"
        if not self._may(scope, headers):
            return 401, "a token is needed: Authorization: Bearer TOKEN, or open /?token=TOKEN in a browser"
        if scope["method"] not in SAFE and not _own(headers, host):
            return 403, "this came from a page of another site"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > len(str(self.body)) or int(length) > self.body:
            return 413, f"a request has {self.body:,} bytes at most"
        return None

    def _may(self, scope: Scope, headers: MutableMapping[str, str]) -> bool:
        if self.token is None or scope["path"] in self.open_paths or self._brings_token(scope):
            return True
        bearer = headers.get("authorization", "")
        given = bearer[7:] if bearer[:7].lower() == "bearer " else _cookie(headers.get("cookie", ""))
        return self._is_token(given)

    def _brings_token(self, scope: Scope) -> bool:
        if self.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return self._is_token(given)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            # A body without a length, or with a wrong one, is no way around it.
            return message if read <= self.body else {"type": "http.disconnect"}

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
            await send(message)

        await self.app(scope, counted, with_headers)


def _name(host: str) -> str:
    """A ``Host`` header without its port."""
    return host.rpartition(":")[0].lower() if ":" in host.rpartition("]")[2] else host.lower()


def _own(headers: MutableMapping[str, str], host: str) -> bool:
    """Whether a request came from a page of this host, or from no page."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


async def _plain(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


async def _page(send: Send, page: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), *more, *HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})


def _cookie_of(token: str, scope: Scope) -> tuple[bytes, bytes]:
    """The header that keeps the token, for the page that leads on without it in the address.

    That is a page, and not a redirect: where a link on another site led here, a redirect still counts as that site's,
    and a browser does not send the cookie along. The address would stay in the history of the browser.
    """
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return b"set-cookie", f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/{secure}".encode()
