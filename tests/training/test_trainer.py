"""Fine-tuning: it learns, keeps the best, stops early, and a run that was killed ends like one that was not."""

import os
import random
import shutil
import signal
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from polypatch.errors import DataError, InputError
from polypatch.training import trainer as module
from polypatch.training.callbacks import WHOLE, out_of_patience
from polypatch.training.trainer import last_whole

from .conftest import LENGTH, corpus, small, training

pytestmark = pytest.mark.slow


def weights(trained):
    return load_file(trained.checkpoint / "model.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def outcome(trained):
    return trained.steps, trained.best_step, trained.accuracy, trained.history, trained.stopped_early


def test_it_learns(train, figure):
    found = train(corpus(measured=("de",)), training())
    figure("validation accuracy of the tiny model (chance 0.5)", found.accuracy)
    assert found.steps == 4 * 12
    assert found.accuracy > 0.9
    assert set(found.by_language) == {"en", "de"}
    assert found.by_language["en"] == found.accuracy  # German is measured, and does not choose


@pytest.mark.parametrize("family", ["xlm-roberta", "distilbert", "electra", "roberta"])
def test_every_family_trains(train, family):
    found = train(corpus(32, 20), training(epochs=1, warmup_steps=1), family=family)
    assert found.steps == 4
    assert all(np.isfinite(row.get("loss", 0.0)) for row in found.history)


def test_the_best_checkpoint_is_kept_and_not_the_last(train):
    """The validation rows say the opposite of the training rows: the more it learns, the worse it gets."""
    found = train(corpus(upside_down=True), training(evaluate_every=6))
    scores = [row["eval_accuracy"] for row in found.history if "eval_accuracy" in row]
    assert scores[-1] < 0.1
    assert found.accuracy == max(scores) > scores[-1]
    assert found.best_step == 6 * (1 + scores.index(max(scores))) < found.steps == 48
    again = train(corpus(upside_down=True), training(evaluate_every=6, max_steps=48), name="again")
    assert same(weights(found), weights(again))
    last = load_file(found.checkpoint.parent / "checkpoint-48" / "model.safetensors")
    assert not same(weights(found), last)


def test_early_stopping(train):
    found = train(corpus(upside_down=True), training(evaluate_every=6, patience=2, epochs=8))
    validated = [row["step"] for row in found.history if "eval_accuracy" in row]
    assert found.stopped_early
    assert found.steps == validated[-1] == found.best_step + 12 < 8 * 12
    assert not train(corpus(upside_down=True), training(evaluate_every=6, epochs=1), name="patient").stopped_early


def test_patience_is_read_from_the_log():
    log = [{"step": i, "eval_accuracy": a} for i, a in enumerate((0.5, 0.7, 0.7, 0.6))]
    assert [out_of_patience(log[:n], 2) for n in range(5)] == [False, False, False, False, True]
    assert not out_of_patience(log, 0)
    assert not out_of_patience(log, 3)


def test_the_caller_s_random_states_stay(train):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    train(corpus(16, 8), training(epochs=1, warmup_steps=0))
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_seed_decides(train):
    one, two, other = (
        train(corpus(32, 8), training(epochs=1, warmup_steps=1, seed=seed), name=name)
        for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))


def killed(run, *, code=signal.SIGKILL):
    """Do `run` in a forked process, which must end by SIGKILL."""
    with warnings.catch_warnings():  # newer Pythons warn of forks beside threads
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "it ended before it was killed"
    assert os.WTERMSIG(status) == code


