"""A desk on a tiny model, and its service behind a door."""

import pytest

pytest.importorskip("fastapi", reason="the extra desk is not installed")

from fastapi.testclient import TestClient

from polypatch import attach
from polypatch.desk.desk import Desk
from polypatch.desk.listen import Address, app_of
from polypatch.testing import tiny_texts
from speaking import speaker, speaking_edits

MEMORY = {"en": tiny_texts(60), "de": tiny_texts(40, seed=3)}
NAME = "tiny <b>&amp;</b>"


@pytest.fixture
def opened(tiny, tmp_path):
    """A desk by family; closed at the end."""
    desks = []

    def get(family="bert", folder=tmp_path / "edits", recipe="polypatch", memory=MEMORY):
        model, tokenizer = tiny(family)
        edited = attach(model, tokenizer=tokenizer, memory=memory, recipe=recipe)
        desk = Desk(folder, edited, NAME)
        desk.__enter__()
        desks.append(desk)
        return desk

    yield get
    for desk in desks:
        desk.__exit__(None, None, None)
        desk.edited.unload()


@pytest.fixture
def desk(opened):
    return opened()


def client_of(desk, *, pages=True, token=None, **how):
    address = Address(token=token, names=("testserver",))
    return TestClient(app_of(desk, address, pages=pages), follow_redirects=False, **how)


@pytest.fixture
def client(desk):
    return client_of(desk)


@pytest.fixture
def speaking_desk(tmp_path):
    model, tokenizer = speaker("llama")
    edits = list(speaking_edits(3))
    edited = attach(model, tokenizer=tokenizer, memory={"en": tiny_texts(40)})
    with Desk(tmp_path / "edits", edited, "a speaker") as desk:
        desk.asked = edits
        yield desk
    edited.unload()
