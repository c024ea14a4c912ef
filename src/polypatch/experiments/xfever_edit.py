"""D_edit of XFEVER: FEVER split as the paper does, its editing set translated, everything beside its figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from polypatch.data.fever import PAPER, Choices, Fever, FeverClaim, load_fever
from polypatch.data.lengths import PAPER_LENGTHS, lengths, mean, unit
from polypatch.data.marian import Marian
from polypatch.data.seq2seq import Decoding, require_extra
from polypatch.data.translate import Translations, translate
from polypatch.data.translation_cache import TranslationCache
from polypatch.data.xfever import FILES, SOURCE, Surroundings, surroundings, to_edits, write_xfever
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError
from polypatch.evaluation.figures import save_figure
from polypatch.evaluation.length_figure import length_figure
from polypatch.evaluation.strict_json import to_json
from polypatch.files import write_atomic, writing
from polypatch.runs.bench_spec import OnStage
from polypatch.store.identity import Identity

SUMMARY, FIGURE = "xfever-edit.json", "lengths.png"


@dataclass(frozen=True)
class XFeverRequest:
    """What is to be made of which files, and where; the fields are the options of ``polypatch data xfever-edit``."""

    train: Path
    dev: Path
    out: Path
    languages: Sequence[Lang]
    models: Mapping[Lang, str]
    cache: Path
    batch_size: int
    device: str
    decoding: Decoding
    limit: int | None
    choices: Mapping[str, str]
    seed: int
    overwrite: bool


@dataclass(frozen=True)
class LanguageFigures:
    """One language of the edits.

    Attributes:
        mean: sentence length, in `unit`.
        paper: the same in the paper's appendix A.1, where it has the language.
        sentences: edits that have a prompt in it; `empty` is how many came out empty.
        new: sentences that were translated by this run, the others were in the cache.
    """

    mean: float
    unit: str
    paper: float | None
    sentences: int
    new: int
    model: str | None
    empty: int


@dataclass(frozen=True)
class MadeEdits:
    """What was made: one finished folder."""

    folder: Path
    counts: Mapping[str, int]
    left_over: int
    supports: Mapping[str, float]
    edits: int
    rephrases: int
    unrephrased: int
    memory: int
    locality_train: int
    languages: Mapping[Lang, LanguageFigures]
    lengths: Mapping[Lang, Sequence[int]]

    def plain(self) -> dict[str, object]:
        """Plain data, without the single lengths."""
        shown = {name: value for name, value in asdict(self).items() if name != "lengths"}
        return {**shown, "paper": PAPER}


def make_xfever_edit(request: XFeverRequest, progress: OnStage = lambda *_: None) -> MadeEdits:
    """Split, translate what the cache does not hold, and write everything.

    Raises:
        PolypatchError: a broken file, a model that cannot be had, a folder that holds other results or cannot be
            written to. All but the last batch of translations are kept.
    """
    choices = _choices(request)
    languages = _languages(request)
    # What can be wrong is found before the hours of work: packages, files, models, and the folder.
    require_extra()
    fever = load_fever(request.train, request.dev, choices)
    translators = {
        lang: Marian(lang, request.models.get(lang), device=request.device, decoding=request.decoding)
        for lang in languages
    }
    drawn = surroundings(fever, choices)
    made_from = _made_from(request, choices, translators)
    _claim(request.out, made_from, request.overwrite)

    claims = fever.editing[: request.limit]
    sentences = [*(claim.text for claim in claims), *drawn.memory[: choices.memory_other]]
    found: dict[Lang, Translations] = {}
    with TranslationCache(request.cache) as cache:
        for lang, translator in translators.items():
            told = partial(progress, f"translating into {lang}")
            found[lang] = translate(sentences, translator, cache, batch_size=request.batch_size, progress=told)
    edits = to_edits(claims, {lang: one.texts for lang, one in found.items()})
    made = _measured(request, fever, drawn, claims, edits, found, translators)
    _write(made, made_from, edits, fever, drawn, _memory(drawn, choices, found))
    return made


def _choices(request: XFeverRequest) -> Choices:
    """The choices, whole numbers as such."""
    known = {field.name: field.default for field in fields(Choices) if field.name != "seed"}
    given: dict[str, Any] = {}
    for name, value in request.choices.items():
        if name not in known:
            raise InputError(f"--set {name}: no such choice; there are {', '.join(known)}")
        if isinstance(known[name], int) and not value.isdecimal():
            raise InputError(f"--set {name}={value}: {value!r} is not a whole number")
        given[name] = int(value) if isinstance(known[name], int) else value
    return Choices(seed=request.seed, **given)


def _languages(request: XFeverRequest) -> tuple[Lang, ...]:
    languages = tuple(lang for lang in request.languages if lang != SOURCE)
    if not languages:
        raise InputError("--languages: name a language to translate into, such as de,fr")
    unused = [lang for lang in request.models if lang not in languages]
    if unused:
        raise InputError(f"--model {unused[0]}=…: {unused[0]!r} is not among --languages {','.join(languages)}")
    return languages


def _made_from(request: XFeverRequest, choices: Choices, translators: Mapping[Lang, Marian]) -> Identity:
    """All that the results depend on; files by content, because their places may change."""
    facts = {
        "train": _hash(request.train),
        "dev": _hash(request.dev),
        "limit": request.limit,
        "choices": asdict(choices),
        "translators": {lang: one.fingerprint for lang, one in translators.items()},
    }
    return Identity(facts)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _claim(out: Path, made_from: Identity, overwrite: bool) -> None:
    """Refuse a folder whose results are somebody else's, or were made from something else; mark ours as begun."""
    summary = out / SUMMARY
    held = [name for name in (*FILES, FIGURE) if (out / name).exists()]
    with writing(out):
        before = _before(summary)
        fix = "take another --out, or add --overwrite (translations stay)"
        if held and not overwrite and before is None:
            raise InputError(f"{out} holds {', '.join(held[:3])}, which were not made by this command; {fix}")
        if held and not overwrite and before is not None and before["finished"]:
            made_from.require(before["made_from"], out, fix, InputError)
        if before is None or not before["finished"] or made_from.difference(before["made_from"]):
            write_atomic(summary, to_json({"finished": False, "made_from": made_from.facts}).encode())


