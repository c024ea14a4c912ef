"""Tables as spreadsheets save them are edits, memory and probes; what is wrong is named with its row."""

import gzip

import pytest

from polypatch.data import load_data
from polypatch.data.csv_file import read_csv
from polypatch.data.memory import read_memory, read_probe
from polypatch.errors import DataError

ROWS = [
    ("1", "en", "wake me up, at nine", "alarm"),
    ("1", "de", 'weck "mich" um neun', "alarm"),
    ("2", "fr", "鬧鐘; été", "play"),
]


def table(delimiter):
    lines = [("id", "Lang", "text", "label"), *ROWS]
    return "".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in line) + "\r\n" for line in lines)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz"])
def test_rows_of_one_id_are_one_edit(tmp_path, delimiter, bom, suffix):
    path, content = tmp_path / f"edits{suffix}", (bom + table(delimiter)).encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    first, second = load_data(str(path)).edits
    assert (first.id, first.source, first.prompt) == ("1", "en", {"en": ROWS[0][2], "de": ROWS[1][2]})
    assert (first.target_in("de"), second.source, second.prompt) == ("alarm", "fr", {"fr": ROWS[2][2]})
    assert load_data(f"csv:{path}").edits == (first, second)


def test_without_ids_and_languages_every_row_is_an_edit_in_the_source(tmp_path):
    (tmp_path / "short.csv").write_text("label,text\na,one\nb,two\n", encoding="utf-8")
    edits = read_csv(tmp_path / "short.csv", source="de")
    assert [(edit.id, edit.source, edit.prompt["de"]) for edit in edits] == [
        *(("short-2", "de", "one"), ("short-3", "de", "two")),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sentence,label\na,b\n", "row 1: the columns must be text, label, .lang., .id.; found sentence, label"),
        ("text,text,label\na,b,c\n", "row 1: the columns must be"),
        ("text,label\nI said, hello,b\n", "row 2: 3 cells, and the header has 2"),
        ("text,label\na,b\nc,\n", "row 3: no label"),
        ("text,label,lang\na,b,german\n", "row 2: .*german"),
        ("id,text,label\n1,a,b\n1,c,b\n", "row 3: edit '1' has a text in 'en' already"),
        ('text,label\n"a,b\n', "row 2: not readable as a table"),
        ("text,label\n", "holds no edits"),
        ("", "row 1: the columns must be .*; found nothing"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, text, said):
    (tmp_path / "edits.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_csv(tmp_path / "edits.csv")


def test_memory_and_probes_are_read_by_suffix(tmp_path):
    (tmp_path / "memory.csv").write_text("lang;text\nen;one\nde;zwei\nen;one\n", encoding="utf-8")
    assert read_memory(tmp_path / "memory.csv", "en") == {"en": ["one"], "de": ["zwei"]}
    (tmp_path / "probe.tsv").write_text("text\tlabel\none\ta\ntwo\t\n", encoding="utf-8")
    assert [(row.lang, row.text, row.label) for row in read_probe(tmp_path / "probe.tsv", "fr")] == [
        *(("fr", "one", "a"), ("fr", "two", None)),
    ]
    (tmp_path / "probe.csv").write_text("text,label\none,a\none,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 3: the label is 'b', and was 'a'"):
        read_probe(tmp_path / "probe.csv", "en")
