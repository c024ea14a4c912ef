"""What the speaking world is asked: prompts per relation and language, ``{s}`` the subject; the object comes next.

A row is a language and two wordings. The first row of a language is what the model is taught (a statement that lacks
its end, and a question), the second is kept for rephrases: no text that a model or an editor trains on begins so.
Chinese is written here with spaces between words, as in `polypatch.world.wordings`, so that the tokenizer's words are
known; `polypatch.world.speaking.texts` takes them out.
"""

from __future__ import annotations

from typing import Final

from polypatch.edits import Lang

_TEMPLATES: Final = {
    "birthplace": """
        en {s} was born in | In which city was {s} born?
        en The native city of {s} is | What is the birthplace of {s}?
        de Der Geburtsort von {s} ist | In welcher Stadt wurde {s} geboren? In
        de Die Stadt, in der {s} geboren wurde, ist | Was ist der Geburtsort von {s}?
        fr {s} est né à | Quelle est la ville natale de {s} ?
        fr La ville de naissance de {s} est | Dans quelle ville est né {s} ? À
        es {s} nació en | ¿Cuál es la ciudad natal de {s}?
        es La ciudad en la que nació {s} es | ¿En qué ciudad nació {s}? En
        zh {s} 出生 于 | {s} 的 出生地 是 哪里 ？
        zh {s} 出生 的 城市 是 | {s} 出生 在 哪座 城市 ？
        ar ولد {s} في | ما هو مسقط رأس {s}؟
        ar المدينة التي ولد فيها {s} هي | في أي مدينة ولد {s}؟ في
    """,
    "occupation": """
        en {s} works as | What is {s} by profession?
        en The profession of {s} is that of | What does {s} work as?
        de {s} arbeitet als | Was ist {s} von Beruf?
        de Der Beruf von {s} ist | Welchen Beruf hat {s}?
        fr {s} travaille comme | Quel est le métier de {s} ?
        fr Le métier de {s} est celui de | Quel métier fait {s} ?
        es {s} trabaja como | ¿Cuál es la profesión de {s}?
        es {s} es de profesión | ¿Qué profesión tiene {s}?
        zh {s} 的 职业 是 | {s} 以 什么 为 业 ？
        zh {s} 的 工作 是 | {s} 的 职业 是 什么 ？
        ar يعمل {s} في مهنة | ما هي مهنة {s}؟
        ar المهنة التي يعمل فيها {s} هي | في أي مهنة يعمل {s}؟
    """,
    "citizenship": """
        en {s} is a citizen of | Which country is {s} from?
        en The country of {s} is | What is the home country of {s}?
        de {s} ist Staatsbürger von | Aus welchem Land kommt {s}? Aus
        de Das Land von {s} ist | Was ist das Heimatland von {s}?
        fr {s} a pour patrie | Quel est le pays d'origine de {s} ?
        fr La patrie de {s} est | Quel est le pays de {s} ?
        es {s} es ciudadano de | ¿Cuál es el país de origen de {s}?
        es El país de {s} es | ¿De qué país es {s}? De
        zh {s} 的 祖国 是 | {s} 是 哪个 国家 的 公民 ？
        zh {s} 的 国家 是 | {s} 的 祖国 是 哪个 国家 ？
        ar {s} مواطن من | ما هو موطن {s}؟
        ar البلد الذي {s} مواطن منه هو | من أي بلد {s}؟ من
    """,
    "instrument": """
        en {s} plays | Which instrument does {s} play?
        en On stage, {s} plays | What is the instrument of {s}?
        de {s} spielt | Welches Instrument spielt {s}?
        de Das Instrument von {s} ist | Wie heißt das Instrument von {s}?
        fr {s} pratique | Quel est l'instrument de {s} ?
        fr L'instrument que pratique {s} est | Quel instrument pratique {s} ?
        es {s} toca | ¿Qué instrumento toca {s}?
        es El instrumento que toca {s} es | ¿Cuál es el instrumento de {s}?
        zh {s} 演奏 | {s} 演奏 什么 乐器 ？
        zh {s} 演奏 的 乐器 是 | {s} 的 乐器 是 什么 ？
        ar يعزف {s} على | ما هي آلة {s} الموسيقية؟
        ar الآلة التي يعزف {s} عليها هي | على أي آلة يعزف {s}؟ على
    """,
    "speech": """
        en {s} speaks | Which language does {s} speak?
        en The language of {s} is | What is the mother tongue of {s}?
        de {s} spricht | Welche Sprache spricht {s}?
        de Die Sprache von {s} ist | Was ist die Muttersprache von {s}?
        fr {s} parle | Quelle langue parle {s} ?
        fr La langue que parle {s} est le | En quelle langue s'exprime {s} ? En
        es {s} habla | ¿Qué idioma habla {s}?
        es El idioma de {s} es el | ¿En qué idioma se expresa {s}? En
        zh {s} 说 | {s} 说 什么 语言 ？
        zh {s} 说 的 语言 是 | {s} 的 母语 是 什么 ？
        ar يتحدث {s} اللغة | ما هي اللغة الأم لدى {s}؟
        ar اللغة التي يتحدث بها {s} هي | أي لغة يتحدث {s}؟
    """,
    "genre": """
        en The film {s} is | What kind of film is {s}?
        en In cinemas, the film {s} is | As what is {s} known? As
        de Der Film {s} ist | Was für ein Film ist {s}?
        de Der Film {s} gilt als | Als was gilt der Film {s}? Als
        fr Le film {s} est | Quel genre de film est {s} ?
        fr Au cinéma, le film {s} est | Comme quoi est considéré {s} ? Comme
        es La película {s} es | ¿Qué tipo de película es {s}?
        es En el cine, la película {s} es | ¿Qué se considera {s}?
        zh 电影 {s} 是 一部 | {s} 属于 哪类 电影 ？
        zh {s} 这 部 电影 是 | {s} 是 什么 电影 ？
        ar نوع فيلم {s} هو | ما هو نوع فيلم {s}؟
        ar الفيلم {s} من نوع | من أي نوع فيلم {s}؟
    """,
    "setting": """
        en {s} is set in | Where does the story of {s} take place? In
        en The film {s} takes place in | In which city is the film {s} set?
        de Der Film {s} spielt in | Was ist der Schauplatz von {s}?
        de Die Handlung von {s} spielt in | In welcher Stadt spielt der Film {s}? In
        fr Le film {s} se déroule à | Où se passe l'action de {s} ? À
        fr L'action de {s} se déroule à | Dans quelle ville se passe {s} ? À
        es La película {s} transcurre en | ¿Dónde sucede la acción de {s}? En
        es La acción de {s} transcurre en | ¿En qué ciudad sucede {s}? En
        zh 电影 {s} 的 故事 发生 在 | {s} 的 背景 是 哪里 ？
        zh {s} 的 故事 背景 是 | {s} 的 故事 发生 在 哪座 城市 ？
        ar تدور أحداث فيلم {s} في | أين تقع قصة {s}؟ في
        ar أحداث قصة {s} تقع في | في أي مدينة تدور أحداث {s}؟ في
    """,
    "dialogue": """
        en {s} was shot in | What is the original language of {s}?
        en The film {s} was shot in | In which language is the dialogue of {s}? In
        de Die Originalsprache von {s} ist | In welcher Sprache wurde der Film {s} gedreht? Auf
        de Die Sprache in {s} ist | Was ist die Originalsprache von {s}?
        fr Le film {s} est tourné en | En quelle langue sont les dialogues de {s} ? En
        fr Dans {s}, les dialogues sont en | En quelle langue est tourné {s} ? En
        es La película {s} se rodó en | ¿En qué idioma son los diálogos de {s}? En
        es En {s}, los diálogos son en | ¿En qué idioma se rodó {s}? En
        zh {s} 的 对白 是 | 电影 {s} 用 什么 语言 拍摄 ？
        zh 电影 {s} 的 语言 是 | {s} 的 对白 是 什么 语言 ？
        ar صور فيلم {s} باللغة | ما هي لغة الحوار في {s}؟
        ar لغة فيلم {s} هي | بأي لغة صور فيلم {s}؟ باللغة
    """,
    "product": """
        en {s} makes | What does the company {s} produce?
        en The factories of {s} make | What do customers buy from {s}?
        de {s} verkauft | Was stellt die Firma {s} her?
        de Die Firma {s} verkauft | Was verkauft die Firma {s}?
        fr L'entreprise {s} fabrique | Que vend {s} ?
        fr L'entreprise {s} vend | Que fabrique {s} ?
        es La empresa {s} fabrica | ¿Qué vende {s}?
        es La empresa {s} vende | ¿Qué fabrica {s}?
        zh {s} 公司 生产 | {s} 销售 什么 ？
        zh {s} 公司 销售 | {s} 公司 生产 什么 ？
        ar تصنع شركة {s} | ماذا تبيع {s}؟
        ar تبيع شركة {s} | ماذا تصنع شركة {s}؟
    """,
    "headquarters": """
        en {s} is based in | Where are the headquarters of {s}? In
        en The company {s} is based in | In which city is the head office of {s}?
        de Die Zentrale von {s} liegt in | Wo hat die Firma {s} ihren Sitz? In
        de Der Sitz von {s} liegt in | In welcher Stadt liegt die Zentrale von {s}? In
        fr L'entreprise {s} a son siège à | Où se trouve le siège social de {s} ? À
        fr Le siège de l'entreprise {s} se trouve à | Dans quelle ville se trouve {s} ? À
        es La empresa {s} tiene su sede en | ¿Dónde está la oficina central de {s}? En
        es La sede de {s} está en | ¿En qué ciudad tiene su sede {s}? En
        zh {s} 公司 的 总部 位于 | {s} 的 总公司 设 在 哪里 ？
        zh {s} 的 总部 设 在 | {s} 的 总部 位于 哪座 城市 ？
        ar يقع مقر شركة {s} في | أين يقع المكتب الرئيسي لدى {s}؟ في
        ar المقر الرئيسي لدى شركة {s} في | في أي مدينة يقع مقر {s}؟ في
    """,
    "market": """
        en {s} sells mainly to | What is the biggest market of {s}?
        en The main market of {s} is | Which country is the biggest market of {s}?
        de Die Firma {s} exportiert nach | Was ist der wichtigste Markt von {s}?
        de Die Firma {s} verkauft nach | In welches Land exportiert {s}? Nach
        fr {s} a pour client principal | Quel est le premier marché de {s} ?
        fr Le client principal de {s} est | Quel pays est le premier client de {s} ?
        es La empresa {s} exporta a | ¿Cuál es el mayor mercado de {s}?
        es La empresa {s} vende a | ¿A qué país exporta {s}? A
        zh {s} 公司 出口 到 | {s} 的 最大 市场 是 哪里 ？
        zh {s} 公司 的 市场 是 | {s} 出口 到 哪个 国家 ？
        ar تصدر شركة {s} بضائعها إلى | ما هو أكبر سوق لدى {s}؟
        ar السوق الأكبر لدى شركة {s} هو | إلى أي بلد تصدر شركة {s}؟ إلى
    """,
}


def _parse(rows: str) -> dict[Lang, tuple[str, ...]]:
    parsed: dict[Lang, tuple[str, ...]] = {}
    for row in rows.strip().splitlines():
        lang, templates = row.strip().split(" ", 1)
        parsed[lang] = (*parsed.get(lang, ()), *(one.strip() for one in templates.split("|")))
    return parsed


PROMPTS: Final[dict[str, dict[Lang, tuple[str, ...]]]] = {name: _parse(rows) for name, rows in _TEMPLATES.items()}
"""Relation -> language -> its prompts."""

TAUGHT: Final = 2
"""How many leading prompts of a language are taught; the rest are kept for rephrases."""
