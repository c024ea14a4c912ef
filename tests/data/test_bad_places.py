"""A place that is no file to read, and folders with rows or names that are none: refused by name, without waiting."""

import json
import os
import socket
import threading

import pytest

from polypatch.data import load_data, load_edits, read_jsonl, write_jsonl
from polypatch.data.massive import read_massive
from polypatch.data.xnli import read_xnli
from polypatch.errors import DataError

from .conftest import write_table


def line(**fields):
    return json.dumps({"id": "a", "prompt": "The ferry leaves at noon.", "target_new": "no", **fields})


def without_waiting(path):
    """The message for a path; a reader that waits for ever is a failed test, not a hanging one."""
    messages = []

    def go():
        try:
            read_jsonl(path)
        except DataError as error:
            messages.append(str(error))

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(300)
    assert not thread.is_alive(), f"still reading {path}"
    (message,) = messages
    return message


def test_a_pipe_a_device_and_a_socket_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert without_waiting(tmp_path / "pipe") == (
        f"{tmp_path / 'pipe'}: cannot be read (a pipe or a device; save what comes out of it as a file, and give that)"
    )
    assert "a pipe or a device" in without_waiting(os.devnull)
    with socket.socket(socket.AF_UNIX) as server:
        home = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{home}/s")  # the path of a socket is at most 108 characters long
        os.close(home)
        assert "a pipe or a device" in without_waiting(tmp_path / "s")


def test_a_folder_a_loop_and_a_broken_path_are_refused(tmp_path):
    assert "cannot be read (a folder; give a file)" in without_waiting(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read (Too many levels" in without_waiting(tmp_path / "loop")
    assert "cannot be read (embedded null byte)" in without_waiting("e\0.jsonl")
    assert "cannot be read (Not a directory)" in without_waiting(__file__ + "/e.jsonl")


def test_a_dangling_link_says_where_it_points(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert f"no such file (a link to {tmp_path / 'gone'}, which is not there)" in without_waiting(tmp_path / "link")
    (tmp_path / "gone").write_text(line())
    assert len(read_jsonl(tmp_path / "link")) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    (tmp_path / "e.jsonl").write_text(line())
    (tmp_path / "e.jsonl").chmod(0)
    assert "cannot be read (Permission denied)" in without_waiting(tmp_path / "e.jsonl")


def test_an_id_made_of_a_file_name_is_always_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    path.write_text(line(id=None))
    edits = read_jsonl(path)
    assert edits[0].id == "caf?-1"
    write_jsonl(edits, tmp_path / "again.jsonl")


def test_nothing_that_is_read_becomes_a_path(tmp_path, massive_folder, xnli_folder):
    up = "../../up"
    for spec in (f"massive:{massive_folder}", f"xnli:{xnli_folder}", "hub:massive", "hub:xnli"):
        with pytest.raises(DataError, match=r"no text in '\.\./\.\./up'"):
            load_data(spec, languages=[up])
    names = sorted(tmp_path.rglob("*"))
    (tmp_path / "e.jsonl").write_text(line(id=up, target_new=up, locality={up: {"prompt": up, "ground_truth": up}}))
    edits = read_jsonl(tmp_path / "e.jsonl")
    assert (edits[0].id, list(edits[0].locality)) == (up, [up]), "text, like any other"
    assert load_data(f"jsonl:{tmp_path / 'e.jsonl'}").locality.keys() == {up}
    assert sorted(tmp_path.rglob("*")) == sorted([*names, tmp_path / "e.jsonl"])


def test_a_blank_row_of_massive_is_named(massive_folder):
    rows = [row.split("\t") for row in (massive_folder / "fr-FR.tsv").read_text(encoding="utf-8").splitlines()]
    rows[7][1] = " "
    write_table(massive_folder / "fr-FR.tsv", rows)
    with pytest.raises(DataError, match=rf"massive: row '{rows[7][0]}': empty or not text in 'fr': ' '; fill it in"):
        read_massive(massive_folder)
    assert load_edits("massive", massive_folder, ["en", "de"]), "a language that is not asked for is not read"


def test_a_blank_pair_of_xnli_is_named(xnli_folder):
    rows = [("Mgeni alikuja.", "Mgeni.")] * 12
    rows[4] = ("Mgeni alikuja.", "")
    write_table(xnli_folder / "test-sw.tsv.gz", rows)
    with pytest.raises(DataError, match=r"xnli: row '5': empty or not text in 'sw'"):
        read_xnli(xnli_folder)


def test_a_file_that_is_called_like_no_language_is_named(xnli_folder):
    for split in ("dev", "test"):
        copy = (xnli_folder / f"{split}-sw.tsv.gz").read_bytes()
        (xnli_folder / f"{split}-Swahili.tsv.gz").write_bytes(copy)
    with pytest.raises(DataError, match=r"xnli: 'Swahili' is not a lower-case ISO 639 language code"):
        read_xnli(xnli_folder)
    assert read_xnli(xnli_folder, ["sw"]).languages == ("en", "sw")
