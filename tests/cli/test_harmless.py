"""Ids, labels, prompts and model names that command a terminal, turn lines round, or write Markdown: shown, not obeyed.

One run holds every payload in every place; then each verb, message and file that shows them is looked at.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from rich.table import Table
from rich.text import Text

from polypatch.cli import console, main
from polypatch.cli.shown import HarmlessConsole, shown
from polypatch.data import write_jsonl
from polypatch.edits import Edit
from polypatch.rendering.harmless import code, escaped, fenced, harmless, inline
from polypatch.store.artefact import CARD, read_artefact
from polypatch.testing import tiny_texts

from .conftest import FAST

PAYLOADS = {
    "colour": "\x1b[31mred",
    "title of the window": "\x1b]0;owned\x07",
    "C1": "\x9b31mred\x9d0;owned\x9c",
    "over the line": "\rok\x08\x08",
    "override": "\u202eterces\u202c",
    "isolate": "\u2067left\u2066",
    "unseen": "\u200f\u061c\u200e\U000e0041",
    "mark-up": "[red]bold[/] [link=http://evil.example]x[/link] :boom:",
}
ALL = "".join(PAYLOADS.values())
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2067\ud800-\udfff\U000e0000-\U000e007f]"
)
OWN = re.compile("\u2068[^\u2068\u2069]*\u2069")
"""What `shown` puts round a right-to-left text."""


def assert_harmless(text):
    found = FORBIDDEN.search(OWN.sub("", text))
    assert found is None, f"{found[0]!r} in {text[max(0, found.start() - 40) : found.end() + 20]!r}"
    assert "\u2068" not in OWN.sub("", text)
    assert "\u2069" not in OWN.sub("", text)


@pytest.fixture(scope="module")
def place(tmp_path_factory, checkpoint):
    """A checkpoint whose name and labels are payloads, edits with payloads for ids and texts, and a run of them."""
    root = tmp_path_factory.mktemp("hostile")
    model = shutil.copytree(checkpoint, root / f"model-{ALL}".replace("/", "|"))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    labels = {str(i): f"class-{i}{ALL}" for i in range(3)}
    config |= {"id2label": labels, "label2id": {label: int(i) for i, label in labels.items()}}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    edits = [
        Edit(f"{i}{text}", {"en": f"ba be {i} {text}", "de": f"bi {i} {text} مرحبا"}, {"en": labels[str(i % 3)]})
        for i, text in enumerate(PAYLOADS.values())
    ]
    edits += [Edit(f"other{ALL}", {"en": edits[1].prompt["en"], "de": "bo"}, {"en": labels["2"]})]
    write_jsonl(edits, root / "edits.jsonl")
    (root / "memory.txt").write_text("".join(f"{text}\n" for text in tiny_texts(20)), encoding="utf-8")
    return root, model, edits


@pytest.fixture(scope="module")
def run(place):
    """The words that make the run, its folder, and what it printed."""
    root, model, _ = place
    words = ["edit", str(model), "--out", str(root / "run"), "--data", f"jsonl:{root / 'edits.jsonl'}", *FAST]
    words += ["--memory", str(root / "memory.txt"), "--set", "memory_weight=0", "--allow-contradictions"]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0, err.getvalue()
    return root / "run", out.getvalue() + err.getvalue()


SINKS = {
    "ls": lambda run, ids: ("ls", run),
    "ls --json": lambda run, ids: ("ls", run, "--json"),
    "ls of nothing": lambda run, ids: ("ls", f"{run}{ALL}"),
    "log": lambda run, ids: ("log", run),
    "log --json": lambda run, ids: ("log", run, "--json"),
    "log of nothing": lambda run, ids: ("log", run, "--id", f"{ALL}*"),
    "log with a wrong status": lambda run, ids: ("log", run, "--status", ALL),
    "try": lambda run, ids: ("try", run, ALL, "-q"),
    "try --edit": lambda run, ids: ("try", run, "--edit", ids[0], "-q"),
    "try --json": lambda run, ids: ("try", run, "--edit", ids[1], "--json", "-q"),
    "try no such edit": lambda run, ids: ("try", run, "--edit", ALL, "-q"),
    "try no such model": lambda run, ids: ("try", run, ALL, "--model", f"/no/{ALL}", "-q"),
    "explain": lambda run, ids: ("explain", run, "--edit", ids[2], "-q"),
    "explain --json": lambda run, ids: ("explain", run, "--edit", ids[3], "--json", "-q"),
    "explain a text": lambda run, ids: ("explain", run, "--text", f"en={ALL}", "-q"),
    "check": lambda run, ids: ("check", run, "--probe", run.parent / "memory.txt", "--min-clg", "100", "--strict"),
    "check --json": lambda run, ids: ("check", run, "--probe", run.parent / "memory.txt", "--json", "-q"),
    "check no such file": lambda run, ids: ("check", run, "--probe", f"no{ALL}", "-q"),
    "eval": lambda run, ids: ("eval", run, "--data", f"jsonl:{run.parent / 'edits.jsonl'}"),
    "eval --json": lambda run, ids: ("eval", run, "--data", f"jsonl:{run.parent / 'edits.jsonl'}", "--json", "-q"),
    "save": lambda run, ids: ("save", run, run.parent / f"saved{PAYLOADS['override']}"),
    "save --json": lambda run, ids: ("save", run, run.parent / f"json{PAYLOADS['colour']}", "--json"),
    "revert": lambda run, ids: ("revert", run, *ids[:3], "--out", run.parent / f"rest{PAYLOADS['colour']}"),
    "revert --json": lambda run, ids: ("revert", run, ids[4], "--out", run.parent / "rest", "--json"),
    "revert no such edit": lambda run, ids: ("revert", run, ALL),
    "merge": lambda run, ids: ("merge", run, "--out", run.parent / f"merged{PAYLOADS['C1']}", "-q"),
    "edit: no such recipe": lambda run, ids: ("edit", "world", "--out", run.parent / "x", "--recipe", ALL),
    "edit: no such setting": lambda run, ids: ("edit", "world", "--out", run.parent / "x", "--set", f"{ALL}=1"),
    "no such option": lambda run, ids: ("edit", f"--{ALL}"),
    "no such verb": lambda run, ids: (ALL,),
}


@pytest.mark.parametrize("sink", SINKS)
def test_what_is_printed_commands_nothing(polypatch, run, place, sink):
    ids = [edit.id for edit in place[2]]
    ran = polypatch(*SINKS[sink](run[0], ids))
    assert ran.code in (0, 1, 2), ran.err
    assert ran.out + ran.err
    assert_harmless(ran.out + ran.err)
    if "--json" in sink and ran.code < 2:
        ran.json()


def test_json_says_what_was_there(polypatch, run, place):
    """Escaped, and nothing lost."""
    said = {line["id"] for line in polypatch("log", run[0], "--json").json()}
    assert said == {edit.id for edit in place[2]}


def test_notes_and_tables_of_a_run(run):
    assert "contradiction" in run[1]
    assert_harmless(run[1])


def test_the_bars_of_a_terminal(capsys, monkeypatch):
    """They use commands themselves; those of a title and a note are not among them."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with console.Bars() as bars:
        bars.update(ALL, 1, 4, note=ALL)
        bars.say(ALL)
    shown = capsys.readouterr().err
    for name, payload in PAYLOADS.items():
        if name != "mark-up":
            assert payload not in shown, name
    assert not re.search("[\x07\x9b-\x9d\u202e\u2066\u2067\u200f]", shown)
    assert "[link=http" in shown


