"""Language codes: those there are, and what is said of the others."""

import pytest

import polypatch as pp
from polypatch.errors import EditError
from polypatch.languages import MEANT, TWO_LETTERS, is_lang, not_a_lang

LIBRARIES = {"en", "de", "fr", "zh", "ar", "sw", "nb", "tl", "he", "id", "jv", "zu"}
"""Of MASSIVE and XNLI."""


def test_there_are_183_codes_and_two_that_were_withdrawn():
    assert len(TWO_LETTERS) == 183 + len({"bh", "sh"})
    assert LIBRARIES < TWO_LETTERS
    assert all(is_lang(code) for code in TWO_LETTERS)


def test_what_was_meant_is_a_code_and_what_was_written_is_none():
    assert MEANT.keys().isdisjoint(TWO_LETTERS)
    assert set(MEANT.values()) < TWO_LETTERS


def test_three_letters_pass_unseen():
    assert is_lang("ceb")
    assert is_lang("eng")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("EN", "write 'en'"),
        ("en-US", "write 'en'"),
        ("zh_CN", "write 'zh'"),
        ("jp", "write 'ja'"),
        ("iw", "write 'he'"),
        ("cz-CZ", "write 'cs'"),
        (" de", "write 'de'"),
        ("xx", "such as 'en'"),
        ("German", "such as 'en'"),
        ("", "such as 'en'"),
        (7, "such as 'en'"),
    ],
)
def test_a_code_that_does_not_exist_is_refused_with_the_one_that_was_meant(code, advice):
    assert not is_lang(code)
    assert not_a_lang(code).endswith(advice)
    for wrong in ({"source": code, "prompt": {code: "x"}, "target": {code: "y"}}, {"prompt": {"en": "x", code: "z"}}):
        with pytest.raises(EditError, match=f"ISO 639.*{advice}"):
            pp.Edit("a", **{"prompt": {"en": "x"}, "target": {"en": "y"}, **wrong})
