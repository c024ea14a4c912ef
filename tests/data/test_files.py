import gzip

import pytest

from polypatch.data.files import read_lines, read_table, read_text, require_table, write_atomically
from polypatch.errors import DataError


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_bom_and_crlf_are_accepted_plain_and_gzipped(tmp_path, name):
    raw = "\ufeffeins\r\nzwei\u2028drei\r\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    assert read_text(tmp_path / name) == "eins\nzwei\u2028drei\n"
    assert read_lines(tmp_path / name) == ["eins", "zwei\u2028drei"], "U+2028 does not end a row"


def test_another_encoding_is_an_error_that_names_the_row(tmp_path):
    path = tmp_path / "latin.tsv"
    path.write_bytes("id\tutt\n1\tok\n2\tf\xfcr\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.tsv row 3: not UTF-8 \(byte 0xfc\)"):
        read_text(path)


def test_missing_folder_and_broken_gzip_are_data_errors(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.tsv: no such file"):
        read_text(tmp_path / "nowhere.tsv")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path)
    for name, raw in {"cut.gz": gzip.compress(b"x" * 999)[:20], "not.gz": b"plain", "bad.gz": _corrupt()}.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            read_text(tmp_path / name)


def _corrupt() -> bytes:
    raw = bytearray(gzip.compress(b"a sentence, and another one" * 9))
    raw[12] ^= 0xFF
    return bytes(raw)


def test_table_checks_header_and_width(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('id\tutt\n1\t"quoted" text\n', encoding="utf-8")
    assert read_table(path, ("id", "utt")) == [["1", '"quoted" text']], "quotes are text"
    with pytest.raises(DataError, match="row 1: expected the columns id, text, found 'id"):
        read_table(path, ("id", "text"))
    path.write_text("id\tutt\n1\ta\n2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.tsv row 3: 1 fields, expected 2 \(id, utt\)"):
        read_table(path, ("id", "utt"))
    path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="an empty file"):
        read_table(path, ("id", "utt"))


def test_a_missing_table_lists_what_is_there(tmp_path):
    (tmp_path / "other.txt").touch()
    with pytest.raises(DataError, match=r"no labels\.tsv\.gz \(has: other\.txt\)"):
        require_table(tmp_path, "labels")
    with pytest.raises(DataError, match="no such folder"):
        require_table(tmp_path / "gone", "labels")


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "f"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    with pytest.raises(DataError, match="cannot be written"):
        write_atomically(tmp_path / "gone" / "f", b"x")


def test_a_failed_move_leaves_the_old_file(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "kept").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_atomically(tmp_path / "d", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
