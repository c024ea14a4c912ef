"""Models of many languages, and translators by name."""

import json
import shutil

import pytest

from polypatch.data.marian import Marian
from polypatch.data.multilingual import FLORES, Multilingual
from polypatch.data.seq2seq import Checkpoint, Decoding
from polypatch.data.translators import Models
from polypatch.errors import DataError, InputError

from .tiny_marian import sentences
from .tiny_nllb import tiny_m2m100, tiny_mbart50, tiny_nllb


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    return tiny_nllb(tmp_path_factory.mktemp("multilingual") / "nllb")


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory):
    return tiny_m2m100(tmp_path_factory.mktemp("multilingual") / "m2m100")


@pytest.fixture(scope="module")
def mbart50(tmp_path_factory):
    return tiny_mbart50(tmp_path_factory.mktemp("multilingual") / "mbart50")


KINDS = {
    "nllb": ("fra_Latn", "deu_Latn"),
    "m2m100": ("__fr__", "__de__"),
    "mbart50": ("fr_XX", "de_DE"),
}


def test_the_codes_are_those_of_nllb():
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    assert set(FLORES.values()) <= set(FAIRSEQ_LANGUAGE_CODES)
    assert len(FLORES) > 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_reads_one_language_and_writes_another(kind, request):
    models = Models(str(request.getfixturevalue(kind)))
    german, french, back = models("en", "de"), models("en", "fr"), models("de", "en")
    assert german.checkpoint is french.checkpoint is back.checkpoint
    texts = sentences("en")[:6]
    whole = german(texts)
    assert [german([text])[0] for text in texts] == whole
    assert all(text.strip() for text in whole)
    assert len({tuple(whole), tuple(french(texts)), tuple(back(texts))}) == 3
    assert german(texts) == whole  # the other pairs left nothing behind
    assert not any(code in text for text in whole for code in ("__de__", "deu_Latn", "de_DE", "</s>"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_told_both_languages(kind, request):
    translator = Models(str(request.getfixturevalue(kind)))("fr", "de")
    tokenizer, names = translator.checkpoint.tokenizer, KINDS[kind]
    assert (translator.reads, translator.writes) == tuple(name.strip("_") for name in names)
    texts, seen = sentences("fr")[:2], []
    own = translator.checkpoint.model.generate

    def watched(**inputs):
        made = own(**inputs)
        seen.append((inputs["input_ids"], made))
        return made

    translator.checkpoint.model.generate = watched
    translator(texts)
    ((read, made),) = seen
    assert set(tokenizer.convert_ids_to_tokens(read[:, 0])) == {names[0]}
    assert set(tokenizer.convert_ids_to_tokens(made[:, 1])) == {names[1]}


def test_the_key_says_checkpoint_languages_and_decoding(nllb, tmp_path):
    moved = shutil.copytree(nllb, tmp_path / "moved")
    keys = {
        Models(str(nllb))("en", "de").fingerprint,
        Models(str(nllb))("en", "fr").fingerprint,
        Models(str(nllb))("fr", "de").fingerprint,
        Models(str(nllb), decoding=Decoding(num_beams=3))("en", "de").fingerprint,
    }
    assert len(keys) == 4
    assert Models(str(moved))("en", "de").fingerprint in keys
    config = json.loads((moved / "tokenizer_config.json").read_text(encoding="utf-8"))
    (moved / "tokenizer_config.json").write_text(json.dumps({**config, "note": 1}), encoding="utf-8")
    assert Models(str(moved))("en", "de").fingerprint not in keys


def test_decoding_is_bounded(nllb):
    translator = Models(str(nllb), decoding=Decoding(num_beams=3, max_tokens=5))("en", "de")
    assert (translator._settings.num_beams, translator._settings.max_length) == (3, 6)
    assert translator._settings.forced_bos_token_id == translator.checkpoint.tokenizer.convert_tokens_to_ids("deu_Latn")


def test_languages_that_the_model_does_not_know(nllb, m2m100):
    with pytest.raises(InputError, match=r"knows no language 'tlh'; name its code, tlh=CODE \(there are ace_Arab, "):
        Models(str(nllb))("en", "tlh")
    with pytest.raises(InputError, match=r"knows no language 'es'"):  # in the table, and not in this model
        Models(str(nllb))("en", "es")
    with pytest.raises(InputError, match=r"several fit 'ace'; .* \(there are ace_Arab, ace_Latn\)"):
        Models(str(nllb))("en", "ace")
    with pytest.raises(InputError, match=r"knows no language 'Klingon'"):
        Models(str(nllb), codes={"de": "Klingon"})("en", "de")
    # "un" is a piece of the vocabulary and no language
    with pytest.raises(InputError, match=r"knows no language 'un'"):
        Models(str(nllb), codes={"de": "un"})("en", "de")
    assert Models(str(nllb), codes={"ace": "ace_Latn"})("en", "ace").writes == "ace_Latn"
    assert Models(str(m2m100))("xh", "zu").reads == "xh"


def test_checkpoints_of_another_kind(nllb, models, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"'t5'; translation needs a 'marian', 'm2m_100', 'mbart' or 'nllb-moe' model"):
        Models(str(tmp_path))("en", "de")
    with pytest.raises(DataError, match=r"'m2m_100'; translation needs a 'marian' model"):
        Marian("de", str(nllb))
    with pytest.raises(DataError, match=r"MarianTokenizer does not tell languages apart"):
        Multilingual(Checkpoint(str(models["de"])), "en", "de")
    broken = shutil.copytree(nllb, tmp_path / "broken")
    (broken / "tokenizer.json").write_text("cut", encoding="utf-8")
    with pytest.raises(DataError, match="broken: neither a translation model's folder nor"):
        Models(str(broken))("en", "de")


def test_marian_models_by_their_names(models):
    template = str(models["de"].parent / "{lang}")
    made = Models(template)
    assert [made("en", lang).name for lang in ("de", "fr")] == [str(models["de"]), str(models["fr"])]
    with pytest.raises(InputError, match=r"was to do en to de and fr to de; put {source} and {lang} into the name"):
        made("fr", "de")
    one = Models(str(models["de"]))
    one("en", "de")
    with pytest.raises(InputError, match=r"was to do en to de and en to fr"):
        one("en", "fr")
    with pytest.raises(InputError, match=r"knows no token '>>fra<<' for 'fr'"):
        Models(template, codes={"fr": ">>fra<<"})("en", "fr")
    shared = Models(str(models["zh"]), codes={"zh": ">>cmn_Hans<<", "yue": ">>cmn_Hans<<"})
    assert [shared("en", lang)._prefix for lang in ("zh", "yue")] == [">>cmn_Hans<< "] * 2


def test_a_code_that_is_in_the_tokenizers_list_and_not_in_its_vocabulary(mbart50, tmp_path):
    assert Models(str(mbart50))("en", "zh").writes == "zh_CN"
    with pytest.raises(InputError, match="knows no language 'xx'"):
        Models(str(mbart50), codes={"de": "xx"})("en", "de")
    cut = shutil.copytree(mbart50, tmp_path / "cut")
    read = (cut / "tokenizer.json").read_text(encoding="utf-8")
    (cut / "tokenizer.json").write_text(read.replace("gl_ES", "gl_ZZ"), encoding="utf-8")
    tokens = (cut / "tokenizer_config.json").read_text(encoding="utf-8")
    (cut / "tokenizer_config.json").write_text(tokens.replace("gl_ES", "gl_ZZ"), encoding="utf-8")
    with pytest.raises(InputError, match="knows no language 'gl'"):
        Models(str(cut))("en", "gl")
