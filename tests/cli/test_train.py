"""`polypatch train`: a folder that `polypatch edit` takes, a dry run, and what newcomers do wrong."""

import importlib.util
import json
import random

import pytest
from transformers import AutoModelForSequenceClassification

from polypatch.data import write_jsonl
from polypatch.edits import Edit
from polypatch.training import classifier as work
from polypatch.training.callbacks import ProgressCallback
from polypatch.training.classifier import TrainedFolder

FAST = ("--set", "batch_size=8", "--set", "warmup_steps=2", "--set", "learning_rate=1e-3", "--max-steps", "12", "-q")
WORDS = {"SUPPORTS": "indeed", "REFUTES": "never"}


@pytest.fixture
def claims(tmp_path):
    """A file of claims in two languages whose label is a word."""
    rng = random.Random("claims")
    path = tmp_path / "claims.jsonl"
    rows = [
        {"text": f"{' '.join(rng.choices('abcdefgh', k=3))} {WORDS[label]}", "label": label, "lang": lang, "id": i}
        for i in range(24)
        for label in [tuple(WORDS)[i % 2]]
        for lang in ("en", "de")
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"jsonl:{path}"


@pytest.fixture
def train(polypatch, claims, tmp_path):
    """A training that is refused, and leaves nothing behind."""

    def refused(*more, model="new:small", preset="xfever", data=claims, split="0.75"):
        given = [model] if model else []
        for name, value in (("--preset", preset), ("--data", data), ("--split", split)):
            given += [name, value] if value else []
        message = polypatch("train", *given, "--out", tmp_path / "out", *FAST, *more).refused()
        assert not (tmp_path / "out").exists()
        return message

    return refused


def test_the_whole_way(polypatch, claims, tmp_path):
    """Trained, described, asked, and edited."""
    out = tmp_path / "small"
    given = ("train", "new:small", "--preset", "xfever", "--data", claims, "--split", "0.75", "--out", out, *FAST)
    ran = polypatch(*given, "--languages", "en", "--eval-languages", "de", "--json")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "small.training").exists()
    found = ran.json()
    assert found["steps"] == 12
    assert found["labels"] == ["REFUTES", "SUPPORTS"]
    assert set(found["accuracy_by_language"]) == {"en", "de"}
    assert found["command"].startswith("polypatch train new:small --preset xfever")
    config = AutoModelForSequenceClassification.from_pretrained(out).config
    assert config.id2label == {0: "REFUTES", 1: "SUPPORTS"}
    assert not list(out.glob("*.bin"))  # no pickle
    card = (out / "README.md").read_text()
    assert "| batch_size | 8 | 128 |" in card
    assert "![Loss and validation accuracy by step](training.png)" in card
    assert str(tmp_path) not in card
    assert (out / "training.png").read_bytes()[:4] == b"\x89PNG"

    edit = Edit("one", {"en": "a b never"}, {"en": "SUPPORTS"})
    write_jsonl([edit], tmp_path / "edits.jsonl")
    ran = polypatch(
        "edit",
        out,
        "--data",
        f"jsonl:{tmp_path / 'edits.jsonl'}",
        "--out",
        tmp_path / "run",
        "--no-memory",
        "-q",
        *("--recipe", "polypatch-linear"),
    )
    assert ran.code == 0, ran.err

    assert "exists" in polypatch(*given).refused()
    assert "written; validation accuracy" in polypatch(*given, "--resume").out  # nothing left to do


def test_interrupted_and_resumed(polypatch, claims, tmp_path, monkeypatch):
    base = (
        "train",
        "new:small",
        "--preset",
        "xfever",
        "--data",
        claims,
        "--split",
        "0.75",
        *FAST,
        "--evaluate-every",
        4,
    )
    assert polypatch(*base, "--out", tmp_path / "whole").code == 0
    told = ProgressCallback._tell

    def stopping(self, state):
        told(self, state)
        if state.global_step == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ProgressCallback, "_tell", stopping)
        ran = polypatch(*base, "--out", tmp_path / "cut")
    assert ran.code == 130
    assert "--resume goes on" in ran.err
    assert not (tmp_path / "cut").exists()
    assert "not finished" in polypatch(*base, "--out", tmp_path / "cut").refused()
    other = polypatch(*base, "--out", tmp_path / "cut", "--seed", 1, "--resume").refused()
    assert "belongs to another run: seed was 0 and is 1 now; give the same command, or --overwrite" in other
    assert polypatch(*base, "--out", tmp_path / "cut", "--resume").code == 0
    one, two = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()
    records = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("whole", "cut")]
    assert records[0]["history"] == records[1]["history"]
    assert polypatch(*base, "--out", tmp_path / "cut", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("preset", "steps", "parameters"), [("xfever", "13,140", "177,854,978"), ("xnli", "18,408", "177,855,747")]
)
def test_a_dry_run_with_mbert_s_sizes(polypatch, monkeypatch, preset, steps, parameters):
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", None)  # nothing is looked for
    ran = polypatch("train", "--preset", preset, "--dry-run", "--like", "mbert")
    assert ran.code == 0
    for said in (steps, parameters, "0 to 3e-05 in 500 warm-up steps", "GiB", "weights 4P"):
        assert said in ran.out
    plain = polypatch("train", "--preset", preset, "--dry-run", "--like", "mbert", "--json").json()
    assert f"{plain['parameters']:,}" == parameters
    assert f"{plain['steps']:,}" == steps


