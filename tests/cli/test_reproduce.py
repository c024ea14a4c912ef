"""polypatch reproduce: every experiment at both scales on tiny models and tiny data, and what it refuses."""

import gzip
import json
import shutil
from dataclasses import fields, replace

import pytest

import every_editor
from polypatch.data import massive as massive_module
from polypatch.data import write_jsonl
from polypatch.data import xnli as xnli_module
from polypatch.data.rows import Sizes
from polypatch.editors.net_folder import read_net
from polypatch.experiments import editors as editors_module
from polypatch.experiments.editors import GROUPS, rivals
from polypatch.experiments.massive import FOURTEEN
from polypatch.experiments.table2 import LANGUAGES as FIFTEEN
from polypatch.runs import Run, Workbench
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.training.net_course import NetCourse

pytestmark = pytest.mark.slow

ONCE = ("--seeds", 1, "--orders", 1)
SIX = ("en", "de", "fr", "es", "zh", "ar")


def checkpoint(folder, labels, seed=0):
    model, tokenizer = tiny_model("bert", classes=len(labels), seed=seed)
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: i for i, label in enumerate(labels)}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join("\t".join(row) + "\n" for row in rows).encode()))


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def xfever(tmp_path):
    """A folder as `polypatch data xfever-edit` writes it, and a classifier."""
    folder, texts = tmp_path / "xfever", tiny_texts(60, seed=9)
    folder.mkdir()
    write_jsonl(tiny_edits(6, SIX), folder / "edits.jsonl")
    lines(folder / "memory.jsonl", [{"lang": "en", "text": text} for text in texts[:30]])
    for name, part in (("validation", texts[30:40]), ("test", texts[40:50]), ("locality-train", texts[50:])):
        lines(folder / f"{name}.jsonl", [{"text": text, "label": "class-0"} for text in part])
    return checkpoint(tmp_path / "fever-model", [f"class-{i}" for i in range(3)]), f"xfever-edit:{folder}"


@pytest.fixture
def massive(tmp_path, monkeypatch):
    """Fourteen languages, three intents."""
    folder, intents = tmp_path / "massive", ("alarm", "lamp", "music")
    rows = [(part, i) for part, n in (("train", 60), ("dev", 30), ("test", 8)) for i in range(n)]
    texts = {lang: tiny_texts(len(rows), seed=k) for k, lang in enumerate(FOURTEEN)}
    head = ("id", "partition", "scenario", "intent")
    write(
        folder / "labels.tsv.gz", [head, *((str(n), part, "home", intents[i % 3]) for n, (part, i) in enumerate(rows))]
    )
    for lang, locale in massive_module.LOCALES.items():
        if lang in texts:
            write(folder / f"{locale}.tsv.gz", [("id", "utt"), *((str(n), text) for n, text in enumerate(texts[lang]))])
    sizes = Sizes(memory=20, memory_other=5, validation=8, validation_other=4, locality_train=6, locality_test=6)
    monkeypatch.setattr(massive_module, "SIZES", sizes)
    return checkpoint(tmp_path / "intents", intents), f"massive:{folder}"


