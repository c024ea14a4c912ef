"""The token in an address that a page of another site links to, or shows in a frame, in a real browser."""

import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn

from desk.test_browser import browser, pytestmark  # noqa: F401
from polypatch.desk.door import Door

TOKEN = "a-token-for-a-test"


async def behind(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"inside"})


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def address():
    """Something behind a door, at 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        door = Door(behind, hosts=["127.0.0.1"], token=TOKEN)
        server = uvicorn.Server(uvicorn.Config(door, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def elsewhere(tmp_path, address):
    """A page of another site, which a browser takes localhost for."""
    (tmp_path / "index.html").write_text(
        f'<a href="{address}?token={TOKEN}">Open</a><iframe src="{address}?token={TOKEN}"></iframe>', encoding="utf-8"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield f"http://localhost:{site.server_port}/"
        site.shutdown()
        thread.join(30)


@pytest.fixture
def page(browser, elsewhere):  # noqa: F811
    context = browser.new_context()
    made = context.new_page()
    made.goto(elsewhere)
    yield made
    context.close()


def test_a_link_opens_it_and_the_token_stays_in_no_history(page, address, elsewhere):
    page.get_by_role("link", name="Open").click()
    page.wait_for_url(address)
    assert page.inner_text("body") == "inside"
    page.go_back()
    assert page.url == elsewhere


def test_no_frame_shows_it(page):
    (frame,) = page.frames[1:]
    frame.wait_for_url("chrome-error://**")
    assert "inside" not in frame.content()
