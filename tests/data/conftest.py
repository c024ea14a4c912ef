"""Two tiny corpora in the layouts of MASSIVE and XNLI, written here."""

import gzip
from pathlib import Path

import pytest

LANGUAGES = ("en", "de", "fr")
LOCALES = {"en": "en-US", "de": "de-DE", "fr": "fr-FR"}
PHRASES = {
    "lights_on": ("turn on lamp {}", "schalte lampe {} ein", "allume la lampe {}"),
    "lights_off": ("turn off lamp {}", "schalte lampe {} aus", "éteins la lampe {}"),
    "timer_set": ("wake me in {} minutes", "weck mich in {} minuten", "réveille-moi dans {} minutes"),
}
PARTITIONS = {"train": 60, "dev": 45, "test": 9}


def write_table(path: Path, rows: list[tuple[str, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def massive_rows() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(id, partition, intent, texts) of every row, with the traps of the real corpus planted."""
    rows = []
    for partition, size in PARTITIONS.items():
        for i in range(size):
            intent = list(PHRASES)[i % 3]
            number = f"{partition[1:3]}{i}"
            rows.append((str(len(rows)), partition, intent, tuple(p.format(number) for p in PHRASES[intent])))
    test = [row for row in rows if row[1] == "test"]
    train = [row for row in rows if row[1] == "train"]
    planted = [
        ("train", test[0][2], test[0][3]),  # an edit's text in train, in every language
        ("train", test[1][2], ("switch lamp es1 on please", test[1][3][1], "allume donc es1")),  # in German only
        ("dev", test[2][2], (test[2][3][0], "weck mich bald", "réveille-moi bientôt")),  # an edit's English text in dev
        ("dev", train[0][2], train[0][3]),  # a train text in dev
        ("train", train[3][2], train[3][3]),  # a train text twice
    ]
    return rows + [(str(len(rows) + i), *row) for i, row in enumerate(planted)]


@pytest.fixture
def massive_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "massive"
    rows = massive_rows()
    labels = [("id", "partition", "scenario", "intent"), *((i, part, "home", intent) for i, part, intent, _ in rows)]
    write_table(folder / "labels.tsv.gz", labels)
    for k, lang in enumerate(LANGUAGES):
        table = [("id", "utt"), *((row[0], row[3][k]) for row in rows)]
        # one language unzipped: both are accepted
        write_table(folder / f"{LOCALES[lang]}.tsv{'' if lang == 'fr' else '.gz'}", table)
    return folder


XNLI_PHRASES = {
    "en": ("Guest {} came by train.", ("Guest {} travelled.", "Guest {} was tired.", "Guest {} came by car.")),
    "de": ("Gast {} kam mit dem Zug.", ("Gast {} ist gereist.", "Gast {} war müde.", "Gast {} kam mit dem Auto.")),
    "sw": ("Mgeni {} alikuja kwa treni.", ("Mgeni {} alisafiri.", "Mgeni {} alichoka.", "Mgeni {} alikuja kwa gari.")),
}
XNLI_LABELS = ("entailment", "neutral", "contradiction")
XNLI_PREMISES = {"dev": 20, "test": 4}


def xnli_pairs(split: str, lang: str) -> list[tuple[str, str]]:
    premise, hypotheses = XNLI_PHRASES[lang]
    names = [f"{split}{i}" for i in range(XNLI_PREMISES[split])]
    return [(premise.format(name), hypothesis.format(name)) for name in names for hypothesis in hypotheses]


@pytest.fixture
def xnli_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "xnli"
    for split, premises in XNLI_PREMISES.items():
        gold = XNLI_LABELS * premises
        write_table(folder / f"{split}.labels.tsv.gz", [("label", "genre"), *((label, "travel") for label in gold)])
        for lang in XNLI_PHRASES:
            pairs = xnli_pairs(split, lang)
            rows = [(*pair, label) for pair, label in zip(pairs, gold, strict=True)] if split == "dev" else pairs
            write_table(folder / f"{split}-{lang}.tsv.gz", rows)
    return folder
