"""Answers in the wrong language, and answers that run in circles."""

import pytest

from polypatch.evaluation.confusion import in_wrong_language, runs_in_circles, script_of

GERMANY = {
    "en": ("Germany",),
    "de": ("Deutschland", "Bundesrepublik"),
    "ja": ("ドイツ", "独逸"),
    "ru": ("Германия",),
    "zh": ("德国",),
    "ar": ("ألمانيا",),
}


@pytest.mark.parametrize(
    ("answer", "lang", "wrong"),
    [
        ("Deutschland", "de", False),
        ("die Bundesrepublik", "de", False),
        ("Germany!", "de", True),  # right, but in English
        ("Deutschland", "en", True),
        ("die Bundesrepublik", "en", True),  # as German has it: with a German article
        ("France", "de", False),  # wrong in another way: nobody knows what language it is
        ("Germany", "ru", True),
        ("Frankreich", "ru", True),  # no right answer, but Latin letters
        ("Франция", "ru", False),
        ("フランス", "zh", True),  # kana is not Chinese
        ("法国", "ja", False),  # but characters are Japanese
        ("ふらんす", "ja", False),
        ("1990", "ar", False),
        ("", "ar", False),
        ("ألمانيا", "de", True),
        ("Ｆｒａｎｃｅ", "de", False),
    ],
)
def test_wrong_language(answer, lang, wrong):
    assert in_wrong_language(answer, lang, GERMANY) is wrong


def test_a_name_that_two_languages_share_is_right():
    names = {"en": ("Berlin",), "de": ("Berlin",)}
    assert not in_wrong_language("Berlin", "de", names)


def test_a_target_of_digits_expects_no_script():
    years = {"en": ("1990",), "ar": ("1990",)}
    assert not in_wrong_language("nineteen ninety", "ar", years)


@pytest.mark.parametrize(
    ("text", "lang", "script"),
    [
        ("Paris, 1990", "fr", "LATIN"),
        ("ªµ", "es", "LATIN"),
        ("ｶﾅ", "zh", "KATAKANA"),
        ("カー", "ja", "CJK"),
        ("Ελλάδα x", "en", "GREEK"),
        ("12 ?", "en", ""),
    ],
)
def test_scripts(text, lang, script):
    assert script_of(text, lang) == script


@pytest.mark.parametrize(
    ("answer", "lang", "loops"),
    [
        ("no no no no", "en", True),
        ("Duran Duran Duran", "en", False),
        ("In the end, it is, it is, it is, it is", "en", True),
        ("it is it is it is it is over", "en", False),
        ("哈哈哈哈", "zh", True),
        ("ไทย", "th", False),
        ("", "en", False),
    ],
)
def test_circles(answer, lang, loops):
    assert runs_in_circles(answer, lang) is loops
