"""The cache: whole or not there, whatever happens in between."""

import json
import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from polypatch.errors import DataError
from polypatch.world import WorldConfig, build_world, cache_root, load_world, world_path
from polypatch.world.cache import CHECKSUMS, put, recipe_hash, verify


def _write(text):
    def write(folder):
        (folder / "a.txt").write_text(text)

    return write


def test_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYPATCH_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("POLYPATCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "polypatch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root().parts[-2:] == (".cache", "polypatch")


def test_every_number_of_the_recipe_is_in_the_path(tiny_config):
    assert recipe_hash(tiny_config) != recipe_hash(WorldConfig())
    assert world_path(0, tiny_config, "/c") != world_path(1, tiny_config, "/c")


def test_put_makes_a_whole_folder_and_leaves_nothing_beside(tmp_path):
    put(tmp_path / "w", _write("x"))
    verify(tmp_path / "w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_whole_world_that_came_first_stays(tmp_path):
    put(tmp_path / "w", _write("first"))
    put(tmp_path / "w", _write("second"))
    assert (tmp_path / "w" / "a.txt").read_text() == "first"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing(tmp_path, interruption):
    def write(folder):
        _write("half")(folder)
        raise interruption

    with pytest.raises(interruption):
        put(tmp_path / "w", write)
    assert list(tmp_path.iterdir()) == []


def _damage_byte(folder):
    (folder / "a.txt").write_text("y")


def _remove_file(folder):
    (folder / "a.txt").unlink()


def _add_file(folder):
    (folder / "b.txt").write_text("new")


def _break_checksums(folder):
    (folder / CHECKSUMS).write_text("{")


@pytest.mark.parametrize("damage", [_damage_byte, _remove_file, _add_file, _break_checksums])
def test_damage_is_found_and_mended(tmp_path, damage):
    folder = tmp_path / "w"
    put(folder, _write("x"))
    damage(folder)
    with pytest.raises(DataError, match="build it again"):
        verify(folder)
    put(folder, _write("x"))
    verify(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_another_builder_finishes_first(tmp_path):
    def write(folder):
        put(tmp_path / "w", _write("theirs"))
        _write("ours")(folder)

    put(tmp_path / "w", write)
    verify(tmp_path / "w")
    assert (tmp_path / "w" / "a.txt").read_text() == "theirs"


def test_many_builders_at_once(tmp_path):
    barrier = threading.Barrier(8)

    def write(folder):
        _write("same")(folder)
        barrier.wait(timeout=300)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(put, tmp_path / "w", write) for _ in range(8)]:
            future.result()
    verify(tmp_path / "w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_built_world_is_not_built_again(tiny_world, tiny_cache, tiny_config):
    calls = []
    path = build_world(3, tiny_cache, lambda *call: calls.append(call), tiny_config)
    assert path == tiny_world.path
    assert calls == []


def test_a_damaged_world_is_built_again_and_said(tiny_world, tiny_config, tmp_path, caplog):
    folder = world_path(3, tiny_config, tmp_path)
    shutil.copytree(tiny_world.path, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        again = load_world(3, tmp_path, config=tiny_config)
    assert "built again" in caplog.text
    verify(again.path)
    assert json.loads((again.path / CHECKSUMS).read_text()) == json.loads((tiny_world.path / CHECKSUMS).read_text())


def test_a_cache_that_cannot_be_written_names_the_fix(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="POLYPATCH_CACHE"):
        put(tmp_path / "file" / "w", _write("x"))


def test_a_file_in_the_place_of_the_world_is_replaced(tmp_path):
    (tmp_path / "w").write_text("not a folder")
    put(tmp_path / "w", _write("x"))
    verify(tmp_path / "w")
