"""Training rows: from which files, in which languages, on which side of a split."""

import gzip
import json

import pytest

from polypatch.errors import DataError, InputError
from polypatch.training.corpora import read_part
from polypatch.training.data import Split, read_corpus

NLI = ("entailment", "neutral", "contradiction")


def write(path, records):
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return f"jsonl:{path}"


@pytest.fixture
def xnli(tmp_path):
    """Four premises with three hypotheses each, in two languages; dev only, as XNLI comes."""
    folder = tmp_path / "xnli"
    folder.mkdir()
    for lang in ("en", "de"):
        lines = [f"{lang} premise {i // 3}\t{lang} {NLI[i % 3]} {i}\t{NLI[i % 3]}\n" for i in range(12)]
        (folder / f"dev-{lang}.tsv.gz").write_bytes(gzip.compress("".join(lines).encode()))
    labels = "label\tgenre\n" + "".join(f"{NLI[i % 3]}\tletters\n" for i in range(12))
    (folder / "dev.labels.tsv.gz").write_bytes(gzip.compress(labels.encode()))
    return folder


@pytest.fixture
def massive(tmp_path):
    folder = tmp_path / "massive"
    folder.mkdir()
    parts = ["train"] * 6 + ["dev"] * 3 + ["test"]
    labels = "id\tpartition\tscenario\tintent\n" + "".join(
        f"{i}\t{p}\ts\tintent-{i % 2}\n" for i, p in enumerate(parts)
    )
    (folder / "labels.tsv").write_text(labels)
    for locale in ("en-US", "de-DE"):
        (folder / f"{locale}.tsv").write_text("id\tutt\n" + "".join(f"{i}\t{locale} {i}\n" for i in range(10)))
    return folder


def test_json_lines(tmp_path):
    rows = read_part(
        write(
            tmp_path / "a.jsonl",
            [
                {"text": "one", "label": "x"},
                {"claim": "two", "label": "y", "evidence": ["FEVER's own fields"]},
                {"text": "deux", "label": "y", "lang": "fr", "id": "2"},
            ],
        ),
        "train",
    )
    assert [tuple(row) for row in rows] == [
        ("one", "x", "en", "one"),
        ("two", "y", "en", "two"),
        ("deux", "y", "fr", "2"),
    ]


def test_json_lines_of_pairs(tmp_path):
    spec = write(tmp_path / "a.jsonl", [{"premise": "p", "hypothesis": "h", "label": "neutral"}])
    assert [tuple(row) for row in read_part(spec, "train")] == [(("p", "h"), "neutral", "en", "p")]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("hello", "object"),
        ({"label": "x"}, "'premise'"),
        ({"premise": "p", "label": "x"}, "'hypothesis'"),
        ({"text": "", "label": "x"}, "'text'"),
        ({"text": "a"}, "'label'"),
        ({"text": "a", "label": 1}, "'label'"),
        ({"text": "a", "label": "x", "lang": 3}, "'lang'"),
    ],
)
def test_rows_that_are_none(tmp_path, record, said):
    spec = write(tmp_path / "a.jsonl", [{"text": "fine", "label": "x"}, record])
    with pytest.raises(DataError, match=rf"a\.jsonl row 2.*{said}"):
        read_part(spec, "train")


def test_xnli_trains_on_a_share_of_dev(xnli):
    corpus = read_corpus(f"xnli:{xnli}", NLI, split=Split.read("dev=0.75"), eval_languages=("de",))
    assert corpus.languages == ("en",)
    assert corpus.measured == ("en", "de")
    assert len(corpus.train) == 9
    assert {row.lang for row in corpus.train} == {"en"}
    assert {row.lang for row in corpus.validation} == {"en", "de"}
    assert len(corpus.validation) == 6
    premises = [{row.group for row in side} for side in (corpus.train, corpus.validation)]
    assert not premises[0] & premises[1]  # a premise's hypotheses, and its translations, stay together
    assert corpus.train[0].text == (corpus.train[0].group, corpus.train[0].text[1])


def test_xnli_with_multinli_beside_it(xnli):
    for name in ("labels.tsv.gz",):
        (xnli / f"train.{name}").write_bytes((xnli / f"dev.{name}").read_bytes())
    (xnli / "train-en.tsv.gz").write_bytes((xnli / "dev-en.tsv.gz").read_bytes())
    corpus = read_corpus(f"xnli:{xnli}", NLI, eval_languages=("de",))
    assert (len(corpus.train), len(corpus.validation)) == (12, 24)
    assert corpus.shared_texts == 12


