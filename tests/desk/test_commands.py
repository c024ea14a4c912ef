"""``polypatch desk`` and ``polypatch serve`` on the command line: what they refuse, and a service from start to end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from cli.conftest import checkpoint, files, polypatch  # noqa: F401


def test_what_is_refused_before_a_model_is_loaded(polypatch, checkpoint, files, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    given = ("desk", checkpoint, "--no-memory", "--recipe", "polypatch-linear", "-q")
    assert "16 to 200" in polypatch(*given, "--token", "short").refused()
    assert "--memory is missing" in polypatch("desk", checkpoint, "-q").refused()
    assert "'xx'" in polypatch(*given, "--source", "xx").refused()
    assert "holds no saved edits" in polypatch("serve", tmp_path, "-q").refused()
    assert "nowhere: no such folder" in polypatch("serve", "nowhere", "-q").refused()
    monkeypatch.setattr("polypatch.cli.desk.EXTRA", ("no_such_package",))
    assert "pip install 'polypatch[desk]'" in polypatch(*given).refused()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("-edits")]


def test_an_address_that_is_taken_is_one_line(polypatch, checkpoint, files, tmp_path):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        out = ("--out", tmp_path / "mine", "--memory", files / "memory.txt", "-q")
        assert "--port 0 takes any" in polypatch("desk", checkpoint, *out, "--port", port).refused()


def test_what_is_refused_before_a_cluster_is_asked(polypatch, checkpoint, files, tmp_path, monkeypatch):  # noqa: F811
    assert "holds no saved edits" in polypatch("serve", tmp_path, "--ray", "auto", "-q").refused()
    how = ("--no-memory", "--recipe", "polypatch-linear", "--out", tmp_path / "e", "-q")
    assert polypatch("fix", checkpoint, "ba be bi", "class-1", *how).code == 0
    assert "--replicas is for --ray" in polypatch("serve", tmp_path / "e", "--replicas", 2, "-q").refused()
    assert "16 to 200" in polypatch("serve", tmp_path / "e", "--ray", "auto", "--token", "short", "-q").refused()
    pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
    nobody = "127.0.0.1:1"
    assert f"Ray at {nobody}: no cluster" in polypatch("serve", tmp_path / "e", "--ray", nobody, "-q").refused()


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--ray", "local")])
def test_a_service_from_start_to_end(more, polypatch, checkpoint, files, tmp_path):  # noqa: F811
    if more:
        pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
    made = polypatch(
        "fix", checkpoint, "ba be bi", "class-1", "--memory", files / "memory.txt", "--out", tmp_path / "e"
    )
    assert made.code == 0, made.err
    command = [sys.executable, "-m", "polypatch", "serve", str(tmp_path / "e"), "--port", "0", *more]
    environment = {"POLYPATCH_TOKEN": "a-token-for-a-test"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    at = re.match(r"http://[^\s]+/", process.stdout.readline())[0]

    def ask(path, body=None, token="a-token-for-a-test"):
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        asked = urllib.request.Request(at + path, None if body is None else json.dumps(body).encode(), headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())

    assert ask("health")["edits"] == 1
    assert ask("v1/predict", {"texts": ["ba be bi"]})["answers"][0]["answer"] == "class-1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask("v1/predict", {"texts": ["ba be bi"]}, token="another-token-that-is-none")
    assert ask("v1/fix", {"text": "do du fa", "label": "class-2"})["holds"]
    busy = polypatch("fix", tmp_path / "e", "ga gu", "class-1", "-q").refused()
    assert "another" in busy or "in use" in busy  # one writer at a time, through one session
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    log = polypatch("log", tmp_path / "e", "--json").json()
    assert len(log) == 2
