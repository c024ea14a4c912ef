"""The table of delta kinds: it agrees with the classes, is read without torch, and a new kind is one row of it."""

import subprocess
import sys

import pytest

import polypatch as pp
from polypatch.deltas import PatchBank
from polypatch.deltas.kinds import KINDS, Kind, on_site, standing_alone
from polypatch.errors import ArtefactError
from polypatch.sites import FeedForwardSite
from polypatch.sites.encoding.sentences import sentences_of
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts


@pytest.fixture(scope="module")
def site():
    model, tokenizer = tiny_model("bert")
    return FeedForwardSite(model, reads="text", sentences=sentences_of("text", tokenizer))


@pytest.mark.parametrize("name", KINDS)
def test_rows_say_what_the_classes_do(site, name):
    kind = KINDS[name]
    for scope in kind.scopes:
        config = {
            "delta": name,
            "scope": scope,
            "hidden_size": site.hidden_size,
            "labels": [str(i) for i in range(site.width)],
        }
        delta = on_site(site, config)
        assert (delta.kind, delta.separable, not delta.replaces) == (name, not kind.shared, kind.in_parts)
        assert getattr(delta, "scope", None) == scope
        alone = standing_alone(config, delta.tensors())
        assert (alone is not None) == kind.in_parts
        if alone is not None:
            alone.load_tensors(delta.tensors(), delta.owners)
            assert alone.kind == name


def test_the_table_is_read_without_torch():
    code = "import sys, polypatch.deltas.kinds, polypatch.store.artefact; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Quiet(PatchBank):
    """A kind from outside the package."""

    kind = "quiet"


def test_a_kind_from_outside_is_one_row(tmp_path, monkeypatch):
    """Its edits are written and read back; without the row they are refused by name."""
    model, tokenizer = tiny_model("bert")
    edited = pp.edit(model, tiny_edits(1), tokenizer=tokenizer, memory=tiny_texts(8), recipe="t-patcher")
    bank = edited.delta
    edited.delta = quiet = Quiet(edited.site.hidden_size, edited.site.activation_name)
    quiet.load_tensors(bank.tensors(), bank.owners)
    monkeypatch.setitem(KINDS, "quiet", Kind(lambda site, _: Quiet(site.hidden_size, site.activation_name)))
    folder = edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
    assert isinstance(loaded.delta, Quiet)
    assert loaded.delta.owners == bank.owners
    monkeypatch.delitem(KINDS, "quiet")
    with pytest.raises(ArtefactError, match=r"delta should be one of patches, .* is 'quiet'"):
        read_artefact(folder)