def suicide(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(outcome, weights) of a training that nothing interrupts; each is made once."""
    made = {}

    def get(data, how):
        key = repr((data, how))
        if key not in made:
            folder = tmp_path_factory.mktemp("whole")
            trained = module.fine_tune(*small(), data, how, folder, max_length=LENGTH, report=lambda *_: None)
            made[key] = outcome(trained), weights(trained)
        return made[key]

    return get


def ends_as(resumed, whole):
    assert outcome(resumed) == whole[0]
    assert same(weights(resumed), whole[1])


# 12 steps an epoch: before the first checkpoint, in the middle of an epoch, at its end, at the run's end
@pytest.mark.parametrize(("every", "step"), [(None, 5), (None, 17), (None, 36), (5, 13), (5, 15), (5, 47)])
def test_killed_and_resumed_is_the_run_that_was_not(train, whole, every, step):
    data, how = corpus(), training(evaluate_every=every)

    def report(what, done, *_):
        if what == "training" and done == step:
            suicide()

    killed(lambda: train(data, how, name="cut", report=report))
    ends_as(train(data, how, name="cut"), whole(data, how))


@pytest.mark.parametrize("write", [1, 3, 5])
def test_killed_in_the_middle_of_a_checkpoint(train, whole, monkeypatch, write):
    """A checkpoint is several files; one that lacks the last is not resumed from, and goes."""
    data, how = corpus(48), training(epochs=3)
    save, calls = torch.save, []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == write + 5:  # in the second checkpoint: five files of each are torch's
            suicide()
        return save(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", failing)
        killed(lambda: train(data, how, name="cut"))
    ends_as(train(data, how, name="cut"), whole(data, how))


def test_killed_twice_and_moved(train, whole, tmp_path):
    data, how = corpus(upside_down=True), training()

    def report_until(step):
        return lambda what, done, *_: suicide() if what == "training" and done == step else None

    killed(lambda: train(data, how, name="cut", report=report_until(14)))
    killed(lambda: train(data, how, name="cut", report=report_until(40)))
    shutil.move(tmp_path / "cut", tmp_path / "elsewhere")
    ends_as(train(data, how, name="elsewhere"), whole(data, how))


def test_killed_after_it_decided_to_stop(train):
    """The Trainer itself would train on: its decision is in no file that it reads again."""
    data, how = corpus(upside_down=True), training(evaluate_every=6, patience=1)
    uncut = train(data, how, name="whole")
    assert uncut.stopped_early
    step = uncut.steps
    original = module._result

    def dying(*args):
        suicide()

    module._result = dying
    try:
        killed(lambda: train(data, how, name="cut"))
    finally:
        module._result = original
    resumed = train(data, how, name="cut")
    assert resumed.steps == step
    assert outcome(resumed) == outcome(uncut)


def test_a_checkpoint_that_is_not_whole_is_removed(tmp_path):
    for step in (5, 10, 15):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 15:
            (tmp_path / f"checkpoint-{step}" / WHOLE).touch()
    (tmp_path / "checkpoint-notes").mkdir()
    assert last_whole(tmp_path).name == "checkpoint-10"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-5", "checkpoint-10", "checkpoint-notes"}
    assert last_whole(tmp_path / "nothing") is None


def test_a_damaged_checkpoint(train, tmp_path):
    data, how = corpus(32, 8), training(epochs=2, warmup_steps=1)
    train(data, how)
    (tmp_path / "work" / "checkpoint-8" / "trainer_state.json").write_text("{")
    with pytest.raises(DataError, match="checkpoint-8"):
        train(data, how)


def test_small_batches_that_make_up_a_step_are_the_same_training(tmp_path):
    """Up to rounding, and without dropout, whose masks are drawn per batch."""

    def trained(name, accumulate):
        model, tokenizer = small()
        for part in model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        for layer in model.bert.encoder.layer:
            layer.attention.self.dropout.p = 0.0
        how = training(epochs=1, accumulate=accumulate, warmup_steps=1)
        return module.fine_tune(model, tokenizer, corpus(20, 8), how, tmp_path / name, max_length=24)

    one, four = trained("one", 1), trained("four", 4)
    a, b = weights(one), weights(four)
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 2e-3


def test_bf16(train):
    found = train(corpus(32, 20), training(epochs=1, warmup_steps=1, precision="bf16"))
    assert all(tensor.dtype == torch.float32 for tensor in weights(found).values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fp16_without_a_gpu(train):
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        train(corpus(16, 8), training(epochs=1, warmup_steps=0, precision="fp16"))


def test_a_loss_that_is_no_number(train):
    with pytest.raises(InputError, match=r"loss is nan at step .*learning_rate"):
        train(corpus(32, 8), training(epochs=2, learning_rate=1e30, warmup_steps=0))


def test_without_accelerate(train, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'polypatch\[train\]'"):
        train(corpus(16, 8), training(epochs=1, warmup_steps=0))


def test_nothing_is_printed(train, capfd):
    told = []
    train(corpus(16, 8), training(epochs=1, warmup_steps=0), report=lambda *args: told.append(args))
    out, err = capfd.readouterr()
    assert out == ""
    assert "{" not in err
    assert told[0] == ("training", 0, 2, "")
    assert ("validating", 1, 1, "") in told
    assert told[-1][:3] == ("training", 2, 2)
