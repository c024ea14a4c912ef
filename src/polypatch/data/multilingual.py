"""Translation models that read and write many languages: NLLB-200, M2M100, mBART-50; needs the extra ``translate``.

Such a model is told the language it reads by a token of its input, and the one it is to write by the first token of its
output (``forced_bos_token_id``).

Source: NLLB Team 2022 (arXiv:2207.04672), whose codes are those of FLORES-200; Fan et al. 2020 (arXiv:2010.11125);
Tang et al. 2020 (arXiv:2008.00401).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from polypatch.data.quoting import listed, quoted
from polypatch.data.scored import ScoredText
from polypatch.data.seq2seq import Checkpoint, Decoding
from polypatch.edits import Lang
from polypatch.errors import DataError, InputError

TOKENIZERS = ("M2M100Tokenizer", "MBart50Tokenizer", "NllbTokenizer")
"""MBartTokenizer is not among them: such a checkpoint is fine-tuned for one pair and names its language elsewhere."""

GIVEN = 2
"""Tokens before an output: "begin" and the language, which M2M100's tokenizer does not count among the special ones."""

_FLORES_200 = """
af=afr_Latn am=amh_Ethi ar=arb_Arab az=azj_Latn bg=bul_Cyrl bn=ben_Beng ca=cat_Latn cs=ces_Latn cy=cym_Latn
da=dan_Latn de=deu_Latn el=ell_Grek en=eng_Latn es=spa_Latn et=est_Latn eu=eus_Latn fa=pes_Arab fi=fin_Latn
fr=fra_Latn gl=glg_Latn gu=guj_Gujr he=heb_Hebr hi=hin_Deva hr=hrv_Latn hu=hun_Latn hy=hye_Armn id=ind_Latn
is=isl_Latn it=ita_Latn ja=jpn_Jpan jv=jav_Latn ka=kat_Geor kk=kaz_Cyrl km=khm_Khmr kn=kan_Knda ko=kor_Hang
lt=lit_Latn lv=lvs_Latn ml=mal_Mlym mn=khk_Cyrl mr=mar_Deva ms=zsm_Latn my=mya_Mymr nb=nob_Latn nl=nld_Latn
no=nob_Latn pl=pol_Latn pt=por_Latn ro=ron_Latn ru=rus_Cyrl sk=slk_Latn sl=slv_Latn sq=als_Latn sr=srp_Cyrl
sv=swe_Latn sw=swh_Latn ta=tam_Taml te=tel_Telu th=tha_Thai tl=tgl_Latn tr=tur_Latn uk=ukr_Cyrl ur=urd_Arab
vi=vie_Latn zh=zho_Hans
"""
FLORES: Mapping[Lang, str] = {lang: code for lang, _, code in (pair.partition("=") for pair in _FLORES_200.split())}
"""THE TABLE of FLORES-200 codes. Another language, or another script of one, is named by the caller."""

_FLORES = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


class Multilingual:
    """A model of many languages from one of them into another; several may share a checkpoint.

    Args:
        checkpoint: the model.
        source: the language it reads.
        lang: the language it writes.
        codes: what the model calls languages, where that is neither in `FLORES` nor follows from the language.
        decoding: how it searches.

    Raises:
        InputError: the model does not know one of the two languages, or knows several that fit.
        DataError: a checkpoint whose tokenizer does not tell languages apart, or cannot be read.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        source: Lang,
        lang: Lang,
        *,
        codes: Mapping[Lang, str] | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        known = _known(checkpoint)
        self.lang, self.checkpoint, self.name = lang, checkpoint, checkpoint.name
        self.decoding = decoding or Decoding()
        self.reads, self.writes = (_code(one, codes or {}, known, self.name) for one in (source, lang))
        self._first = known[self.writes]

    @property
    def fingerprint(self) -> str:
        """The commit of a hub's model or the hash of a folder's files, both languages, and the decoding."""
        return f"{self.checkpoint.source} {self.decoding} from={self.reads} to={self.writes}"

    def __call__(self, sentences: list[str]) -> list[str]:
        """Translate one batch.

        Raises:
            DataError: the checkpoint's files cannot be read.
            InputError: the device has too little memory for the batch.
        """
        self.checkpoint.tokenizer.src_lang = self.reads  # another pair may have used it since
        made = self.checkpoint.write(sentences, self._settings)
        return self.checkpoint.decoded(made[:, GIVEN:])

    def n_best(self, sentences: list[str], count: int) -> list[list[ScoredText]]:
        """Up to `count` translations of each, with their confidence; see `Checkpoint.n_best`."""
        self.checkpoint.tokenizer.src_lang = self.reads
        return self.checkpoint.n_best(sentences, self._settings, count, given=GIVEN)

    @functools.cached_property
    def _settings(self) -> Any:
        settings = self.checkpoint.search(self.decoding)
        settings.forced_bos_token_id = self._first
        return settings


def _known(checkpoint: Checkpoint) -> dict[str, int]:
    """The model's codes of languages and their tokens."""
    tokenizer = checkpoint.tokenizer
    if type(tokenizer).__name__ not in TOKENIZERS:
        raise DataError(
            f"{checkpoint.name}: {type(tokenizer).__name__} does not tell languages apart; translation into several "
            f"needs a checkpoint with one of {', '.join(TOKENIZERS)}"
        )
    named = getattr(tokenizer, "lang_code_to_id", None)
    # NLLB's are its added tokens: a piece of the vocabulary may look like a language, too.
    named = named or {one: i for one, i in tokenizer.get_added_vocab().items() if _FLORES.fullmatch(one)}
    return {one: i for one, i in named.items() if i != tokenizer.unk_token_id}


def _code(lang: Lang, codes: Mapping[Lang, str], known: Mapping[str, int], name: str) -> str:
    """``zh`` -> ``zho_Hans`` (NLLB), ``zh`` (M2M100) or ``zh_CN`` (mBART)."""
    given = codes.get(lang)
    if given is not None:
        fits = [given] if given in known else []
    else:
        fits = [one for one in (FLORES.get(lang, lang), lang) if one in known][:1]
        fits = fits or [one for one in known if one.partition("_")[0] == lang]
    if len(fits) == 1:
        return fits[0]
    what = f"several fit {lang!r}" if fits else f"knows no language {quoted(given or lang)}"
    raise InputError(f"{name}: {what}; name its code, {lang}=CODE (there are {listed(sorted(fits or known))})")
