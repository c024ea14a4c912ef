"""The door: what does not belong here does not get in, and breaks nothing."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.desk.door import Allowance, Door, is_loopback

TOKEN = "a-long-enough-token"


async def _behind(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def asked(door, *, method="GET", path="/", query="", headers=(), body=(b"",), client="1.2.3.4"):
    """Status, headers and body of one request."""
    sent, parts = [], list(body)

    async def receive():
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    named = {"host": "desk:80", **dict(headers)}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode("utf-8", "surrogateescape"),
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in named.items() if v is not None],
        "client": (client, 1),
        "scheme": "http",
    }
    asyncio.run(door(scope, receive, send))
    if not sent:
        return None, {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


def door(**how):
    return Door(_behind, hosts=("desk", "[::1]"), **how)


@pytest.mark.parametrize("host", ["desk", "desk:80", "DESK:1", "[::1]", "[::1]:80"])
def test_a_host_that_it_is_called_by_gets_in(host):
    assert asked(door(), headers={"host": host})[0] == 200


@pytest.mark.parametrize(
    "host", ["evil", "desk.evil", "evil:80", "desk@evil", "", None, "[::2]", "desk:80:80", "evil]"]
)
def test_another_host_does_not(host):
    assert asked(door(), headers={"host": host})[0] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://desk:80"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://evil"}, 403),
        ({"origin": "http://desk:81"}, 403),
        ({"origin": "http://desk:80.evil"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://desk:80"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_what_changes_something_comes_from_a_page_of_its_own(headers, status, method):
    assert asked(door(), method=method, headers=headers)[0] == status


def test_a_token_is_brought_in_a_header_a_cookie_or_once_in_the_address():
    own = door(token=TOKEN, open_paths=("/health",))
    assert asked(own)[0] == 401
    assert asked(own, path="/health")[0] == 200
    assert asked(own, headers={"authorization": f"Bearer {TOKEN}"})[0] == 200
    assert asked(own, headers={"authorization": f"bearer {TOKEN}"})[0] == 200
    status, headers, page = asked(own, query=f"token={TOKEN}")
    assert status == 200
    assert b'content="0;url=/"' in page  # not left in the browser's history
    assert TOKEN.encode() not in page
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert asked(own, headers={"cookie": cookie.partition(";")[0]})[0] == 200


def test_who_has_no_token_is_shown_where_to_give_it_and_nothing_else():
    """What starts containers wants 200 at ``/``, asks with GET or HEAD, and knows neither the token nor the name."""
    own = door(token=TOKEN, front=True)
    seen = [asked(own, **how) for how in ({}, {"headers": {"host": "10.0.0.7:7860"}}, {"query": "token=another"})]
    assert {(status, page) for status, _, page in seen} == {(200, seen[0][2])}
    assert b'name="token"' in seen[0][2]
    assert not [headers for _, headers, _ in seen if b"set-cookie" in headers]
    assert asked(own, method="HEAD")[0] == 200
    assert asked(own, method="POST")[0] == 401
    assert asked(own, path="/history")[0] == 401
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert asked(own, headers=bearer)[2] == b""  # what is behind it
    assert asked(own, headers={**bearer, "host": "evil"})[0] == 421
    assert asked(door(front=True), headers={"host": "evil"})[0] == 421


@pytest.mark.parametrize(
    "wrong", ["", "a", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "é" * 20, "\x00", ";", '"', "\\073"]
)
def test_another_token_is_none(wrong):
    own = door(token=TOKEN)
    assert asked(own, headers={"authorization": f"Bearer {wrong}"})[0] == 401
    assert asked(own, headers={"cookie": f"polypatch-token={wrong}"})[0] == 401
    assert asked(own, query=f"token={wrong}")[0] == 401
    assert asked(own, path="/v1/fix", query=f"token={TOKEN}")[0] == 401
    assert asked(own, method="POST", query=f"token={TOKEN}")[0] == 401


@pytest.mark.parametrize("length", ["11", "99999999999999999999", "-1", "x", "", "1e1", "0x0", "²"])
def test_a_length_beyond_the_limit_or_none_at_all_is_refused(length):
    assert asked(door(body=10), method="POST", headers={"content-length": length})[0] == 413


def test_a_body_that_lies_about_its_length_is_cut_off():
    small = door(body=10)
    assert asked(small, method="POST", headers={"content-length": "3"}, body=(b"12345", b"67890"))[0] == 200
    assert asked(small, method="POST", headers={"content-length": "3"}, body=(b"12345", b"678901"))[0] is None
    assert asked(small, method="POST", body=(b"12345", b"678901", b"2"))[0] is None


def test_a_client_has_so_many_requests_and_more_as_time_passes():
    now = [0.0]
    own = door(allowance=Allowance(2.0, 3.0, clock=lambda: now[0]))
    assert [asked(own)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert asked(own, client="5.6.7.8")[0] == 200
    now[0] = 0.5
    assert [asked(own)[0] for _ in range(2)] == [200, 429]
    now[0] = 100.0
    assert [asked(own)[0] for _ in range(4)] == [200, 200, 200, 429]


def test_every_answer_says_what_a_browser_may_do_with_it():
    for status, headers, _ in (asked(door()), asked(door(), headers={"host": "evil"}), asked(door(token=TOKEN))):
        assert status in (200, 401, 421)
        assert b"default-src 'none'" in headers[b"content-security-policy"]
        assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
        assert headers[b"x-content-type-options"] == b"nosniff"


@given(st.dictionaries(st.sampled_from(["host", "origin", "cookie", "authorization", "content-length"]),
                       st.text(st.characters(max_codepoint=255), max_size=40)), st.text(max_size=30))  # fmt: skip
def test_whatever_is_sent_there_is_an_answer_and_none_without_the_token(headers, query):
    status, _, _ = asked(door(token=TOKEN), headers=headers, query=query)
    assert status in (401, 413, 421)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("localhost.evil", False), ("127.0.0.1.evil", False)],
)  # fmt: skip
def test_only_loopback_is_this_machine(host, own):
    assert is_loopback(host) is own
