import pytest

from polypatch.cli import tables
from polypatch.data import FORMATS
from polypatch.evaluation import Report
from polypatch.recipes import RECIPES


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("recipes", RECIPES),
        ("data", [*(f"{name}:" for name in FORMATS), "world"]),
        ("metrics", ["reliability"]),
    ],
)
def test_the_tables(polypatch, what, names):
    ran = polypatch("ls", what)
    assert ran.code == 0
    assert all(name in ran.out for name in names)
    (listing,) = polypatch("ls", what, "--json").json()
    assert len(listing["rows"]) >= len(names)


def test_all_tables_at_once(polypatch):
    assert len(polypatch("ls", "--json").json()) == 3


def test_nothing_is_missing_from_the_hand_written_tables():
    listed = {name for names in tables.METRICS for name in names.split(", ")}
    assert listed <= Report.__dataclass_fields__.keys()
    assert {name for name in Report.__dataclass_fields__ if name.startswith("clg")} <= listed


def test_a_recipes_settings(polypatch):
    ran = polypatch("ls", "mpn-all")
    assert "learning_rate" in ran.out
    assert "by width: 0.06 at 128, 0.03 at 256, 0.01 at 768" in ran.out


def test_a_run(polypatch, edited):
    ran = polypatch("ls", edited)
    assert ran.code == 0
    for word in ("mpn-all", "en, de", "6, of which"):
        assert word in ran.out
    (summary, *failed) = polypatch("ls", edited / "edits", "--json").json()
    said = {row["name"]: row["value"] for row in summary["rows"]}
    assert len(said) >= 8
    assert said["memory"].endswith(" kB")
    assert all(row["Why"] for listing in failed for row in listing["rows"])


def test_neither_a_table_nor_a_folder(polypatch, tmp_path):
    assert "recipes" in polypatch("ls", tmp_path / "gone").refused()