@pytest.fixture
def xnli(tmp_path, monkeypatch):
    """Fifteen languages, 240 dev and 12 test pairs."""
    folder, labels = tmp_path / "xnli", ("entailment", "neutral", "contradiction")
    for split, n in (("dev", 240), ("test", 12)):
        gold = [labels[i % 3] for i in range(n)]
        write(folder / f"{split}.labels.tsv.gz", [("label", "genre"), *((label, "x") for label in gold)])
        for k, lang in enumerate(FIFTEEN):
            texts = tiny_texts(2 * n, seed=100 * k + len(split))
            write(folder / f"{split}-{lang}.tsv.gz", list(zip(texts[:n], texts[n:], strict=True)))
    sizes = Sizes(memory=20, memory_other=5, validation=10, validation_other=4, locality_test=10)
    monkeypatch.setattr(xnli_module, "SIZES", sizes)
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Few steps: what is tested is the road and not how good an edit gets."""
    own, fast = Run.built, {"max_steps": 4, "views": 0, "first_validation": 2, "validate_every": 1}

    def built(self):
        recipe = own(self)
        known = {field.name for field in fields(recipe.editor)}
        return replace(recipe, editor=replace(recipe.editor, **{n: value for n, value in fast.items() if n in known}))

    monkeypatch.setattr(Run, "built", built)


@pytest.mark.parametrize("name", ["table1", "table3"])
def test_full_scale_on_an_xfever_folder(polypatch, xfever, quick, tmp_path, name):
    model, data = xfever
    argv = (
        "reproduce",
        name,
        "--scale",
        "full",
        "--model",
        model,
        "--data",
        data,
        "--out",
        tmp_path / "out",
        "--quiet",
    )
    found = polypatch(*argv, "--json").json()
    (table,) = found["tables"]
    assert found["experiment"] == name
    assert [row["recipe"] for row in table["rows"]][:4] == ["original", "fine-tuning", "t-patcher", "mpn-only-once"]
    assert table["published"]["original"]["locality.train.accuracy"] == 93.05
    said = polypatch(*argv)
    assert said.code == 0
    assert "mpn-all, the paper's" in said.out or name == "table3"
    assert "the paper's" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "†" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "1-clg.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"To read in a browser: {tmp_path / 'out' / 'report.html'}\n" in said.out
    assert page.count("<svg ") == 2
    assert page.count("<table") == page.count("<caption") >= 4
    for row in table["rows"]:
        assert f'dir="auto">{row["recipe"]}</th>' in page
        assert f"<td>{row['reliability']['mean']:.1f}</td>" in page


def test_massive_has_four_tables_and_encodes_once(polypatch, massive, quick, tmp_path):
    model, data = massive
    argv = ("reproduce", "massive", "--model", model, "--data", data, *ONCE, "--limit", 4, "--quiet")
    first = polypatch(*argv, "--out", tmp_path / "a", "--cache", tmp_path / "queries")
    assert first.code == 0, first.err
    report = (tmp_path / "a" / "report.md").read_text(encoding="utf-8")
    assert report.count("mpn-all-once over t-patcher, on the same cells") == report.count("as before, en") == 4
    second = polypatch(*argv, "--out", tmp_path / "b", "--cache", tmp_path / "queries")
    assert "encoded 0 of " in second.out
    assert "encoded 0 of " not in first.out
    tables = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))["tables"]
    assert [table["title"] for table in tables] == [
        f"{n} edit languages, {memory}" for n in (6, 14) for memory in ("English memory", "memory in 14")
    ]
    # With 14 edit languages there is none that no sampler may draw.
    assert ["clg_never" in table["rows"][3] for table in tables] == [True, True, False, False]
    assert strip(first_json(tmp_path / "a")) == strip(first_json(tmp_path / "b"))


@pytest.fixture
def short(monkeypatch):
    """Nets that are trained in a few steps."""
    few = {"edits": 30, "steps": 4, "batch": 2, "memory_rows": 8, "validate_every": 2}
    monkeypatch.setattr(editors_module, "TRAINING", few)


def test_editors_with_and_without_mpns_sampler(polypatch, massive, quick, short, tmp_path):
    model, data = massive
    argv = ("reproduce", "editors", "--model", model, "--data", data, *ONCE, "--limit", 4, "--quiet")
    ran = polypatch(*argv, "--out", tmp_path)
    assert ran.code == 0, ran.err
    tables = first_json(tmp_path)["tables"]
    for table, names in zip(tables, GROUPS.values(), strict=True):
        pairs = [(name, rival) for name in names for rival in rivals(name)]
        rows = ["original", *(row for name in names for row in (name, *rivals(name)))]
        assert [row["recipe"] for row in table["rows"]] == rows
        assert [(won["baseline"], won["better"]) for won in table["gains"]] == pairs
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report.index("## Every table's comparisons") < report.index("## Trained weights")
    together = report.split("## Every table's comparisons")[1].split("## Trained weights")[0]
    assert together.count(" over ") == sum(len(rivals(name)) for names in GROUPS.values() for name in names)
    assert "--limit 4: no more edits of a stream" in report
    assert "grace-mpn over grace, on the same cells" in report
    assert "lora-mpn over lora, on the same cells" in report
    page_shows_what_the_report_shows(report, every_editor.collected([tmp_path / "results.json"]))


def page_shows_what_the_report_shows(report, figures):
    """The tables of docs/tables/every-editor-tables.md are made of what a report has."""
    printed = {cells["Recipe"].split(" (")[0]: cells for cells in table_rows(report, "Recipe") if "worst" in cells}
    won = {cells["CLG, points"]: cells for cells in table_rows(report, "CLG, points")}
    shown = list(table_rows("\n".join(every_editor.table_of(figures)), "Recipe"))
    assert [cells["Recipe"] for cells in shown] == list(every_editor.ORDER)
    for cells in shown:
        name, gained = cells.pop("Recipe"), [cells.pop("CLG gained"), cells.pop("unseen gained")]
        kept = cells if name != "original" else {title: cells[title] for title in ("Reliability", "CLG")}
        assert kept == {title: printed[name][title] for title in kept}
        pair = f"{name} over {dict(every_editor.PAIRS).get(name)}"
        assert gained == ([won[pair]["all"], won[pair]["unseen"]] if pair in won else ["–", "–"])
    assert set(won) == {f"{better} over {name}" for better, name in every_editor.PAIRS}


def table_rows(text, first):
    """Each row of the Markdown tables whose first column has this title: its cells by their columns' titles."""
    titles = None
    for line in text.splitlines():
        cells = [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            titles = None
        elif titles is None:
            titles = cells
        elif titles[0] == first and not set(line) <= set("|-: "):
            yield dict(zip(titles, cells, strict=True))


NETS = {"mend", "mend-mpn", "lime-mend", "malmen", "malmen-mpn", "ke", "ke-mpn", "lime-ke"}


def nets_in(out):
    """The trained nets: when each was written, by its folder's name."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (out / "nets").glob("*/net.json")}


def test_nets_are_trained_once_and_for_one_model(polypatch, massive, short, tmp_path, monkeypatch):
    """Stopped in the middle of a training it goes on there; other runs share the nets, another model has its own."""
    model, data = massive
    out, steps, own = tmp_path / "out", [], NetCourse.loss

    def loss(self, net, step):
        steps.append(step)
        if len(steps) == 12:  # after two whole nets, a validation of the third and a step more
            raise KeyboardInterrupt
        return own(self, net, step)

    monkeypatch.setattr(NetCourse, "loss", loss)
    how = ("reproduce", "editors", "--only", "trained nets", "--model", model, "--data", data, *ONCE, "--out", out)
    argv = (*how, "--limit", 3, "--quiet")
    stopped = polypatch(*argv)
    assert stopped.code == 130
    assert "goes on from there" in stopped.err
    first = nets_in(out)
    assert {name.partition("-seed0")[0] for name in first} == {"mend", "mend-mpn"}

    assert polypatch(*argv).code == 0
    assert steps[12:16] == [2, 3, 0, 1]  # the third net from its first validation, and then the fourth
    nets, found = nets_in(out), first_json(out)
    assert nets.items() > first.items()
    assert {name.partition("-seed0")[0] for name in nets} == NETS
    assert [table["title"] for table in found["tables"]] == ["Trained nets"]
    assert not [path for path in (out / "nets").iterdir() if path.name.endswith(".training")]
    (said,) = [note for note in found["notes"] if note.startswith("Trained before the runs")]
    assert all(f" {name} " in said for name in NETS)
    assert said in (out / "report.md").read_text(encoding="utf-8")

    again = polypatch(*argv)
    assert "8 runs, 8 of them done before" in again.out
    assert said in first_json(out)["notes"]
    assert "8 runs, 0 of them done before" in polypatch(*how, "--limit", 4, "--quiet").out
    assert nets_in(out) == nets

    shutil.copytree(checkpoint(tmp_path / "other", ("alarm", "lamp", "music"), seed=1), model, dirs_exist_ok=True)
    assert "8 runs, 0 of them done before" in polypatch(*how, "--limit", 5, "--quiet").out
    assert len(nets_in(out)) == 16
    assert nets_in(out).items() > nets.items()


def test_a_net_is_trained_on_what_its_row_is_given(polypatch, massive, short, tmp_path):
    model, data = massive
    argv = ("reproduce", "editors", "--only", "Trained nets", "--model", model, "--data", data, *ONCE, "--limit", 3)
    ran = polypatch(*argv, "--out", tmp_path, "--rows", tmp_path / "kept", "--quiet")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "nets").exists()
    trained = {path.name.partition("-seed0")[0]: read_net(path) for path in (tmp_path / "kept" / "nets").iterdir()}
    assert set(trained) == NETS
    samplers = {name: net.training["sampler"]["name"] for name, net in trained.items()}
    assert {name for name, sampler in samplers.items() if sampler == "SourceOnly"} == {"mend", "malmen", "ke"}
    assert {name for name, net in trained.items() if net.groups} == {"lime-mend", "lime-ke"}
    reports = [
        json.loads(path.read_text())
        for path in (tmp_path / "kept" / "rows").glob("*.json")
        if ".cells" not in path.name
    ]
    assert len(reports) == len(NETS)
    for (report,) in reports:
        net = trained[report["config"]["run"]["recipe"]]
        assert report["config"]["net"]["best"] == net.training["best"]


def first_json(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def strip(found):
    """Without what a clock says."""
    for table in found["tables"]:
        for row in table["rows"]:
            for name in [name for name in row if name.startswith("seconds")]:
                row.pop(name)
    return found


def test_half_precision(polypatch, xfever, quick, tmp_path):
    model, data = xfever
    argv = ("reproduce", "table1", "--scale", "full", "--model", model, "--data", data, "--quiet", "--half")
    ran = polypatch(*argv, "--out", tmp_path / "half")
    assert ran.code == 0, ran.err
    assert "as float16" in ran.out
    assert "rounded by" in ran.out


def test_table_2_trains_its_small_model_once(polypatch, xnli, quick, tmp_path):
    encoder, (model, tokenizer) = tmp_path / "encoder", tiny_model("bert")
    model.base_model.save_pretrained(encoder)
    tokenizer.save_pretrained(encoder)
    argv = ("reproduce", "table2", "--model", encoder, "--data", f"xnli:{xnli}", *ONCE, "--limit", 3, "--quiet")
    first = polypatch(*argv, "--out", tmp_path / "out")
    assert first.code == 0, first.err
    record = tmp_path / "out" / "model" / "training.json"
    written = record.stat().st_mtime_ns
    again = polypatch(*argv, "--out", tmp_path / "out")
    assert "4 runs, 4 of them done before" in again.out
    assert record.stat().st_mtime_ns == written
    (table,) = first_json(tmp_path / "out")["tables"]
    assert set(table["rows"][2]) >= {f"clg.{lang}" for lang in FIFTEEN if lang != "en"}
    assert "mlg" not in table["rows"][2]


def test_interrupted_it_goes_on_with_the_runs_that_are_left(polypatch, xfever, quick, tmp_path, monkeypatch):
    model, data = xfever
    done, own = [], Workbench.run

    def counted(self, wanted, on_outcome=None):
        if len(done) == 3:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(wanted.name)
        return own(self, wanted, on_outcome)

    monkeypatch.setattr(Workbench, "run", counted)
    out = tmp_path / "out"
    argv = ("reproduce", "table1", "--scale", "full", "--model", model, "--data", data, "--quiet", "--out", out)
    stopped = polypatch(*argv)
    assert stopped.code == 130
    assert "goes on from there" in stopped.err
    assert ", 3 of them done before" in polypatch(*argv).out


def test_figure_3(polypatch, xfever, tmp_path):
    ran = polypatch("reproduce", "figure3", "--scale", "full", "--data", xfever[1], "--out", tmp_path, "--json")
    assert ran.json()["languages"]["zh"] == {
        "paper": 13.2,
        "sentences": 6,
        "unit": "characters",
        "mean": ran.json()["languages"]["zh"]["mean"],
    }
    assert (tmp_path / "figure3.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ("table4",),
            "called 'table4'; there are table1, table2, table3, massive, compare, corpus, editors, ablations, "
            "mpn-ablations, growth, confidence, lm, reach, figure3",
        ),
        (
            ("editors", "--only", "Nets"),
            "editors: no table is called 'Nets'; there are 'Trained weights', 'Rank-one terms', ",
        ),
        (("table1", "--scale", "huge"), "--scale huge: it is small or full"),
        (("table1", "--model", "x"), "leave out --model and --data"),
        (("table1", "--scale", "full"), "needs --data xfever-edit:FOLDER (polypatch data xfever-edit)"),
        (("table1", "--scale", "full", "--data", "xfever-edit:x"), "needs --model MODEL (made by polypatch train"),
        (("table2",), "needs --data xnli:FOLDER"),
        (("massive", "--data", "massive:x", "--model", "./nowhere"), "./nowhere: no such folder"),
        (("figure3", "--scale", "full"), "figure3 --scale full needs --data"),
        (("figure3", "--model", "x"), "leave out --model"),
        (("figure3", "--only", "x"), "leave out --model and --only"),
        (
            ("massive", "--data", "massive:x", "--model", ".", "--ray", "local", "--jobs", "2"),
            "--jobs is for this machine",
        ),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(polypatch, tmp_path, argv, said):
    assert said in polypatch("reproduce", *argv, "--out", tmp_path / "out").refused()


@pytest.mark.real
def test_figure_3_of_real_utterances(polypatch, shared, tmp_path):
    data = f"massive:{shared / 'data' / 'massive'}"
    ran = polypatch("reproduce", "figure3", "--scale", "full", "--data", data, "--out", tmp_path, "--json")
    found = ran.json()["languages"]
    assert len(found) == 14
    assert all(row["sentences"] == 1441 for row in found.values())
    assert found["en"]["mean"] == pytest.approx(6.9, abs=0.5)
    assert {lang for lang, row in found.items() if row["unit"] == "characters"} == {"zh", "th"}
