import io

import pytest

from polypatch.data import read_jsonl


@pytest.fixture
def ask(polypatch, edited):
    return lambda *argv: polypatch("try", edited / "edits", "--quiet", *argv)


def test_a_text_before_and_after_with_the_patches_that_fire(ask, files):
    prompts = [edit.prompt["en"] for edit in read_jsonl(files / "edits.jsonl")]
    found = ask(*prompts, "--json").json()
    assert [answer["text"] for answer in found] == prompts
    assert set(found[0]) == {"lang", "text", "wanted", "before", "after", "firing"}
    assert all(0 < answer["before"]["probability"] <= 1 for answer in found)
    fired = [answer["firing"] for answer in found]
    assert any(fired)
    assert all(row == sorted(row, key=lambda patch: -patch["activation"]) for row in fired)


def test_several_texts_and_their_languages(ask):
    ran = ask("ba bo", "ke ki", "--lang", "en,de", "--text", "fr=lu la")
    assert ran.code == 0
    for word in ("Lang", "ba bo", "de", "ke ki", "fr", "lu la", "Before", "After", "class-"):
        assert word in ran.out


def test_a_pair(ask):
    assert ask("ba bo", "--second", "ke ki", "--json").json()[0]["text"] == ["ba bo", "ke ki"]


def test_an_edits_prompts_in_all_languages_or_some(ask, files):
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--json")
    found = ask("--edit", "tiny-1", *data).json()
    assert [answer["lang"] for answer in found] == ["en", "de", "sw"]
    assert all(answer["wanted"].startswith("class-") for answer in found)
    assert [answer["lang"] for answer in ask("--edit", "tiny-1", "--lang", "sw", *data).json()] == ["sw"]


def test_without_data_an_edits_prompts_are_those_it_was_made_with(ask):
    assert [answer["lang"] for answer in ask("--edit", "tiny-1", "--json").json()] == ["en", "de"]


def test_what_cannot_be_asked(ask, files):
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}")
    assert "nothing to ask" in ask("--json").refused()
    assert "'tiny-99'" in ask("--edit", "tiny-99", *data).refused()
    assert "'fr'" in ask("--edit", "tiny-1", "--lang", "fr", *data).refused()
    assert "--data" in ask("--edit", "tiny-99").refused()
    assert "NAME=VALUE" in ask("--text", "hello").refused()


def test_without_a_text_it_asks_for_one_after_another(ask, monkeypatch):
    """Until an empty line, or the end."""
    monkeypatch.setattr("sys.stdin", io.StringIO("first text\nanother one\n\nnot asked\n"))
    shown = ask().out
    assert "first text" in shown
    assert "another one" in shown
    assert "not asked" not in shown
    monkeypatch.setattr("sys.stdin", io.StringIO("last text"))
    assert "last text" in ask().out
