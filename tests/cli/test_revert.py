import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from polypatch.edited_model import EditedModel
from polypatch.store import folder as folders
from polypatch.store import write
from polypatch.store.artefact import read_artefact
from polypatch.store.cut import without
from polypatch.store.write import write_artefact

OLD = next(path.parent for path in (Path(__file__).parents[1] / "fixtures" / "format-1").rglob("edit_config.json"))


@pytest.fixture
def folder(edited, tmp_path):
    """A copy of the saved edits that may be changed."""
    shutil.copytree(edited / "edits", tmp_path / "edits")
    return tmp_path / "edits"


@pytest.fixture
def taken(edited):
    """An edit with neurons."""
    return read_artefact(edited / "edits").owners[0]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_edits_neurons_go_and_the_history_says_when(polypatch, folder, taken):
    before = read_artefact(folder)
    ran = polypatch("revert", folder, taken)
    assert ran.code == 0, ran.err
    assert taken in ran.out
    assert "report" in ran.out
    after = read_artefact(folder)
    assert taken not in after.owners
    assert len(after.owners) == len(before.owners) - before.owners.count(taken)
    assert len(after.records) == len(before.records)
    (record,) = [record for record in after.records if record.reverted]
    assert record.outcome.edit_id == taken
    assert record.reverted.startswith("20")
    assert (before.report is not None, after.report) == (True, None)
    assert "reverted" in (folder / "README.md").read_text(encoding="utf-8")


def test_it_is_what_the_model_would_have_done(polypatch, folder, taken, tmp_path):
    model = EditedModel.from_pretrained(folder)
    model.revert(taken)
    model.save_pretrained(tmp_path / "by-model")
    model.unload()
    assert polypatch("revert", folder, taken).code == 0
    for name in ("edits.safetensors",):
        assert (folder / name).read_bytes() == (tmp_path / "by-model" / name).read_bytes()
    own = {"checksum", "checksums"}
    configs = [read_artefact(where).config for where in (folder, tmp_path / "by-model")]
    assert len({json.dumps({k: v for k, v in c.items() if k not in own}, sort_keys=True) for c in configs}) == 1


def test_all_of_them_give_the_unedited_model(polypatch, folder):
    said = polypatch("revert", folder, "--all", "--json").json()
    assert said["edits"] == said["patches"] == 0
    assert len(said["reverted"]) == 6
    model = EditedModel.from_pretrained(folder)
    assert model.patches == 0
    model.unload()
    assert "no edit is left" in polypatch("revert", folder, "--all").refused()


def test_into_another_folder(polypatch, folder, taken, tmp_path):
    before = contents(folder)
    assert polypatch("revert", folder, taken, "--out", tmp_path / "deep" / "fewer").code == 0
    assert contents(folder) == before
    assert taken not in read_artefact(tmp_path / "deep" / "fewer").owners
    assert "--out" in polypatch("revert", folder, taken, "--out", tmp_path / "deep" / "fewer").refused()


def test_what_cannot_be_taken_back_leaves_everything_as_it_was(polypatch, folder, taken, tmp_path):
    before = contents(folder)
    message = polypatch("revert", folder, taken, "tiny0").refused()
    assert "'tiny0'" in message
    assert "tiny-0" in message
    polypatch("revert", folder, "gone", "--out", tmp_path / "new" / "edits").refused()
    assert not (tmp_path / "new").exists()
    assert "--all" in polypatch("revert", folder).refused()
    assert "not both" in polypatch("revert", folder, taken, "--all").refused()
    assert contents(folder) == before
    assert polypatch("revert", folder, taken).code == 0
    assert "reverted already" in polypatch("revert", folder, taken).refused()


def test_newcomers(polypatch, tmp_path):
    assert "no such folder" in polypatch("revert", tmp_path / "gone", "x").refused()
    assert "no saved edits" in polypatch("revert", tmp_path, "x").refused()
    shutil.copytree(OLD, tmp_path / "old")
    assert "format 1" in polypatch("revert", tmp_path / "old", "--all").refused()


def test_changed_weights_are_shared(polypatch, reweighted):
    message = polypatch("revert", reweighted, "tiny-0").refused()
    assert "share" in message
    assert "memory=" in message


def test_only_one_process_at_a_time(polypatch, folder, taken):
    before = contents(folder)
    with FileLock(folder.with_name(".edits.lock")):
        assert "another process" in polypatch("revert", folder, taken).refused()
    assert contents(folder) == before
    assert polypatch("revert", folder, taken).code == 0


@pytest.mark.parametrize("fails", [(write, "write_synced"), (folders, "_swap")])
def test_a_full_disk_leaves_the_old_edits(polypatch, folder, taken, monkeypatch, fails):
    before = contents(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*fails, full)
    assert "No space left" in polypatch("revert", folder, taken).refused()
    assert contents(folder) == before
    assert {path.name for path in folder.parent.iterdir()} == {"edits"}


def test_a_kill_between_the_two_renames_loses_nothing(polypatch, folder, taken, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(staging, place):
        place.rename(folders.aside(place))
        raise Killed

    before = contents(folder)
    with monkeypatch.context() as patched:
        patched.setattr(folders, "_swap", killed)
        with pytest.raises(Killed):
            polypatch("revert", folder, taken)
    assert not folder.exists()
    assert polypatch("ls", folder.parent).code == 0
    assert polypatch("revert", folder, taken).code == 0
    assert taken not in read_artefact(folder).owners
    assert set(before) - set(contents(folder)) == {"report.json"}
    assert not folders.aside(folder).exists()


def test_a_link_stays_a_link(polypatch, folder, taken, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert polypatch("revert", tmp_path / "link", taken).code == 0
    assert (tmp_path / "link").is_symlink()
    assert taken not in read_artefact(folder).owners


def test_order_does_not_matter(folder, tmp_path):
    whole = read_artefact(folder)
    first, last = whole.owners[0], whole.owners[-1]
    together = without(whole, [first, last], "2026-01-01T00:00:00+00:00")
    one_by_one = without(without(whole, [last], "2026-01-01T00:00:00+00:00"), [first], "2026-01-01T00:00:00+00:00")
    if first != last:
        a, b = (write_artefact(tmp_path / name, one) for name, one in (("a", together), ("b", one_by_one)))
        assert contents(a) == contents(b)


def test_a_resumed_run_does_not_bring_it_back(polypatch, checkpoint, files, edited, taken, tmp_path):
    shutil.copytree(edited, tmp_path / "run")
    assert polypatch("revert", tmp_path / "run", taken).code == 0
    line = (edited / "report.md").read_text(encoding="utf-8").split("```")[1].strip()
    argv = [str(tmp_path / "run") if word == str(edited) else word for word in line.split()[1:]]
    message = polypatch(*argv, "--resume").refused()
    assert taken in message
    assert "polypatch save" in message
    assert taken not in read_artefact(tmp_path / "run" / "edits").owners
