"""What the translators on this machine can do for edits with one language, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from polypatch.data.parallel import LanguagePair
from polypatch.data.translate import Translator
from polypatch.edits import Edit, Lang

Find = Callable[[Lang, Lang], Translator | None]
"""(language read, language written) -> what translates between them; None where there is nothing, or any doubt."""

NOTHING_TO_DO = (
    "a translator, and nothing for it to do: --translate-to auto translates a classifier's edits that have one "
    "language into the others of the memory; say which languages to translate into, such as de,fr"
)
LEFT_AS_THEY_ARE = "--translate-to none leaves the edits as they are"


def pairs_of(edits: Sequence[Edit], lang: Lang) -> list[LanguagePair]:
    """What translates the edits into a language."""
    return [(source, lang) for source in dict.fromkeys(edit.source for edit in edits) if source != lang]


def translators_into(edits: Sequence[Edit], lang: Lang, find: Find) -> dict[LanguagePair, Translator]:
    """Those into a language from every source; empty where one is not to be had."""
    found = {pair: find(*pair) for pair in pairs_of(edits, lang)}
    there = {pair: one for pair, one in found.items() if one is not None}
    return there if len(there) == len(found) else {}


def said_unasked(
    edits: Sequence[Edit],
    wanted: Sequence[Lang],
    found: Mapping[Lang, Mapping[LanguagePair, Translator]],
    named: Callable[[Lang, Lang], str],
    *,
    resumed: bool = False,
) -> str:
    """What is done, by what, how it is left, and what would do more."""
    number = f"{len(edits)} edits that have" if len(edits) > 1 else "the edit, which has"
    into = ", ".join(f"{lang} (by {' and '.join(named(*pair) for pair in row)})" for lang, row in found.items())
    said = f"{number} a prompt in one language only: translated into {into}; --translate-to none leaves it"
    if (missing := [lang for lang in wanted if lang not in found]) and not resumed:
        more = f"--translate-to {','.join(wanted)} downloads what the hub has"
        said += f". No translator on this machine for {', '.join(missing)}: {more}"
    return said
