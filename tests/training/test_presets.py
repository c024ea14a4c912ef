"""The presets are the paper's Table 4, cell by cell; what no table says is a switch."""

import pytest

from polypatch.data import xnli
from polypatch.errors import InputError
from polypatch.training.presets import PRESETS, changed, preset_named

# arXiv 2401.03190, Table 4, as printed: a row's name, the column XFEVER, the column XNLI
TABLE_4 = """
train set|83,972|392,702
validation set|10,496|2490
editing set|10,496|5010
test set|10,444|_
epoch|20|3
batch_size|128|64
learning rate|3e-5|3e-5
max_length|32|128
weight_decay|0.01|0.01
warmup_updates|500|500
eps|0.1|0.1
"""
OURS = {
    "train set": "train_rows",
    "validation set": "validation_rows",
    "editing set": "editing_rows",
    "test set": "test_rows",
    "epoch": "epochs",
    "learning rate": "learning_rate",
    "warmup_updates": "warmup_steps",
}
CELLS = [
    (column, name, cells[i])
    for name, *cells in (line.split("|") for line in TABLE_4.split("\n") if line)
    for i, column in enumerate(("xfever", "xnli"))
]


def value(preset, name):
    own = OURS.get(name, name)
    return getattr(preset if hasattr(preset, own) else preset.settings, own)


@pytest.mark.parametrize(("column", "name", "cell"), CELLS, ids=[f"{c}-{n}" for c, n, _ in CELLS])
def test_a_cell_of_table_4(column, name, cell):
    expected = None if cell == "_" else float(cell.replace(",", ""))
    assert value(PRESETS[column], name) == expected


def test_there_are_no_other_columns():
    assert list(PRESETS) == ["xfever", "xnli"]
    assert all(preset.name == name for name, preset in PRESETS.items())


@pytest.mark.real
def test_the_cells_are_what_the_paper_prints(shared):
    printed = (shared / "paper" / "mpn.txt").read_text(encoding="utf-8")
    for line in filter(None, TABLE_4.split("\n")):
        assert line.replace("|", "\t") in printed


def test_the_order_of_the_labels():
    """Class 1 of FEVER is what the released one logit says when positive; XNLI's is section 4.1.1's, and the data's."""
    assert PRESETS["xfever"].labels == ("REFUTES", "SUPPORTS")
    assert PRESETS["xnli"].labels == ("entailment", "neutral", "contradiction") == xnli.LABELS


def test_the_paper_s_accuracies():
    assert {name: preset.accuracy for name, preset in PRESETS.items()} == {"xfever": 88.11, "xnli": 82.8}


def test_eps_is_the_entropy_bonus_unless_told_otherwise():
    preset = PRESETS["xnli"]
    assert preset.settings.eps_means == "entropy"
    assert preset.settings.adam_epsilon == 1e-8
    assert changed(preset, {"eps_means": "adam-epsilon"}).adam_epsilon == 0.1
    assert changed(preset, {"eps_means": "label-smoothing"}).adam_epsilon == 1e-8


@pytest.mark.parametrize(
    "values",
    [
        {"epoch": 3},
        {"epochs": 0},
        {"batch_size": 0},
        {"max_length": 2},
        {"warmup_steps": -1},
        {"learning_rate": float("nan")},
        {"weight_decay": -0.1},
        {"eps_means": "adam"},
        {"eps": 1.5, "eps_means": "label-smoothing"},
    ],
)
def test_settings_that_no_training_can_have(values):
    with pytest.raises(InputError, match=next(iter(values))):
        changed(PRESETS["xnli"], values)


def test_an_unknown_preset():
    with pytest.raises(InputError, match=r"'mnli'.*xfever, xnli"):
        preset_named("mnli")