def test_xnli_has_no_training_rows_of_its_own(xnli):
    with pytest.raises(DataError, match=r"train\.labels\.tsv\.gz.*--split dev=0\.8"):
        read_corpus(f"xnli:{xnli}", NLI)


def test_massive(massive):
    corpus = read_corpus(f"massive:{massive}", None, languages=("en", "de"))
    assert corpus.labels == ("intent-0", "intent-1")
    assert (len(corpus.train), len(corpus.validation)) == (12, 6)
    assert read_corpus(f"massive:{massive}", None).languages == ("en",)


def test_the_editing_set_is_not_trained_on(massive):
    with pytest.raises(DataError, match="'test' is what polypatch edit edits"):
        read_corpus(f"massive:{massive}", None, split=Split.read("test=0.5"))


def test_a_split_is_drawn_by_the_seed_and_by_whole_groups(tmp_path):
    spec = write(
        tmp_path / "a.jsonl",
        [
            {"text": f"{lang} {i}", "label": "xy"[i % 2], "lang": lang, "id": i}
            for i in range(40)
            for lang in ("en", "de")
        ],
    )
    one, two, other = (read_corpus(spec, "xy", split=Split(0.8), seed=seed) for seed in (0, 0, 1))
    assert one == two
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert len(one.train) == 64
    assert not {row.group for row in one.train} & {row.group for row in one.validation}


def test_languages_of_a_file(tmp_path):
    spec = write(
        tmp_path / "a.jsonl",
        [{"text": f"{n} {i}", "label": "xy"[i % 2], "lang": n} for i in range(9) for n in ("en", "de", "sw")],
    )
    assert read_corpus(spec, "xy", split=Split(0.5)).languages == ("en", "de", "sw")
    measured = read_corpus(spec, "xy", split=Split(0.5), languages=("de",), eval_languages=("sw",))
    assert measured.languages == ("de",)
    assert {row.lang for row in measured.train} == {"de"}
    assert measured.measured == ("de", "sw")
    with pytest.raises(DataError, match=r"'fr'.*de, en, sw"):
        read_corpus(spec, "xy", split=Split(0.5), languages=("fr",))


@pytest.mark.parametrize("given", ["2", "0", "dev=1", "dev", "dev=x", ""])
def test_splits_that_are_none(given):
    with pytest.raises(InputError, match="--split"):
        Split.read(given)


def test_a_side_without_rows(tmp_path):
    spec = write(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}])
    with pytest.raises(InputError, match="would be empty"):
        read_corpus(spec, "xy", split=Split(0.99))


def test_no_validation_rows(tmp_path):
    spec = write(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}])
    with pytest.raises(InputError, match=r"--validation jsonl:FILE, or --split"):
        read_corpus(spec, "xy")
    with pytest.raises(InputError, match="give one of them"):
        read_corpus(spec, "xy", validation=spec, split=Split(0.5))


@pytest.mark.parametrize("labels", [("x",), ("x", "x"), ("x", "z")])
def test_labels_that_do_not_match(tmp_path, labels):
    spec = write(tmp_path / "a.jsonl", [{"text": str(i), "label": "xy"[i % 2]} for i in range(8)])
    with pytest.raises(InputError, match="label"):
        read_corpus(spec, labels, validation=spec)


def test_texts_and_pairs(tmp_path):
    one = write(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}])
    two = write(tmp_path / "b.jsonl", [{"premise": "a", "hypothesis": "b", "label": "x"}])
    with pytest.raises(DataError, match="give one kind"):
        read_corpus(one, "xy", validation=two)


@pytest.mark.parametrize("spec", ["csv:a", "jsonl", "jsonl:", "world"])
def test_places_that_are_none(spec):
    with pytest.raises(DataError, match="training data"):
        read_part(spec, "train")


@pytest.mark.real
def test_the_real_corpora(shared):
    xnli = read_corpus(f"xnli:{shared / 'data' / 'xnli'}", NLI, split=Split.read("dev=0.8"), eval_languages=("sw",))
    assert (len(xnli.train), len(xnli.validation)) == (1992, 996)
    massive = read_corpus(f"massive:{shared / 'data' / 'massive'}", None)
    assert (len(massive.train), len(massive.validation), len(massive.labels)) == (11_514, 2_033, 60)
