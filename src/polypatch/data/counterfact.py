"""CounterFact (English): invented facts, with ten neighbours each that must stay (Meng et al. 2022).

Two layouts. ROME's: ``case_id``; ``requested_rewrite`` with ``prompt`` (``{}`` for the subject), ``subject``,
``target_new`` and ``target_true``, each with ``str``; ``paraphrase_prompts``; ``neighborhood_prompts``, all of which
have the old answer. EasyEdit's: ``prompt``, ``target_new``, ``ground_truth``, ``rephrase_prompt``, ``locality_prompt``,
… as `jsonl` reads it, too.

Source: arXiv:2202.05262.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from polypatch.data.fact_edits import NEAR, FactInLanguage, QuestionAndAnswer, fact_material
from polypatch.data.fields import Fields, field_rows
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Lang

REWRITE = "requested_rewrite"


def read_counterfact(
    place: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """Every row of the file, in file order.

    Raises:
        DataError: a broken or missing file, or a language other than the file's, which is `source`.
    """
    return counterfact_material(field_rows(Path(place)), languages, source, where=place)


def counterfact_material(
    rows: Iterable[Fields], languages: Iterable[Lang] | None, source: Lang, *, where: object
) -> Material:
    """The rows as edits.

    Raises:
        DataError: as `counterfact_fact`, or a language other than `source`.
    """
    chosen = choose_languages(languages, [source], source=source, where=where)
    facts: dict[str, dict[Lang, FactInLanguage]] = {}
    for number, row in enumerate(rows, start=1):
        name = f"counterfact-{row.maybe('case_id') or number}"
        facts[name if name not in facts else f"{name}-{number}"] = {source: counterfact_fact(row)}
    return fact_material("counterfact", chosen, facts, where=where)


def counterfact_fact(row: Fields) -> FactInLanguage:
    """A row as the fact that it tells.

    Raises:
        DataError: no prompt, no new answer, or a field that is not text.
    """
    if REWRITE not in row:
        return _easyedit(row)
    rewrite = row.inside(REWRITE)
    subject, former = rewrite.text("subject"), rewrite.inside("target_true").maybe("str")
    return FactInLanguage(
        prompt=rewrite.text("prompt").replace("{}", subject),
        target=rewrite.inside("target_new").text("str"),
        rephrases=row.texts("paraphrase_prompts"),
        former=former,
        subject=subject,
        locality=_near([(text, former) for text in row.texts("neighborhood_prompts")]),
    )


def _easyedit(row: Fields) -> FactInLanguage:
    prompts, answers = row.texts("locality_prompt"), row.texts("locality_ground_truth")
    return FactInLanguage(
        prompt=row.text("prompt"),
        target=row.text("target_new"),
        rephrases=row.texts("rephrase_prompt"),
        former=row.maybe("ground_truth"),
        subject=row.maybe("subject"),
        locality=_near([(text, answers[i] if i < len(answers) else "") for i, text in enumerate(prompts)]),
    )


def _near(pairs: list[tuple[str, str]]) -> dict[str, tuple[QuestionAndAnswer, ...]]:
    return {NEAR: tuple(QuestionAndAnswer(*pair) for pair in pairs)} if pairs else {}