def test_a_dry_run_writes_nothing(polypatch, claims, tmp_path):
    before = sorted(tmp_path.iterdir())
    ran = polypatch("train", "new:small", "--preset", "xfever", "--data", claims, "--split", "0.5", "--dry-run", *FAST)
    assert ran.code == 0
    assert "training rows  24" in ran.out
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_said(polypatch):
    assert "--preset is missing" in polypatch("train").refused()
    assert "MODEL is missing" in polypatch("train", "--preset", "xnli").refused()
    assert "--data is missing" in polypatch("train", "new:small", "--preset", "xnli").refused()
    assert "--out is missing" in polypatch("train", "new:small", "--preset", "xnli", "--data", "jsonl:a").refused()


def test_an_unknown_preset(train):
    assert "xfever, xnli" in train(preset="mnli")


@pytest.mark.parametrize("data", ["csv:a.csv", "jsonl", "jsonl:gone.jsonl", "xnli:gone", "massive:gone"])
def test_missing_data(train, data):
    assert data.rpartition(":")[2] in train(data=data)


def test_no_validation_rows(train):
    assert "--split 0.9" in train(split=None)


def test_labels_that_do_not_match(train):
    message = train(preset="xnli")
    assert "'REFUTES'" in message or "'SUPPORTS'" in message
    assert "--labels data" in message


@pytest.mark.parametrize("model", ["./gone", "/no/where", "world"])
def test_a_model_that_is_none(train, model):
    assert model in train(model=model)


def test_an_unknown_setting(train):
    assert "'epoch'" in train("--set", "epoch=3")
    assert "many" in train("--set", "epochs=many")


def test_a_warm_up_that_never_ends(train):
    assert "--set warmup_steps=1" in train("--set", "warmup_steps=500")


def test_an_existing_folder(polypatch, claims, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    given = ("train", "new:small", "--preset", "xfever", "--data", claims, "--split", "0.5", "--out", tmp_path / "out")
    assert "exists" in polypatch(*given).refused()
    assert "holds no checkpoint" in polypatch(*given, "--overwrite").refused()
    (tmp_path / "out2.training").mkdir()
    assert "in the way" in polypatch(*given[:-1], tmp_path / "out2").refused()


def test_without_accelerate(train, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "accelerate" else found(name, *more)
    )
    assert "pip install 'polypatch[train]'" in train()


def test_options_that_exclude_each_other(polypatch):
    assert "--resume" in polypatch("train", "a", "--preset", "xnli", "--resume", "--overwrite").refused()
    assert "--dry-run" in polypatch("train", "--preset", "xnli", "--like", "mbert").refused()
    assert "mbert" in polypatch("train", "--preset", "xnli", "--dry-run", "--like", "mbertha").refused()


def test_a_checkpoint_with_an_own_vocabulary_of_labels(polypatch, checkpoint, tmp_path):
    """A tiny encoder from a folder, on labels of the data."""
    rows = [{"text": f"ba {i}", "label": f"class-{i % 3}"} for i in range(18)]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = f"jsonl:{tmp_path / 'a.jsonl'}"
    given = ("train", checkpoint, "--preset", "xnli", "--data", data, "--validation", data, "--labels", "data")
    ran = polypatch(*given, "--out", tmp_path / "out", "--max-steps", 2, "--set", "warmup_steps=0")
    assert ran.code == 0, ran.err
    assert "18 of 18 validation texts are trained on" in ran.err
    assert f"# {checkpoint.name}, fine-tuned" in (tmp_path / "out" / "README.md").read_text()


def test_a_process_that_is_not_the_first_writes_nothing(polypatch, claims, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(work, "fine_tune", lambda *_, **__: type("Trained", (), {"first": False}))
    out = tmp_path / "out"
    ran = polypatch("train", "new:small", "--preset", "xfever", "--data", claims, "--split", "0.5", "--out", out, *FAST)
    assert (ran.code, ran.out) == (0, "")
    assert not out.exists()
    assert not (tmp_path / "out.training").exists()


def test_what_is_said_at_the_end():
    record = {"accuracy": 0.5, "validations": 3, "best_step": 4, "steps": 9, "accuracy_by_language": {"en": 0.5}}
    assert (
        str(TrainedFolder("a", record)) == "a: written; validation accuracy 50.0 (best of 3 validations, step 4 of 9)"
    )


@pytest.mark.real
@pytest.mark.slow
def test_real_nli_from_nothing(polypatch, shared, tmp_path, figure):
    """Two thousand pairs and a few dozen steps teach a new model no inference: that it runs, and how far it gets."""
    given = ("new:small", "--preset", "xnli", "--data", f"xnli:{shared / 'data' / 'xnli'}", "--split", "dev=0.8")
    how = ("--set", "batch_size=16", "--set", "max_length=48", "--set", "warmup_steps=5", "--set", "learning_rate=3e-4")
    out = tmp_path / "nli"
    ran = polypatch("train", *given, *how, "--max-steps", 48, "--evaluate-every", 16, "--out", out, "--json", "-q")
    assert ran.code == 0, ran.err
    found = ran.json()
    figure("XNLI dev, a fifth held out, new:small after 48 steps: accuracy (chance 0.33)", found["accuracy"])
    assert (found["train_rows"], found["validation_rows"], found["steps"]) == (1992, 498, 48)
    assert found["labels"] == ["entailment", "neutral", "contradiction"]
    assert found["accuracy"] >= 0.3
