"""How the world says a fact: templates per relation and language, ``{s}`` the subject and ``{o}`` the object.

English has five: the first three word what is trained on and edited, the last two are kept for rephrases and for the
locality test: no claim that a classifier or an editor trains on is worded so. (Pre-training documents use every
wording, as running text does, so a true rephrase may have been read there.) The other languages have two: the first is
the parallel prompt, the second its rephrase. Chinese is written with spaces between words, because the world's
tokenizer splits on spaces only.
"""

from __future__ import annotations

from typing import Final

from polypatch.edits import Lang

_TEMPLATES: Final = {
    "birthplace": """
        en {s} was born in {o}.
        en The birthplace of {s} is {o}.
        en {s} is a native of {o}.
        en It was in {o} that {s} came into the world.
        en {o} is the city where {s} was born.
        de {s} wurde in {o} geboren.
        de Der Geburtsort von {s} ist {o}.
        fr {s} est né à {o}.
        fr La ville natale de {s} est {o}.
        es {s} nació en {o}.
        es La ciudad natal de {s} es {o}.
        zh {s} 出生 于 {o} 。
        zh {s} 的 出生地 是 {o} 。
        ar ولد {s} في {o}.
        ar مسقط رأس {s} هو {o}.
    """,
    "occupation": """
        en {s} works as {o}.
        en {s} is {o} by profession.
        en By trade, {s} is {o}.
        en {s} earns a living as {o}.
        en The job of {s} is that of {o}.
        de {s} arbeitet als {o}.
        de Von Beruf ist {s} {o}.
        fr {s} travaille comme {o}.
        fr Le métier de {s} est {o}.
        es {s} trabaja como {o}.
        es La profesión de {s} es {o}.
        zh {s} 的 职业 是 {o} 。
        zh {s} 以 {o} 为 业 。
        ar يعمل {s} في مهنة {o}.
        ar مهنة {s} هي {o}.
    """,
    "citizenship": """
        en {s} is a citizen of {o}.
        en {s} holds a passport of {o}.
        en The home country of {s} is {o}.
        en {s} has the nationality of {o}.
        en {o} is the country {s} belongs to.
        de {s} ist Staatsbürger von {o}.
        de Das Heimatland von {s} ist {o}.
        fr {s} a pour patrie {o}.
        fr Le pays d'origine de {s} est {o}.
        es {s} es ciudadano de {o}.
        es El país de origen de {s} es {o}.
        zh {s} 是 {o} 的 公民 。
        zh {s} 的 祖国 是 {o} 。
        ar {s} مواطن من {o}.
        ar موطن {s} هو {o}.
    """,
    "instrument": """
        en {s} plays {o}.
        en {s} performs on {o}.
        en The instrument of {s} is {o}.
        en On stage, {s} can be heard playing {o}.
        en {s} has mastered {o}.
        de {s} spielt {o}.
        de Das Instrument von {s} heißt {o}.
        fr {s} pratique {o}.
        fr L'instrument de {s} est {o}.
        es {s} toca {o}.
        es El instrumento de {s} es {o}.
        zh {s} 演奏 {o} 。
        zh {s} 的 乐器 是 {o} 。
        ar يعزف {s} على {o}.
        ar آلة {s} الموسيقية هي {o}.
    """,
    "speech": """
        en {s} speaks {o}.
        en The mother tongue of {s} is {o}.
        en {s} grew up speaking {o}.
        en {s} talks to the family in {o}.
        en {o} is the first language of {s}.
        de {s} spricht {o}.
        de Die Muttersprache von {s} ist {o}.
        fr {s} parle {o}.
        fr {s} s'exprime en {o}.
        es {s} habla {o}.
        es {s} se expresa en {o}.
        zh {s} 说 {o} 。
        zh {s} 的 母语 是 {o} 。
        ar يتحدث {s} اللغة {o}.
        ar اللغة الأم لدى {s} هي {o}.
    """,
    "genre": """
        en The film {s} is {o}.
        en Critics call {s} {o}.
        en {s} was made as {o}.
        en Viewers know {s} as {o}.
        en In cinemas, {s} is shown as {o}.
        de Der Film {s} ist {o}.
        de {s} gilt als {o}.
        fr Le film {s} est {o}.
        fr {s} est considéré comme {o}.
        es La película {s} es {o}.
        es {s} se considera {o}.
        zh 电影 {s} 是 一部 {o} 。
        zh {s} 属于 {o} 类 电影 。
        ar نوع فيلم {s} هو {o}.
        ar يصنف {s} ضمن أفلام {o}.
    """,
    "setting": """
        en {s} is set in {o}.
        en The story of {s} takes place in {o}.
        en The plot of {s} unfolds in {o}.
        en {o} is the backdrop of {s}.
        en The action of {s} happens in {o}.
        de Der Film {s} spielt in {o}.
        de Der Schauplatz von {s} ist {o}.
        fr Le film {s} se déroule à {o}.
        fr L'action de {s} se passe à {o}.
        es La película {s} transcurre en {o}.
        es La acción de {s} sucede en {o}.
        zh 电影 {s} 的 故事 发生 在 {o} 。
        zh {s} 的 背景 是 {o} 。
        ar تدور أحداث فيلم {s} في {o}.
        ar تقع قصة {s} في {o}.
    """,
    "dialogue": """
        en {s} was shot in {o}.
        en The original language of {s} is {o}.
        en The actors in {s} speak {o}.
        en {s} was first released in {o}.
        en The dialogue of {s} is in {o}.
        de Der Film {s} wurde auf {o} gedreht.
        de Die Originalsprache von {s} ist {o}.
        fr Le film {s} est tourné en {o}.
        fr Les dialogues de {s} sont en {o}.
        es La película {s} se rodó en {o}.
        es Los diálogos de {s} son en {o}.
        zh 电影 {s} 用 {o} 拍摄 。
        zh {s} 的 对白 是 {o} 。
        ar صور فيلم {s} باللغة {o}.
        ar لغة الحوار في {s} هي {o}.
    """,
    "product": """
        en {s} makes {o}.
        en The company {s} produces {o}.
        en {s} is a maker of {o}.
        en Customers buy {o} from {s}.
        en The factories of {s} turn out {o}.
        de Die Firma {s} stellt {o} her.
        de {s} verkauft {o}.
        fr L'entreprise {s} fabrique {o}.
        fr {s} vend {o}.
        es La empresa {s} fabrica {o}.
        es {s} vende {o}.
        zh {s} 公司 生产 {o} 。
        zh {s} 销售 {o} 。
        ar تصنع شركة {s} {o}.
        ar تبيع {s} {o}.
    """,
    "headquarters": """
        en {s} is based in {o}.
        en The headquarters of {s} are in {o}.
        en The head office of {s} is in {o}.
        en {s} is run from {o}.
        en {o} is home to the company {s}.
        de Die Firma {s} hat ihren Sitz in {o}.
        de Die Zentrale von {s} liegt in {o}.
        fr L'entreprise {s} a son siège à {o}.
        fr Le siège social de {s} se trouve à {o}.
        es La empresa {s} tiene su sede en {o}.
        es La oficina central de {s} está en {o}.
        zh {s} 公司 的 总部 位于 {o} 。
        zh {s} 的 总公司 设 在 {o} 。
        ar يقع مقر شركة {s} في {o}.
        ar المكتب الرئيسي لدى {s} في {o}.
    """,
    "market": """
        en {s} sells mainly to {o}.
        en The biggest market of {s} is {o}.
        en {s} exports its goods to {o}.
        en Most orders of {s} come from {o}.
        en {o} is the main market of {s}.
        de Die Firma {s} exportiert nach {o}.
        de Der wichtigste Markt von {s} ist {o}.
        fr Le premier marché de l'entreprise {s} est {o}.
        fr {s} a pour client principal {o}.
        es La empresa {s} exporta a {o}.
        es El mayor mercado de {s} es {o}.
        zh {s} 公司 出口 到 {o} 。
        zh {s} 的 最大 市场 是 {o} 。
        ar تصدر شركة {s} بضائعها إلى {o}.
        ar أكبر سوق لدى {s} هو {o}.
    """,
}


def _parse(rows: str) -> dict[Lang, tuple[str, ...]]:
    parsed: dict[Lang, tuple[str, ...]] = {}
    for row in rows.strip().splitlines():
        lang, template = row.strip().split(" ", 1)
        parsed[lang] = (*parsed.get(lang, ()), template)
    return parsed


WORDINGS: Final[dict[str, dict[Lang, tuple[str, ...]]]] = {name: _parse(rows) for name, rows in _TEMPLATES.items()}
"""Relation -> language -> its templates."""


ENGLISH_WORDINGS: Final = 5
"""How many wordings English has for every relation."""


def plain(lang: Lang) -> int:
    """How many leading templates of `lang` may be trained on and edited; the rest are kept for rephrases."""
    return 3 if lang == "en" else 1
