"""Normal forms and matches of answers, language by language: examples worked out by hand, and what holds for all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polypatch.evaluation.match import exact, token_f1
from polypatch.evaluation.normal import UNSPACED, normal, tokens

LANGUAGES = st.sampled_from(["en", "de", "fr", "es", "zh", "ja", "th", "ar", "ru", "vi", "tr", "km", "fa"])
ANSWERS = st.text(max_size=12) | st.text("theaİIßﬁ 　'！!。()ةـَّ٣3あア人ไ่a\u0301\u200d-", max_size=12)


@pytest.mark.parametrize(
    ("lang", "answer", "form"),
    [
        ("en", "  The Isle  of\nMan. ", "isle of man"),
        ("en", "“Rock'n'Roll”!", "rocknroll"),
        ("en", "The The", "the the"),  # nothing but articles: a band
        ("en", "?!", "?!"),
        ("de", "Die Große Straße", "grosse strasse"),
        ("de", "the end", "the end"),  # English articles are none here
        ("fr", "L’Été à la mer", "lété à la mer"),  # neither SQuAD nor MLQA knows French
        ("es", "El Niño", "niño"),
        ("es", "¿Los Ángeles?", "ángeles"),
        ("zh", "「北京 市」。", "北京市"),
        ("zh", "ＡＢＣ１２３", "abc123"),
        ("ja", "ﾄｳｷｮｳ・タワー", "トウキョウタワー"),
        ("th", "กรุงเทพ มหานคร", "กรุงเทพมหานคร"),
        ("ar", "مُحَمَّــد،", "محمد"),
        ("ar", "سنة ١٩٦٩؟", "سنة 1969"),
        ("ar", "القاهرة", "القاهرة"),  # its article stays
        ("ru", "«Санкт-Петербург»", "санктпетербург"),
        ("vi", "Hà Nội", "hà nội"),
        ("vi", "Ha\u0300 No\u0323\u0302i", "hà nội"),
        ("tr", "İSTANBUL", "istanbul"),
        ("tr", "IĞDIR", "ığdır"),
        ("en", "so\u00adft\u200b", "soft"),
        ("en", "", ""),
    ],
)
def test_normal_forms(lang, answer, form):
    assert normal(answer, lang) == form


@given(ANSWERS, LANGUAGES)
@example("a!́", "en")
@example("( )", "ja")
def test_a_normal_form_is_its_own(answer, lang):
    form = normal(answer, lang)
    assert normal(form, lang) == form


@given(ANSWERS, LANGUAGES)
def test_neither_case_nor_blanks_nor_marks_at_the_ends_count(answer, lang):
    assert exact(f"\n {answer}\u3000", [answer], lang)
    if any(char.isalpha() for char in normal(answer, lang)):
        assert exact(f"({answer})。", [answer], lang)


@pytest.mark.parametrize(
    ("lang", "answer", "found"),
    [
        ("en", "The Sea of Azov", ["sea", "of", "azov"]),
        ("zh", "iPhone 15 手机", ["iphone15", "手", "机"]),
        ("ja", "東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("th", "ไทย", ["ไ", "ท", "ย"]),
        ("ru", "Нижний Новгород", ["нижний", "новгород"]),
    ],
)
def test_tokens(lang, answer, found):
    assert tokens(answer, lang) == found


@pytest.mark.parametrize(
    ("lang", "answer", "accepted", "f1"),
    [
        ("en", "the Baltic Sea", ["Baltic Sea"], 1),
        ("en", "the Black Sea", ["Baltic Sea"], 1 / 2),
        ("en", "Sea Sea", ["Baltic Sea"], 1 / 2),  # a token counts as often as both have it
        ("en", "It is the Baltic Sea", ["Baltic Sea"], 2 / 3),
        ("en", "Mare Balticum", ["Baltic Sea", "Mare Balticum"], 1),  # the best alias counts
        ("de", "Ostsee", ["Baltisches Meer"], 0),
        ("zh", "上海", ["北海"], 1 / 2),
        ("ja", "大阪府", ["大阪"], 4 / 5),
        ("th", "ลาว", ["ลา"], 4 / 5),
        ("ar", "جمال عبد الناصر", ["جمال"], 1 / 2),
        ("fr", "", ["rien"], 0),
        ("fr", "rien", [], 0),
    ],
)
def test_f1(lang, answer, accepted, f1):
    assert token_f1(answer, accepted, lang) == pytest.approx(f1)


@given(ANSWERS, ANSWERS, LANGUAGES)
def test_f1_is_symmetric_and_1_where_it_matches(a, b, lang):
    one = token_f1(a, [b], lang)
    assert one == token_f1(b, [a], lang)
    assert 0 <= one <= 1
    assert one == 1 or not exact(a, [b], lang)


@given(st.lists(ANSWERS, max_size=3), ANSWERS, LANGUAGES)
def test_an_alias_more_never_costs(accepted, answer, lang):
    assert token_f1(answer, [*accepted, "x"], lang) >= token_f1(answer, accepted, lang)
    assert exact(answer, [*accepted, answer], lang)


def test_languages_without_blanks():
    assert {"zh", "ja", "th", "lo", "km", "my"} == UNSPACED
    assert exact("New York", ["newyork"], "my")
    assert not exact("New York", ["newyork"], "ko")