def test_lines_of_progress_where_there_is_no_terminal(capsys, monkeypatch):
    now = iter(range(0, 1000, 60))
    monkeypatch.setattr("polypatch.cli.console.time.monotonic", lambda: next(now))
    with console.Bars() as bars:
        for done in range(4):
            bars.update(ALL, done, 4, note=ALL)
        bars.say(ALL)
    assert_harmless(capsys.readouterr().err)


# --- Markdown


MARKDOWN = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "link": "[click](http://evil.example) ![x](http://evil.example/x.png) https://evil.example www.evil.example",
    "table": "a | b | c",
    "heading": "x\n\n# Heading\n---\n* item\n1. one",
    "code": "`x` ``` y",
    "entity": "&lt;b&gt; &#x202e;",
    "emphasis": "**bold** __bold__ ~~gone~~ $x$",
}


@pytest.mark.parametrize("name", MARKDOWN)
def test_text_in_markdown_is_text(name):
    text = MARKDOWN[name]
    line = inline(text)
    assert "\n" not in line
    assert re.sub(r"\\(?=[^a-zA-Z0-9\s])", "", line) == " ".join(text.split()), "nothing is lost"
    bare = re.sub(r"\\.", "", line)
    assert not set(bare) & set("<>[]|`*&~")
    assert "://" not in bare
    assert "www.e" not in bare
    assert not re.match(r"#|---|\d+\.\s", inline("# x")) or inline("# x").startswith("\\#")
    assert code(text).count("`") == 2
    assert "|" not in code(text)


def test_plain_words_and_numbers_stay_as_they_are():
    for text in (
        "82.3",
        "mpn-all, the paper's",
        "–",
        "-0.5",
        "TPatcher(learning_rate=0.01)",
        "runs/first",
        "a (b) {c}: d",
    ):
        assert inline(text) == text
    assert inline("1. one") == "1\\. one"
    assert inline("- one") == "\\- one"


