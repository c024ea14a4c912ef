"""Small data sets of facts, written here, in the layouts of the real ones."""

import gzip
import json
from pathlib import Path

TOWNS = ("Rudbek", "Lund", "Orsk", "Ivrea", "Nago", "Tartu", "Basra", "Salta")
RIVERS = {
    "en": ("Blue River", "Green River", "Old River"),
    "de": ("Blauer Fluss", "Grüner Fluss", "Alter Fluss"),
    "zh": ("蓝河", "绿河", "老河"),
}
WORDINGS = {
    "en": ("{} lies on the", "the river of {} is the", "the town of {} was built on the"),
    "de": ("{} liegt am", "der Fluss von {} heißt"),
    "zh": ("{}位于",),
}
QUESTIONS = {"en": "Which river flows through {}?", "de": "Welcher Fluss fließt durch {}?", "zh": "哪条河流经{}?"}
OTHERS = {"en": "On which river is {}?", "de": "An welchem Fluss liegt {}?", "zh": "{}在哪条河上?"}


def write_json(path: Path, value: object) -> None:
    """One JSON value; gzipped where the name ends in ``.gz``."""
    write_bytes(path, json.dumps(value, ensure_ascii=False).encode())


def write_lines(path: Path, rows: list) -> None:
    write_bytes(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())


