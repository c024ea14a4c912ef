"""The service on a Ray cluster of two nodes, one of which is killed while people ask and correct."""

import os
import signal
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from desk.conftest import client_of
from desk.test_replicas import ASKED, edit_of, saved
from polypatch.desk import ray_serve
from polypatch.desk.door import Allowance
from polypatch.desk.ray_serve import REPLICA, WRITER, desk_on_ray
from polypatch.errors import InputError
from polypatch.store.artefact import read_artefact

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
pytestmark = pytest.mark.slow

FIXED = {"text": ASKED[0], "label": "class-1", "translations": {"de": ASKED[1]}, "id": "before"}
CHANGE, LATE = 60.0, 120.0
"""Seconds until a change is given up here, and in which a lost writer must be there again."""


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A change that hangs is to be seen before the test is over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_serve, "CHANGE", CHANGE)
        yield


@pytest.fixture(scope="module")
def nodes():
    """A head that only keeps the books, and two nodes that work."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as Nodes

    found = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        found.add_node(num_cpus=4)
    yield found
    found.shutdown()


def placed(name):
    """Of all that runs under a name of ours: the Ray node, and the process."""
    there = ray._private.state.actors().values()  # the public way asks a dashboard
    found = [one for one in there if one["State"] == "ALIVE" and one["ActorClassName"].endswith(name)]
    return [(one["Address"]["NodeID"], one["Pid"]) for one in found]


def lose(nodes, node_id):
    """All of a node is gone at once, as with a machine: the workers of a killed one would live a little longer."""
    (node,) = [one for one in nodes.worker_nodes if one.node_id == node_id]
    there = [process for name in (WRITER, REPLICA) for where, process in placed(name) if where == node_id]
    nodes.remove_node(node, allow_graceful=False)
    for process in there:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


class Asking(threading.Thread):
    """Asks until it is stopped, and writes down what came."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.stop, self.came = client, threading.Event(), []

    def run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            answer = self.client.post("/v1/predict", json={"texts": ASKED[:2]})
            said = tuple(one["answer"] for one in answer.json()["answers"]) if answer.status_code == 200 else None
            self.came.append((begun, time.monotonic(), answer.status_code, said))
            time.sleep(0.02)


@pytest.fixture(scope="module")
def killed(nodes, tmp_path_factory):
    """What came of a service whose writer's node was lost, with the replica that was there."""
    folder = tmp_path_factory.mktemp("killed")
    place, found = saved(folder), SimpleNamespace(folder=folder)
    with desk_on_ray(place, nodes.address, 3) as desk:
        client = client_of(desk, pages=False)
        client.app.allowance = Allowance(1e9, 1e9)
        found.fixed = client.post("/v1/fix", json=FIXED).json()
        askers = [Asking(client) for _ in range(2)]
        for asker in askers:
            asker.start()
        time.sleep(2)
        ((lost, _),) = placed(WRITER)
        there = [node for node, _ in placed(REPLICA)]
        assert (len(there), len(set(there))) == (3, 2), "one is lost with the writer's node, and one is not"
        found.writer = desk.edition.writer
        lose(nodes, lost)
        found.killed = time.monotonic()
        found.fixes = []
        while time.monotonic() < found.killed + LATE:
            answer = client.post("/v1/fix", json={"text": ASKED[2], "label": "class-2", "id": "after"})
            found.fixes.append(answer.status_code)
            if answer.status_code == 200:
                break
            time.sleep(0.5)
        found.back = time.monotonic()
        time.sleep(2)
        for asker in askers:
            asker.stop.set()
            asker.join()
        found.came = [one for asker in askers for one in asker.came]
        found.writer_after = desk.edition.writer
        found.history = [line["id"] for line in client.get("/v1/history").json()]
        found.last = [
            tuple(one["answer"] for one in client.post("/v1/predict", json={"texts": ASKED[:3]}).json()["answers"])
            for _ in range(6)
        ]
        found.reverted = client.post("/v1/revert", json={"ids": ["before", "after"]}).json()
        found.kept = desk.keep(edit_of(3))
    return found


def test_no_answer_is_wrong_and_what_is_not_answered_may_be_asked_again(killed):
    assert killed.fixed["kept"]
    assert {status for _, _, status, _ in killed.came} <= {200, 503}
    assert {said for _, _, status, said in killed.came if status == 200} == {("class-1", "class-1")}
    assert max(ended - begun for begun, ended, _, _ in killed.came) < ray_serve.ANSWER, "the loss is noticed"
    answered = [(begun, ended) for begun, ended, status, _ in killed.came if status == 200]
    assert [1 for begun, ended in answered if killed.killed < begun and ended < killed.back], (
        "none waits for the writer"
    )
    assert [1 for begun, _ in answered if begun > killed.back]


def test_the_writer_is_started_elsewhere_and_has_every_fix_that_was_answered(killed):
    assert killed.fixes[-1] == 200
    assert set(killed.fixes[:-1]) <= {503}
    assert killed.writer_after != killed.writer
    assert killed.history == ["before", "after"]


def test_every_replica_has_the_fix_that_came_after(killed):
    assert set(killed.last) == {("class-1", "class-1", "class-2")}
    assert killed.reverted == {"reverted": ["before", "after"], "edits": 0}


def test_the_folder_is_written_when_the_service_ends(killed):
    records = {one.outcome.edit_id: bool(one.reverted) for one in read_artefact(killed.folder / "edits").records}
    assert records == {"before": True, "after": True, "fix-3": False}
    assert not (killed.folder / ".edits.session").exists()


def test_what_cannot_be_is_said_in_a_line(nodes, killed, tmp_path):
    place = saved(tmp_path)
    with pytest.raises(InputError, match=r"--replicas 9: needs 10 cores, .* has 4; take fewer, or add nodes"):
        desk_on_ray(place, nodes.address, 9).__enter__()
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=str(tmp_path)) as caught:
        desk_on_ray(place, nodes.address, 1).__enter__()
    assert "\n" not in str(caught.value)


def test_without_ray_serve_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray.serve.exceptions", None)
    with pytest.raises(InputError, match=r"pip install 'polypatch\[desk,ray\]'"):
        ray_serve._serve_library()