def _before(summary: Path) -> dict[str, Any] | None:
    """What an earlier run wrote down; None where it is no such thing."""
    try:
        found = json.loads(summary.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"finished", "made_from"} <= found.keys() else None


def _memory(drawn: Surroundings, choices: Choices, found: Mapping[Lang, Translations]) -> dict[Lang, list[str]]:
    """The translated part of the memory, if any was asked for."""
    other = drawn.memory[: choices.memory_other]
    return {lang: [one.texts[text] for text in other] for lang, one in found.items() if other}


def _measured(
    request: XFeverRequest,
    fever: Fever,
    drawn: Surroundings,
    claims: Sequence[FeverClaim],
    edits: Sequence[Edit],
    found: Mapping[Lang, Translations],
    translators: Mapping[Lang, Marian],
) -> MadeEdits:
    measured = lengths(edits)
    figures = {
        lang: LanguageFigures(
            mean=mean(measured.get(lang, [])),
            unit=unit(lang),
            paper=PAPER_LENGTHS.get(lang),
            sentences=len(measured.get(lang, [])),
            new=found[lang].new if lang in found else 0,
            model=translators[lang].name if lang in translators else None,
            empty=len(edits) - len(measured.get(lang, [])),
        )
        for lang in (SOURCE, *found)
    }
    return MadeEdits(
        folder=request.out,
        counts=fever.counts(),
        left_over=len(fever.left_over),
        supports={name: _supports(getattr(fever, name)) for name in fever.counts()},
        edits=len(edits),
        rephrases=sum(len(claim.rephrases) for claim in claims),
        unrephrased=sum(not claim.rephrases for claim in claims),
        memory=len(drawn.memory),
        locality_train=len(drawn.locality),
        languages=figures,
        lengths=measured,
    )


def _supports(claims: Sequence[FeverClaim]) -> float:
    return 100 * mean([claim.label == "SUPPORTS" for claim in claims])


def _write(
    made: MadeEdits,
    made_from: Identity,
    edits: Sequence[Edit],
    fever: Fever,
    drawn: Surroundings,
    memory: Mapping[Lang, Sequence[str]],
) -> None:
    """Results, figure, and last of all the summary that says they are whole."""
    with writing(made.folder):
        write_xfever(made.folder, edits, fever, drawn, memory)
        units = {lang: one.unit for lang, one in made.languages.items()}
        save_figure(length_figure(made.lengths, units=units, paper=PAPER_LENGTHS), made.folder / FIGURE)
        summary = {"finished": True, **made.plain(), "made_from": made_from.facts}
        write_atomic(made.folder / SUMMARY, to_json(summary).encode())
