"""The service at a real address: bytes that are no requests, bodies without an end, and a model unharmed."""

import socket
import threading

import httpx2
import pytest

from polypatch.desk.listen import Address, listen
from polypatch.errors import InputError


@pytest.fixture
def at(desk):
    """Where the desk listens."""
    where, ready, stop = [], threading.Event(), threading.Event()

    def opened(address):
        where.append(address)
        ready.set()

    how = {"pages": True, "ready": opened, "stop": stop}
    thread = threading.Thread(target=listen, args=(desk, Address(port=0)), kwargs=how)
    thread.start()
    assert ready.wait(30)
    yield where[0]
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def endless():
    for _ in range(60):
        yield b"x" * 100_000


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("v1/predict", "application/json"),
        ("ask", "application/x-www-form-urlencoded"),
        ("ask", "multipart/form-data; boundary=b"),
    ],
)
def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit(at, path, kind):
    answer = httpx2.post(at + path, content=endless(), headers={"content-type": kind})
    assert answer.status_code in (400, 413)
    assert httpx2.post(f"{at}v1/predict", json={"texts": ["ba"]}).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\xff\xfe\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil\r\nHost: localhost\r\n\r\n",
        b"GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/fix HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\nContent-Length: 2\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
    ids=["no host", "no text", "two hosts", "a proxy's", "a long path", "cross-site", "a long header"],
)
def test_bytes_that_are_no_requests_are_refused(at, raw):
    host, port = at.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(raw)
        answered = wire.recv(100).split(b"\r\n")[0]
    assert answered.split()[1] in (b"400", b"403", b"404", b"421", b"431"), answered
    assert httpx2.get(f"{at}health").json()["edits"] == 0


def test_a_token_is_made_beyond_this_machine_and_a_bad_one_refused():
    assert Address().settled().token is None
    made = Address(host="0.0.0.0").settled()
    assert len(made.token) >= 32
    assert made.token != Address(host="0.0.0.0").settled().token
    assert Address(host="0.0.0.0", token="a-token-of-my-own").settled().token == "a-token-of-my-own"
    for bad in ("short", "with a blank in it", "semi;colon-and-more", "ümlaut-and-more-of-it"):
        with pytest.raises(InputError, match="16 to 200"):
            Address(token=bad)