def test_a_block_of_code_ends_where_it_ends():
    block = fenced("a ``` b\n````\n# c")
    lines = block.rstrip("\n").split("\n")
    assert lines[0] == lines[-1] == "`````"


def test_the_model_card_of_hostile_edits(run, tmp_path):
    """Front matter, table and list: every line is one of ours."""
    folder = run[0] / "edits"
    text = (folder / CARD).read_text(encoding="utf-8")
    assert_harmless(text)
    from huggingface_hub import ModelCard

    loaded = ModelCard(text)
    assert loaded.data.library_name == "polypatch"
    assert set(loaded.data.to_dict()) <= {"language", "library_name", "base_model", "pipeline_tag", "tags"}
    records = read_artefact(folder, tensors=False).records
    listed = [line for line in text.splitlines() if line.startswith("* ")]
    assert len(listed) == len(records)
    assert_harmless((run[0] / "report.md").read_text(encoding="utf-8"))
    assert_harmless((run[0] / "report.json").read_text(encoding="utf-8"))
    assert_harmless((run[0] / "report.html").read_text(encoding="utf-8"))
    assert_harmless((run[0] / "answers.jsonl").read_text(encoding="utf-8"))


def test_a_card_whose_configuration_is_hostile():
    """A folder of edits from elsewhere, saved again: names with line ends, HTML and front matter of their own."""
    from polypatch.store.card import model_card

    evil = "x\n---\nlicense: mit\n---\n# Evil <script> | [a](http://b) ```"
    config = {
        "base_model": evil,
        "recipe": evil,
        "sampled_languages": ["en", evil],
        "seed": 0,
        "base_fingerprint": evil,
    }
    report = [{"recipe": evil, "patches": 1, "locality": {evil: {"agreement": 1.0}}}]
    text = model_card(config, [], report)
    body = text.split("\n---\n", 1)[1]
    assert "license" not in text.split("\n---\n", 1)[0].replace("x --- license: mit", "")
    assert not [line for line in body.splitlines() if line.startswith(("# Evil", "---", "license"))]
    words = re.sub(r"(?<!\\)`[^`]*`", "", body)
    assert not re.search(r"(?<!\\)<script", words)
    assert not re.search(r"(?<!\\)\]\(", words)
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


# --- the parts


def test_json_with_escapes_is_the_same_json():
    plain = {ALL: [ALL, "\u2028", "é", "明天", "\U000e0041", "a\tb"]}
    text = escaped(json.dumps(plain, ensure_ascii=False, indent=1))
    assert json.loads(text) == plain
    assert_harmless(text)
    assert "é" in text


def test_harmless_text_keeps_what_scripts_need():
    """Joiners of Persian and emoji, combining marks, right-to-left letters."""
    for text in ("می\u200cخواهم", "👩\u200d👧", "é", "שלום", "a\nb\tc"):
        assert harmless(text) == text
    assert harmless("a\x1b[1m\u202eb\ud800") == "a\ufffd[1mb\ufffd"


# --- streams that cannot say everything


ASCII, C = {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(("sink", "setting"), [("check --json", ASCII), ("ls", C), ("log", ASCII)])
def test_an_ascii_stream_ends_no_verb(run, place, sink, setting):
    """1 would be a gate that failed, 0 one that passed: a stream decides neither."""
    ids = [edit.id for edit in place[2]]
    words = [str(word) for word in SINKS[sink](run[0], ids)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    command = [sys.executable, "-m", "polypatch", *words]
    done = subprocess.run(command, capture_output=True, env={**kept, **setting}, timeout=120)
    assert done.stderr.isascii()
    assert b"Traceback" not in done.stderr
    assert done.returncode == (1 if sink.startswith("check") else 0), done.stderr
    assert done.stdout.isascii()
    assert b"\\u" in done.stdout, "something did not fit"
    if "--json" in sink:
        assert json.loads(done.stdout)


def test_a_right_to_left_text_that_a_table_breaks_keeps_its_letters(capsys):
    """Every line of it keeps to itself, and none loses a letter."""
    arabic = "يعمل ليزيتوس في مهنة طيار."
    table = Table(box=None, show_header=False)
    table.add_column(width=15, overflow="fold")
    table.add_row(Text(shown(arabic)))
    HarmlessConsole(width=40).print(table)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2
    assert all(line[0] == "\u2068" and line[-1] == "\u2069" for line in lines)
    assert " ".join(lines).replace("\u2068", "").replace("\u2069", "").split() == arabic.split()


def test_an_isolate_of_somebody_elses_is_closed_where_its_line_ends(capsys):
    HarmlessConsole(width=40).print(Text("id \u2068abc"), Text("\u2069 def \u2067 ghi"))
    out = capsys.readouterr().out
    assert out.count("\u2068") == out.count("\u2069")
    assert "\u2067" not in out
