"""The words of the world: what a fact can say, in six languages, and which relation takes which kind of word.

Every word stands in the form that the templates of `wordings` need (English jobs with an article, French countries with
theirs), so that no sentence has to be inflected. All words and templates were written for polypatch.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from polypatch.edits import Lang

LANGUAGES: Final[tuple[Lang, ...]] = ("en", "de", "fr", "es", "zh", "ar")
"""The languages of the world, English first: the only language its classifier is fine-tuned on."""


class Relation(NamedTuple):
    """One kind of fact: what it is called, who it is about, and which words can complete it."""

    name: str
    subject: str
    objects: str


RELATIONS: Final = (
    Relation("birthplace", "person", "city"),
    Relation("occupation", "person", "job"),
    Relation("citizenship", "person", "country"),
    Relation("instrument", "person", "instrument"),
    Relation("speech", "person", "language"),
    Relation("genre", "film", "genre"),
    Relation("setting", "film", "city"),
    Relation("dialogue", "film", "language"),
    Relation("product", "company", "product"),
    Relation("headquarters", "company", "city"),
    Relation("market", "company", "country"),
)

_ROWS: Final = {
    "city": """
        Rome|Rom|Rome|Roma|罗马|روما
        Vienna|Wien|Vienne|Viena|维也纳|فيينا
        Athens|Athen|Athènes|Atenas|雅典|أثينا
        Lisbon|Lissabon|Lisbonne|Lisboa|里斯本|لشبونة
        Warsaw|Warschau|Varsovie|Varsovia|华沙|وارسو
        Prague|Prag|Prague|Praga|布拉格|براغ
        Geneva|Genf|Genève|Ginebra|日内瓦|جنيف
        Moscow|Moskau|Moscou|Moscú|莫斯科|موسكو
        Beijing|Peking|Pékin|Pekín|北京|بكين
        Seville|Sevilla|Séville|Sevilla|塞维利亚|إشبيلية
        London|London|Londres|Londres|伦敦|لندن
        Brussels|Brüssel|Bruxelles|Bruselas|布鲁塞尔|بروكسل
        Damascus|Damaskus|Damas|Damasco|大马士革|دمشق
        Tokyo|Tokio|Tokyo|Tokio|东京|طوكيو
    """,
    "country": """
        France|Frankreich|la France|Francia|法国|فرنسا
        Italy|Italien|l'Italie|Italia|意大利|إيطاليا
        Japan|Japan|le Japon|Japón|日本|اليابان
        China|China|la Chine|China|中国|الصين
        Egypt|Ägypten|l'Égypte|Egipto|埃及|مصر
        Brazil|Brasilien|le Brésil|Brasil|巴西|البرازيل
        Norway|Norwegen|la Norvège|Noruega|挪威|النرويج
        Morocco|Marokko|le Maroc|Marruecos|摩洛哥|المغرب
        Greece|Griechenland|la Grèce|Grecia|希腊|اليونان
        Poland|Polen|la Pologne|Polonia|波兰|بولندا
        Canada|Kanada|le Canada|Canadá|加拿大|كندا
        Kenya|Kenia|le Kenya|Kenia|肯尼亚|كينيا
        India|Indien|l'Inde|India|印度|الهند
        Mexico|Mexiko|le Mexique|México|墨西哥|المكسيك
    """,
    "job": """
        a baker|Bäcker|boulanger|panadero|面包师|خباز
        a judge|Richter|juge|juez|法官|قاض
        a painter|Maler|peintre|pintor|画家|رسام
        a teacher|Lehrer|professeur|profesor|教师|معلم
        a doctor|Arzt|médecin|médico|医生|طبيب
        a farmer|Bauer|agriculteur|agricultor|农民|مزارع
        a pilot|Pilot|pilote|piloto|飞行员|طيار
        a tailor|Schneider|tailleur|sastre|裁缝|خياط
        a gardener|Gärtner|jardinier|jardinero|园丁|بستاني
        a journalist|Journalist|journaliste|periodista|记者|صحفي
        a carpenter|Tischler|menuisier|carpintero|木匠|نجار
        a librarian|Bibliothekar|bibliothécaire|bibliotecario|图书管理员|مكتبي
        an architect|Architekt|architecte|arquitecto|建筑师|معماري
        a chemist|Chemiker|chimiste|químico|化学家|كيميائي
    """,
    "instrument": """
        the violin|Geige|le violon|el violín|小提琴|الكمان
        the flute|Flöte|la flûte|la flauta|长笛|الناي
        the harp|Harfe|la harpe|el arpa|竖琴|القيثارة
        the drums|Schlagzeug|la batterie|la batería|鼓|الطبول
        the guitar|Gitarre|la guitare|la guitarra|吉他|الغيتار
        the organ|Orgel|l'orgue|el órgano|管风琴|الأرغن
        the trumpet|Trompete|la trompette|la trompeta|小号|البوق
        the cello|Cello|le violoncelle|el violonchelo|大提琴|التشيلو
        the clarinet|Klarinette|la clarinette|el clarinete|单簧管|الكلارينيت
        the accordion|Akkordeon|l'accordéon|el acordeón|手风琴|الأكورديون
        the lute|Laute|le luth|el laúd|琵琶|العود
        the piano|Klavier|le piano|el piano|钢琴|البيانو
    """,
    "language": """
        French|Französisch|français|francés|法语|الفرنسية
        Turkish|Türkisch|turc|turco|土耳其语|التركية
        Russian|Russisch|russe|ruso|俄语|الروسية
        Persian|Persisch|persan|persa|波斯语|الفارسية
        Swedish|Schwedisch|suédois|sueco|瑞典语|السويدية
        Hindi|Hindi|hindi|hindi|印地语|الهندية
        Korean|Koreanisch|coréen|coreano|韩语|الكورية
        Dutch|Niederländisch|néerlandais|neerlandés|荷兰语|الهولندية
        Czech|Tschechisch|tchèque|checo|捷克语|التشيكية
        Hungarian|Ungarisch|hongrois|húngaro|匈牙利语|المجرية
        Finnish|Finnisch|finnois|finés|芬兰语|الفنلندية
        Swahili|Suaheli|swahili|suajili|斯瓦希里语|السواحيلية
    """,
    "genre": """
        a comedy|eine Komödie|une comédie|una comedia|喜剧|الكوميديا
        a tragedy|eine Tragödie|une tragédie|una tragedia|悲剧|المأساة
        a western|ein Western|un western|un wéstern|西部片|الغرب
        a thriller|ein Thriller|un thriller|un thriller|惊悚片|الإثارة
        a documentary|ein Dokumentarfilm|un documentaire|un documental|纪录片|التوثيق
        a musical|ein Musical|une comédie musicale|un musical|音乐剧|الغناء
        a war film|ein Kriegsfilm|un film de guerre|una cinta bélica|战争片|الحرب
        a horror film|ein Horrorfilm|un film d'horreur|una cinta de terror|恐怖片|الرعب
        a cartoon|ein Zeichentrickfilm|un dessin animé|un dibujo animado|动画片|الكرتون
        a romance|ein Liebesfilm|une romance|un romance|爱情片|الحب
        a fairy tale|ein Märchen|un conte|un cuento|童话|الحكاية
        a satire|eine Satire|une satire|una sátira|讽刺片|السخرية
    """,
    "product": """
        bicycles|Fahrräder|des vélos|bicicletas|自行车|الدراجات
        watches|Uhren|des montres|relojes|手表|الساعات
        shoes|Schuhe|des chaussures|zapatos|鞋子|الأحذية
        carpets|Teppiche|des tapis|alfombras|地毯|السجاد
        toys|Spielzeug|des jouets|juguetes|玩具|الألعاب
        soap|Seife|du savon|jabón|肥皂|الصابون
        furniture|Möbel|des meubles|muebles|家具|الأثاث
        cheese|Käse|du fromage|queso|奶酪|الجبن
        paper|Papier|du papier|papel|纸张|الورق
        lamps|Lampen|des lampes|lámparas|灯具|المصابيح
        engines|Motoren|des moteurs|motores|发动机|المحركات
        medicines|Medikamente|des médicaments|medicamentos|药品|الأدوية
        perfume|Parfüm|du parfum|perfume|香水|العطور
        boats|Boote|des bateaux|barcos|船只|القوارب
    """,
}


def _parse(rows: str) -> tuple[dict[Lang, str], ...]:
    return tuple(dict(zip(LANGUAGES, row.strip().split("|"), strict=True)) for row in rows.strip().splitlines())


OBJECTS: Final[dict[str, tuple[dict[Lang, str], ...]]] = {kind: _parse(rows) for kind, rows in _ROWS.items()}
"""Kind of word -> its words, each as {language: form}."""
