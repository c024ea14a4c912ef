"""The service: what Python says it says, an edit is seen whole or not at all, and nonsense breaks nothing."""

import json
import random
import shutil
import threading

import numpy as np

import polypatch as pp
from desk.conftest import MEMORY, client_of
from polypatch.desk.door import Allowance
from polypatch.testing import tiny_model, tiny_texts

ASKED = tiny_texts(12, seed=9)
PAIR = ["a premise", "a hypothesis"]


def said(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def bits(desk):
    return {name: tensor.tobytes() for name, tensor in ((n, t.numpy()) for n, t in desk.edited.delta.tensors().items())}


def test_it_answers_as_the_model_does(desk, client):
    answers = said(client.post("/v1/predict", json={"texts": ASKED}))
    assert [one["answer"] for one in answers["answers"]] == desk.edited.predict(ASKED)
    shares = desk.edited.predict_proba(ASKED).max(1)
    np.testing.assert_allclose([one["probability"] for one in answers["answers"]], shares, atol=1e-6)
    assert answers["edits"] == 0


def test_the_life_of_a_fix(desk, client):
    text, other = ASKED[:2]
    (was,) = said(client.post("/v1/predict", json={"texts": [text]}))["answers"]
    label = next(name for name in desk.edited.labels.values() if name != was["answer"])
    wanted = {"text": text, "label": label, "translations": {"de": other}, "id": "mine"}
    before = bits(desk)
    trial = said(client.post("/v1/fix", json={**wanted, "keep": False}))
    assert (trial["holds"], trial["kept"], bits(desk), desk.inside) == (True, False, before, 0)
    fixed = said(client.post("/v1/fix", json=wanted))
    assert (fixed["holds"], fixed["kept"], fixed["id"]) == (True, True, "mine")
    assert [one["after"] for one in fixed["texts"]] == [one["after"] for one in trial["texts"]]
    answers = said(client.post("/v1/predict", json={"texts": [text, other]}))
    assert ([one["answer"] for one in answers["answers"]], answers["edits"]) == ([label, label], 1)
    why = said(client.post("/v1/explain", json={"text": text}))
    assert (why["unedited"]["label"], why["causes"][0]["edit"]) == (was["answer"], "mine")
    assert why["causes"][0]["request"] == {"lang": "en", "prompt": text, "target": label}
    assert why == json.loads(json.dumps(desk.edited.explain(text).to_plain()))
    (line,) = said(client.get("/v1/history"))
    assert (line["id"], line["status"]) == ("mine", "taken")
    refused = said(client.post("/v1/fix", json={**wanted, "label": was["answer"], "id": "other"}), 409)
    assert refused["edits"] == ["mine", "other"]
    assert said(client.post("/v1/revert", json={"ids": ["mine"]}))["edits"] == 0
    assert said(client.post("/v1/predict", json={"texts": [text]}))["answers"] == [was]
    assert said(client.get("/v1/history?status=reverted"))[0]["id"] == "mine"
    assert said(client.post("/v1/revert", json={"ids": ["mine"]}), 422)
    assert desk.again("mine").success
    assert said(client.get("/health"))["edits"] == 1


def test_every_fix_is_on_disk_when_the_answer_comes(opened, tmp_path):
    """A copy of the disk while the desk is open, as after a kill: who opens it has all that was answered."""
    desk = opened(folder=tmp_path / "edits")
    client = client_of(desk)
    for i, text in enumerate(ASKED[:3]):
        said(client.post("/v1/fix", json={"text": text, "label": "class-1", "id": f"fix-{i}"}))
    answers = desk.edited.predict(ASKED)
    copied = tmp_path / "after"
    shutil.copytree(tmp_path / ".edits.session", copied / ".edits.session")
    model, tokenizer = tiny_model("bert")
    again = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    with pp.Session(copied / "edits", again):
        assert list(again.records) == ["fix-0", "fix-1", "fix-2"]
        assert again.predict(ASKED) == answers
    again.unload()


def test_requests_see_an_edit_whole_or_not_at_all(desk, client):
    """Two texts of one edit, asked while it comes and goes: both right, or both as they were."""
    first, second = ASKED[:2]
    old = desk.edited.predict([first, second])
    label = next(name for name in desk.edited.labels.values() if name not in old)
    seen, stop = set(), threading.Event()

    def ask():
        while not stop.is_set():
            found = desk.answers([first, second])
            seen.add((found.edits, tuple(one.label for one in found.answers)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(6):
        said(
            client.post("/v1/fix", json={"text": first, "label": label, "translations": {"de": second}, "id": f"e{i}"})
        )
        said(client.post("/v1/revert", json={"ids": [f"e{i}"]}))
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == {(0, tuple(old)), (1, (label, label))}


def test_several_may_correct_at_once(desk, client):
    found = []

    def fix(i):
        answer = client.post("/v1/fix", json={"text": ASKED[i], "label": "class-1", "id": f"fix-{i}"})
        found.append(said(answer)["holds"])

    threads = [threading.Thread(target=fix, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8
    assert {line.record.outcome.edit_id for line in desk.history()} == {f"fix-{i}" for i in range(8)}
    assert desk.edited.predict(ASKED[:8]) == ["class-1"] * 8


def test_a_disk_that_refuses_leaves_the_model_as_it_was(desk, client, monkeypatch):
    def refuse(*_, **__):
        raise pp.errors.JournalError("the disk is full")

    before, answers = bits(desk), desk.edited.predict(ASKED)
    monkeypatch.setattr(desk.session.journal, "add", refuse)
    assert "disk is full" in client.post("/v1/fix", json={"text": ASKED[0], "label": "class-1"}).text
    assert (bits(desk), desk.edited.predict(ASKED), desk.inside) == (before, answers, 0)


def test_it_counts(desk, client):
    said(client.post("/v1/predict", json={"texts": ASKED}))
    client.get("/no/such/path/../../etc")
    counted = client.get("/metrics").text
    assert f"polypatch_texts_total {len(ASKED)}.0" in counted
    assert 'polypatch_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in counted
    assert 'path="other",status="404"' in counted
    assert "etc" not in counted  # what a stranger calls a path is no name of a series
    assert "polypatch_edits 0.0" in counted


def test_the_schema_names_every_path(client):
    schema = said(client.get("/openapi.json"))
    paths = (
        "/v1/predict",
        "/v1/generate",
        "/v1/explain",
        "/v1/fix",
        "/v1/revert",
        "/v1/history",
        "/health",
        "/metrics",
    )
    assert set(paths) <= set(schema["paths"])
    assert not [path for path in schema["paths"] if path in ("/ask", "/keep")]  # pages are for people


NUMBERS = (0, -1, 2**63, 1e308, True, None)
WORDS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "a" * 30_000,
    "‮\u0000",
    "'; DROP TABLE",
    "../../etc/passwd",
    "{{7*7}}",
    "<script>",
    "🏳️‍🌈" * 500,
)


def nonsense(rng):
    """A body that no honest client sends."""
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    if kind == 1:
        return b"[" * rng.randrange(1, 3000)
    value = rng.choice([*NUMBERS, *WORDS, [], {}, [[]], {"a": {}}])
    keys = ["texts", "text", "label", "translations", "ids", "source", "id", "keep", "more"]
    body = {rng.choice(keys): rng.choice([value, [value], {"de": value}, {value if isinstance(value, str) else "x": 1}])
            for _ in range(rng.randrange(1, 5))}  # fmt: skip
    return json.dumps(body, ensure_ascii=True).encode()


def test_a_thousand_hostile_requests(desk):
    rng, client = random.Random(0), client_of(desk)
    client.app.allowance = Allowance(1e9, 1e9)  # else the last ones get no further than that
    before, statuses = bits(desk), set()
    paths = ["/v1/predict", "/v1/generate", "/v1/explain", "/v1/fix", "/v1/revert", "/v1/history", "/ask", "/trial",
             "/keep", "/undo", "/again", "/edit", "/why", "/static/../pages.py", "/static/%2e%2e/desk.py",
             "/..%2f..%2f", "/export/../../x", "//evil", "/%00", "/history"]  # fmt: skip
    for _ in range(1000):
        path, method = rng.choice(paths), rng.choice(["POST", "POST", "POST", "GET", "PUT", "DELETE"])
        headers = {"content-type": rng.choice(["application/json", "text/plain", "multipart/form-data; boundary=x",
                                               "application/x-www-form-urlencoded", ""])}  # fmt: skip
        if rng.random() < 0.2:
            headers["origin"] = rng.choice(["http://evil", "null", "https://testserver.evil"])
        if rng.random() < 0.1:
            headers["host"] = rng.choice(["evil", "127.0.0.1.evil", ""])
        if rng.random() < 0.1:
            headers["cookie"] = "polypatch-token=" + "x" * rng.randrange(5000)
        answer = client.request(method, path, content=nonsense(rng), headers=headers)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (method, path, answer.text)
        assert "Traceback" not in answer.text
        if "host" in headers:
            assert answer.status_code == 421
        elif "origin" in headers and method != "GET":
            assert answer.status_code == 403
    assert bits(desk) == before
    assert desk.inside == 0
    assert {403, 404, 405, 421, 422} <= statuses
    assert said(client.post("/v1/predict", json={"texts": ASKED}))["edits"] == 0


def test_pairs_go_in_as_lists_of_two(desk, client):
    answer = said(client.post("/v1/predict", json={"texts": [PAIR]}))["answers"][0]
    assert answer["answer"] == desk.edited.predict(tuple(PAIR))


def test_a_language_model_generates_and_does_not_predict(speaking_desk):
    client = client_of(speaking_desk)
    texts = [edit.prompt["en"] for edit in speaking_desk.asked]
    answers = said(client.post("/v1/generate", json={"texts": texts}))["answers"]
    assert [one["answer"] for one in answers] == speaking_desk.edited.predict(texts)
    assert "/v1/generate" in client.post("/v1/predict", json={"texts": texts}).text
    edit = speaking_desk.asked[0]
    fixed = said(client.post("/v1/fix", json={"text": edit.prompt["en"], "label": {"en": edit.target["en"]}}))
    assert fixed["holds"]
    assert said(client.post("/v1/generate", json={"texts": texts[:1]}))["answers"][0]["answer"] == edit.target["en"]
    assert said(client.post("/v1/explain", json={"text": texts[0]}))["tokens"]
