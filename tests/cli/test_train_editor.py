"""`polypatch train-editor`: a net that `polypatch edit --net` takes, a Ctrl-C, and what is done wrong."""

import json
import signal

import pytest

from polypatch.data import write_jsonl
from polypatch.testing import tiny_edits, tiny_texts
from stopping import signalled, stopped

SMALL = ("rank=8", "steps=8", "edits=40", "batch=4", "memory_rows=8", "validate_every=2")
FAST = [part for one in SMALL for part in ("--set", one)]


@pytest.fixture
def given(checkpoint, tmp_path):
    """A model, a file of edits and one of texts."""
    write_jsonl(tiny_edits(4, ("en", "de")), tmp_path / "edits.jsonl")
    rows = [{"lang": ("en", "de")[i % 2], "text": text} for i, text in enumerate(tiny_texts(80))]
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    data = ("--data", tmp_path / "edits.jsonl", "--memory", tmp_path / "texts.jsonl", "--quiet")
    return ("train-editor", checkpoint, *data), ("edit", checkpoint, *data)


def test_the_whole_way(polypatch, given, tmp_path):
    """Trained, described, and edited with; the edits name the net."""
    train, edit = given
    ran = polypatch(*train, "--recipe", "mend-mpn", *FAST, "--out", tmp_path / "net", "--json")
    assert ran.code == 0, ran.err
    facts = ran.json()
    assert (facts["editor"]["rank"], facts["steps"], facts["practice_edits"] <= 40) == (8, 8, True)
    assert facts["command"].startswith("polypatch train-editor")
    assert facts["history"][0]["step"] == 0
    ran = polypatch(
        *edit, "--recipe", "mend-mpn", "--net", tmp_path / "net", "--keep-failed", "--out", tmp_path / "run"
    )
    assert ran.code == 0, ran.err
    assert f'"net": "{tmp_path / "net"}"' in (tmp_path / "run" / "edits" / "edit_config.json").read_text()
    again = (*train, "--recipe", "mend-mpn", *FAST, "--out", tmp_path / "net")
    assert "exists; take another --out, or add --overwrite" in polypatch(*again).refused()
    assert polypatch(*again, "--overwrite", "--seed", 1).code == 0
    how = ("--recipe", "mend-mpn", "--net", tmp_path / "net", "--keep-failed", "--out", tmp_path / "run", "--resume")
    assert "belongs to another run: trained net was" in polypatch(*edit, *how).refused()


def test_ctrl_c_loses_no_step(given, tmp_path):
    train, _ = given
    words = [*train[:-1], "--recipe", "ke", *FAST[2:], "--set", "inner=8", "--out", tmp_path / "net"]
    process = stopped(words, "polypatch.training.net_course:NetCourse.loss", 4)
    code, out, err = signalled(process, signal.SIGINT)
    assert (code, out) == (130, "")
    assert "stopping after this step" in err
    assert "the same command with --resume goes on" in err
    assert sorted(path.name for path in (tmp_path / "net.training").iterdir()) == ["started.json", "state.safetensors"]
    process = stopped([*words, "--resume"], "polypatch.training.net_course:NetCourse.loss", 1)
    code, out, err = signalled(process, signal.SIGCONT)
    assert code == 0, err
    assert "of 8)" in out, "it went on at step 4, and ended at 8"
    assert not (tmp_path / "net.training").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--out is missing"),
        (("--out", "x", "--resume", "--overwrite"), "give one of them"),
        (
            ("--out", "x", "--recipe", "mpn-all"),
            "TPatcher has no net to train; the recipes that have are mend,",
        ),
        (("--out", "x", "--recipe", "nothing"), "no recipe is called 'nothing'"),
        (("--out", "x", "--set", "nothing=1"), "--set nothing: neither the training nor the editor has it"),
        (("--out", "x", "--set", "steps=0"), "steps must be a whole number at least 1"),
        (("--out", "x", "--set", "rank=x"), "'x' is not a whole number"),
        (("--out", "x", "--set", "net=y"), "--set net: neither"),
    ],
)
def test_what_is_refused(polypatch, given, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in polypatch(*given[0], *words).refused()
    assert not (tmp_path / "x").exists()


def test_data_are_asked_for_and_a_net_that_is_not_there(polypatch, given, checkpoint, tmp_path):
    assert "--data is missing" in polypatch("train-editor", checkpoint, "--out", tmp_path / "net").refused()
    gone, other = ("--recipe", "mend", "--net", tmp_path / "gone"), ("--recipe", "mpn-all", "--net", "net")
    assert "no such folder" in polypatch(*given[1], *gone, "--out", tmp_path / "run").refused()
    assert not (tmp_path / "run").exists()
    assert "its editor has no setting 'net'" in polypatch(*given[1], *other, "--out", tmp_path / "another").refused()


def test_without_a_net_that_is_said(polypatch, given, tmp_path):
    with pytest.warns(UserWarning, match="without a trained net"):
        ran = polypatch(*given[1], "--recipe", "mend", "--out", tmp_path / "run")
    assert ran.code == 0
