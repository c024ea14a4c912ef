"""Settings nobody should give: one line and exit code 2, or a run whose folder can be read. Never a third thing."""

import json

import pytest

from polypatch.edited_model import EditedModel
from polypatch.store.artefact import read_artefact

SETTINGS = {
    "polypatch-linear": [
        *("loudness=nan", "loudness=inf", "loudness=0", "loudness=-4", "loudness=1e300", "loudness=1e38"),
        *("scatter=inf", "scatter=1e300", "separation=nan", "tolerance=1000000000000", "memory_copies=1000000000"),
        *("shrinkages=nan", "shrinkages=0.03,inf", "shrinkages=", "places=nan,0.5", "places=-1e38"),
    ],
    "mpn-all": [
        *("clip_norm=inf", "clip_norm=nan", "learning_rate=nan", "learning_rate=1e30", "weight_decay=1e30"),
        *("plateau_factor=1.5", "validate_every=0", "views=1000000000", "example_repeat=0", "amplification=1e38"),
        *("edit_margin=1000", "memory_margin=-inf", "memory_top=0", "max_steps=1e9", "activation_top=0"),
    ],
    "fine-tuning": ["learning_rate=1e38", "learning_rate=inf", "kl_weight=nan", "scope=head"],
    "lora": ["learning_rate=1e38", "alpha=inf", "rank=0", "rank=1000"],
    "grace": ["radius=inf", "radius=1e38", "confidence=nan", "learning_rate=1e38"],
}
FEW = {"mpn-all": ("max_steps", "views"), "fine-tuning": ("max_steps", "views"), "lora": ("max_steps", "views")}
CASES = [(recipe, one) for recipe, settings in SETTINGS.items() for one in settings]


@pytest.fixture(scope="module")
def base():
    """Loads what a run has written."""
    from polypatch.sites import load_checkpoint

    def read(checkpoint, folder):
        artefact = read_artefact(folder)
        model, tokenizer = load_checkpoint(checkpoint)
        edited = EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
        assert edited.recipe is not None, "the settings do not come back"
        edited.unload()
        return artefact

    return read


@pytest.fixture
def attempt(polypatch, checkpoint, files, tmp_path, base):
    """Run `edit` with these words; what it refused with, or None where the folder was read."""

    def run(*words):
        out = tmp_path / "run"
        data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", files / "memory.txt", "--limit", 3)
        ran = polypatch("edit", checkpoint, "--out", out, *data, "--languages", "en,de", "--keep-failed", "-q", *words)
        if ran.code != 0:
            assert not (out / "edits").exists()
            return ran.refused()
        assert "Infinity" not in (out / "report.json").read_text(encoding="utf-8")
        json.loads((out / "report.json").read_bytes(), parse_constant=lambda name: pytest.fail(name))
        base(checkpoint, out / "edits")
        return None

    return run


@pytest.mark.parametrize(("recipe", "setting"), CASES, ids=lambda value: str(value))
def test_a_setting_of_an_editor(attempt, recipe, setting):
    few = [f"--set={name}={2 if name == 'max_steps' else 0}" for name in FEW.get(recipe, ())]
    few = [word for word in few if word.split("=")[1] != setting.split("=")[0]]
    said = attempt("--recipe", recipe, *few, "--set", setting)
    assert said is None or setting.partition("=")[0] in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--max-locality-drop", "inf"), "max_locality_drop must be a number from 0 to 100 or none, not inf"),
        (("--max-locality-drop", "nan"), "--max-locality-drop"),
        (("--max-locality-drop", "1e300"), "max_locality_drop"),
        (("--seed", "-1"), None),
        (("--seed", "9" * 40), None),
        (("--order", "9" * 40), None),
        (("--folds", "1000000"), "folds"),
        (("--retries", "-1"), "--retries"),
        (("--trajectory-every", "9" * 40), None),
        (("--size", "memory=-1"), "memory"),
    ],
)
def test_an_option_of_the_run(attempt, words, named):
    said = attempt(*words)
    assert said is None if named is None else named in (said or "")