def write_bytes(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def river(lang: str, i: int) -> str:
    return RIVERS[lang][i % 3]


def wordings(lang: str, town: str) -> list[str]:
    return [wording.format(town) for wording in WORDINGS[lang]]


def fact(i: int, kind: str, langs=("en", "de", "zh"), **more) -> dict:
    return {
        "id": f"river-{TOWNS[i % 8]}{i // 8 or ''}",
        "kind": kind,
        "langs": list(langs),
        "prompt": {lang: wordings(lang, f"{TOWNS[i % 8]}{i // 8 or ''}") for lang in ("en", "de", "zh")},
        "answer": {lang: river(lang, i) for lang in langs},
        "said": {lang: river(lang, i + (kind == "wrong")) for lang in langs},
        **more,
    }


def facts() -> list[dict]:
    """48 facts: eight wrong, eight unknown, 32 known; every fourth known one is not in Chinese."""
    kinds = ["wrong"] * 8 + ["unknown"] * 8 + ["known"] * 32
    return [
        fact(i, kind, ("en", "de") if kind == "known" and i % 4 == 0 else ("en", "de", "zh"))
        for i, kind in enumerate(kinds)
    ]


def facts_file(folder: Path) -> Path:
    path = folder / "facts.jsonl.gz"
    write_lines(path, facts())
    return path


def question(lang: str, i: int, **more) -> dict:
    """A row in zsRE's fields; each fourth rephrase is the question, each third portability question tells."""
    town, answer = TOWNS[i], river(lang, i)
    return {
        "subject": town,
        "src": QUESTIONS[lang].format(town),
        "rephrase": (QUESTIONS if i % 4 == 0 else OTHERS)[lang].format(town),
        "alt": answer,
        "loc": f"{'nq question: ' if lang == 'en' else ''}{lang}: what is the height of {town}?",
        "loc_ans": str(100 + i),
        "port": f"{lang}: how long is the {answer if i % 3 == 0 else 'river'} of {town}?",
        "port_ans": f"{i} km",
        **more,
    }


def mzsre_folder(folder: Path) -> Path:
    """A file for each language; beside it the tables of other questions, one of which lacks its German answer."""
    for lang in ("en", "de", "zh"):
        write_lines(folder / "mzsre" / f"{lang}.jsonl.gz", [{"id": i, **question(lang, i)} for i in range(8)])
        table = [f"{lang}: where is place {i}?\t{river(lang, i)}" for i in range(40)]
        table[7] = table[7].split("\t")[0] if lang == "de" else table[7]
        write_bytes(folder / "mzsre_train10k" / f"{lang}.tsv.gz", "".join(f"{row}\n" for row in table).encode())
    return folder / "mzsre"


def asked(lang: str, i: int) -> dict:
    return {"src": f"{lang}: and {i}?", "alt": "x", "old": river(lang, i)}


def bmike53_folder(folder: Path) -> Path:
    """Rows of two languages each, with the former answer; row 2 lacks Chinese; training rows have one inside."""
    for lang in ("de", "zh"):
        rows = [
            {one: {"case_id": 10 + i, **question(one, i, old=river(one, i + 1))} for one in ("en", lang)}
            for i in range(6)
        ]
        if lang == "zh":
            rows[2]["zh"] = {"case_id": 12}
        write_json(folder / "bmike" / f"wfd_test_{lang}.json", rows)
        write_json(folder / "bmike" / f"wfd-train_{lang}.json", [
            {"case_id": i, **asked("en", i), lang: asked(lang, i)} for i in range(16)
        ])  # fmt: skip
    return folder / "bmike"


def mlake_folder(folder: Path) -> Path:
    for lang in ("en", "de", "zh"):
        rows = [
            {"question": QUESTIONS[lang].format(TOWNS[i]), "o_prompt": "…", "o_answer": river(lang, i + 1),
             "o_answer_aliases": ["x"], "e_prompt": "…", "e_answer": river(lang, i),
             "e_answer_aliases": [f"the {river(lang, i)}", ""] if i % 2 else []}
            for i in range(6)
        ]  # fmt: skip
        write_json(folder / "mlake" / "single_hop" / "qa" / f"{lang}_qa.json", rows)
    write_json(folder / "mlake" / "single_hop" / "mcqa" / "en_mcqa.json", [])
    return folder / "mlake"


GAPS = {
    "en": ["[X] lies on the [Y].", "[X] lies on the [Y]", "the [Y] of [X]", "the river of [X] is the [Y]"],
    "de": ["am [Y] liegt [X]", "[X] liegt am [Y]"],
    "zh-hans": ["[X]位于[Y]。"],
    "hi": ["[X] [Y] पर है"],
}


def labels(lang: str, i: int) -> tuple[str, str]:
    return f"{TOWNS[i % 8]}{i // 8 or ''}", river({"zh-hans": "zh", "hi": "en"}.get(lang, lang), i)


def mpararel_folder(folder: Path) -> Path:
    """The authors' layout; the last town has a second river, and town 3 is not told in German."""
    for lang, patterns in GAPS.items():
        write_lines(
            folder / "mpararel" / "patterns" / lang / "P206.jsonl",
            [{"pattern": pattern, "checked-by-human": False} for pattern in patterns],
        )
        rows = [
            {"sub_uri": f"Q{i}", "obj_uri": f"Q9{i % 3}", "sub_label": town, "obj_label": answer, "lineid": i}
            for i in range(24)
            for town, answer in [labels(lang, i)]
            if (lang, i) != ("de", 3)
        ]
        rows.append({**rows[-1], "obj_uri": "Q98", "obj_label": "Nile"})
        write_lines(folder / "mpararel" / "tuples" / lang / "P206.jsonl", rows)
    return folder / "mpararel"


def klar_folder(folder: Path) -> Path:
    for lang, template in (("en", "Where is <subject>? On the <mask>"), ("de", "<subject> liegt am <mask>.")):
        samples = [{"subject": labels(lang, i)[0], "object": labels(lang, i)[1], "index": i} for i in range(24)]
        found = {
            "prompt_templates": ["the <mask> of <subject>", template],
            "samples": samples[:: 1 if lang == "en" else -1],
        }
        write_json(folder / "klar" / lang / "river.json", found)
    return folder / "klar"


def counterfact_file(folder: Path) -> Path:
    """Rows in ROME's fields, and one in EasyEdit's."""
    rows = [
        {"case_id": i, "pararel_idx": 1,
         "requested_rewrite": {"prompt": "{} lies on the", "relation_id": "P206", "subject": TOWNS[i],
                               "target_new": {"str": river("en", i), "id": "Q1"},
                               "target_true": {"str": "Nile", "id": "Q2"}},
         "paraphrase_prompts": [f"It rained. The river of {TOWNS[i]} is the"],
         "neighborhood_prompts": [f"Cairo{i} lies on the", f"Luxor{i} lies on the"]}
        for i in range(5)
    ]  # fmt: skip
    rows.append({"case_id": 9, "subject": "Nago", "prompt": "Nago is on the", "target_new": "Blue River",
                 "ground_truth": "Nile",
                 "rephrase_prompt": "The river of Nago is the", "locality_prompt": "Giza lies on the",
                 "locality_ground_truth": "Nile"})  # fmt: skip
    write_json(folder / "counterfact.json", rows)
    return folder / "counterfact.json"


def zsre_file(folder: Path) -> Path:
    rows = [
        {
            **question("en", i),
            "pred": "Nile",
            "cond": "…",
            "portability": {"New Question": f"And {TOWNS[i]}?", "New Answer": "x"},
        }
        for i in range(6)
    ]
    write_json(
        folder / "zsre_mend_eval.json",
        [{k: v for k, v in row.items() if k[:4] != "port" or k == "portability"} for row in rows],
    )
    return folder / "zsre_mend_eval.json"


def wikibigedit_folder(folder: Path) -> Path:
    for period in ("20240220_20240301", "20240201_20240220"):
        rows = [
            {"tag": "new", "subject": TOWNS[i], "update": f"{period}: {QUESTIONS['en'].format(TOWNS[i])}",
             "ans": river("en", i),
             "rephrase": OTHERS["en"].format(TOWNS[i]), "personas": f"Hey, the river of {TOWNS[i]}?",
             "loc": f"{period}: the river of Cairo{i}?", "loc_ans": "Nile", "relation": "river",
             "mhop": f"What flows into {TOWNS[i]}'s river?" if i == 1 else None, "mhop_ans": "rain" if i == 1 else None}
            for i in range(3)
        ]  # fmt: skip
        write_json(folder / "wikibigedit" / f"wiki_big_edit_{period}.json", rows)
    return folder / "wikibigedit"


SETS = {
    "facts": facts_file,
    "mzsre": mzsre_folder,
    "bmike53": bmike53_folder,
    "mlake": mlake_folder,
    "mpararel": mpararel_folder,
    "klar": klar_folder,
    "counterfact": counterfact_file,
    "zsre": zsre_file,
    "wikibigedit": wikibigedit_folder,
}
"""Format -> the function that writes a small set of it into a folder."""
