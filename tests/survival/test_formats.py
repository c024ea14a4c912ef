"""Folders of every format that was ever written stay readable: one of each is kept in tests/fixtures.

The folders of a format were made, when it was the newest, by `make(folder)` below; those of format 4 from those of
format 3 and the memory.
"""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polypatch.api import edit
from polypatch.data.memory import parted
from polypatch.edited_model import EditedModel
from polypatch.editors import FineTuning, TPatcher
from polypatch.editors.widths import PUBLISHED_WIDTH
from polypatch.errors import ArtefactError, InputError
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES, Recipe
from polypatch.store.artefact import CONFIG, FORMAT_VERSION, TENSORS
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MEMORY = tiny_texts(9)
MADE_BY = {
    "patches": dataclasses.replace(RECIPES["mpn-all"], editor=TPatcher(max_steps=5, views=0)),
    "weights": Recipe(FineTuning(max_steps=5)),
}
SAID = {
    "patches": [
        [0.10032442957162857, 0.7676520347595215, 0.13202360272407532],
        [0.112406887114048, 0.7627524733543396, 0.12484069913625717],
        [0.13297292590141296, 0.7794276475906372, 0.08759947866201401],
    ],
    "weights": [
        [0.2030261904001236, 0.2482120394706726, 0.5487617254257202],
        [0.22095201909542084, 0.27408239245414734, 0.504965603351593],
        [0.35480809211730957, 0.24727243185043335, 0.3979196760322571],
    ],
}
"""What the models said to `tiny_texts(3)` when the folders of format 1 were written."""

formats = pytest.mark.parametrize("version", [1, 2, 3, 4])
kinds = pytest.mark.parametrize("kind", list(MADE_BY))


def make(folder):
    """Write both folders in the newest format."""
    model, tokenizer = base()
    for kind, recipe in MADE_BY.items():
        options = {"recipe": recipe, "memory": MEMORY, "rules": Rules(seed=5, keep_failed=True)}
        made = edit(model, tiny_edits(3), tokenizer=tokenizer, **options)
        made.save_pretrained(folder / kind)
        made.unload()


def base():
    """The model they were made on. Its weights are kept, because another processor may draw other random numbers."""
    model, tokenizer = tiny_model("bert")
    model.load_state_dict(load_file(FIXTURES / "base.safetensors"))
    return model, tokenizer


@pytest.fixture
def loaded():
    """Loads onto a tiny BERT, which is free again afterwards."""
    opened = []

    def load(folder, on=None, **options):
        model, tokenizer = on or base()
        opened.append(EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer, **options))
        return opened[-1]

    yield load
    for one in opened:
        one.unload()


def test_there_is_a_folder_of_every_format():
    assert [path.name for path in sorted(FIXTURES.glob("format-*"))] == [
        f"format-{version}" for version in range(1, FORMAT_VERSION + 1)
    ]
    for version in range(1, FORMAT_VERSION + 1):
        for kind in MADE_BY:
            config = json.loads((FIXTURES / f"format-{version}" / kind / CONFIG).read_text(encoding="utf-8"))
            assert config["format_version"] == version


@formats
@kinds
def test_an_old_folder_says_what_it_said_when_it_was_made(loaded, version, kind):
    edited = loaded(FIXTURES / f"format-{version}" / kind)
    torch.testing.assert_close(edited.probabilities(tiny_texts(3)), torch.tensor(SAID[kind]), rtol=0, atol=1e-6)
    assert list(edited.outcomes) == ["tiny-0", "tiny-1", "tiny-2"]
    assert (edited.rules.seed, edited.sampled_languages) == (5, ("en", "de", "fr"))
    assert edited.recipe == MADE_BY[kind].at(PUBLISHED_WIDTH)


@formats
@kinds
def test_an_old_folder_is_written_as_a_new_one(loaded, tmp_path, version, kind):
    source = FIXTURES / f"format-{version}" / kind
    first = loaded(source)
    folder = first.save_pretrained(tmp_path / "again")
    first.unload()
    assert (folder / TENSORS).read_bytes() == (source / TENSORS).read_bytes()
    assert json.loads((folder / CONFIG).read_text(encoding="utf-8"))["format_version"] == FORMAT_VERSION
    again = loaded(folder)
    assert again.records == first.records
    torch.testing.assert_close(again.probabilities(tiny_texts(3)), torch.tensor(SAID[kind]), rtol=0, atol=1e-6)


@kinds
def test_the_first_folder_that_knows_its_memory_goes_on(loaded, kind):
    """With the memory that it was made with, and no other."""
    edited = loaded(FIXTURES / "format-4" / kind)
    assert edited.edit(tiny_edits(4)[3:])
    assert list(edited.kept.train) == parted(MEMORY).train
    edited.unload()
    with pytest.raises(InputError, match="pass memory="):
        loaded(FIXTURES / "format-3" / kind).edit(tiny_edits(4)[3:])


def test_what_format_1_did_not_keep_is_not_guessed(loaded):
    """Its edits' texts: further edits, or taking one out of shared weights, would need them. The model stays free."""
    model = base()
    with pytest.raises(InputError, match="format version 1"):
        loaded(FIXTURES / "format-1" / "patches", memory=MEMORY, on=model)
    EditedModel.from_pretrained(FIXTURES / "format-1" / "patches", model=model[0], tokenizer=model[1]).unload()
    tuned = loaded(FIXTURES / "format-1" / "weights", memory=MEMORY)
    with pytest.raises(InputError, match="not known any more"):
        tuned.revert("tiny-0")
    patched = loaded(FIXTURES / "format-2" / "patches", memory=MEMORY)
    assert patched.memory.train.used > patched.memory.train.base


def test_a_folder_of_tomorrow_is_refused_as_such(loaded, tmp_path):
    make(tmp_path)
    path = tmp_path / "patches" / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "format_version": FORMAT_VERSION + 1}), encoding="utf-8")
    with pytest.raises(ArtefactError, match=rf"format_version is {FORMAT_VERSION + 1}; this polypatch reads 1, 2, 3"):
        loaded(tmp_path / "patches")


@kinds
def test_what_the_first_formats_know_of_their_model(loaded, kind):
    """Formats 1 and 2 know its weights alone; format 3 refuses another number of heads or another tokenizer."""
    model, tokenizer = base()
    config = model.config
    config.num_attention_heads = 8
    other = type(model)(config).eval()
    other.load_state_dict(model.state_dict())
    for version in (1, 2):
        loaded(FIXTURES / f"format-{version}" / kind, on=(other, tokenizer)).unload()
    with pytest.raises(ArtefactError, match="num_attention_heads was 4 and is 8 now"):
        loaded(FIXTURES / "format-3" / kind, on=(other, tokenizer))
