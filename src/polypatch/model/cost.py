"""Cost: how many other answers the edits changed, on texts that neither training nor any look at the memory saw."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from polypatch.cautions import DEAR, caution
from polypatch.edits import Lang, Text
from polypatch.errors import DataError
from polypatch.model.answers import answered
from polypatch.model.state import State
from polypatch.outcomes import EditRecord

NAMED = 4
"""So many languages are named in a sentence, those with the largest share of changed answers first."""


MOST_WRITTEN = 64
"""Held-out texts of a language behind which a language model writes."""


class Changed(NamedTuple):
    """Held-out texts of one language, and how many of them get another answer than from the unedited model."""

    rows: int
    changed: int

    @property
    def percent(self) -> float:
        """0..100."""
        return 100.0 * self.changed / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Cost:
    """What edits cost elsewhere. As a string: ``0.2 % of 1,200 other answers changed (de 0.4, en 0.1)``.

    Attributes:
        languages: by language, the empty string where texts came without one; nothing where no text was held out.
    """

    languages: Mapping[Lang, Changed] = field(default_factory=dict)

    @property
    def total(self) -> Changed:
        """Over all languages."""
        return Changed(*(sum(part) for part in zip(Changed(0, 0), *self.languages.values(), strict=True)))

    @property
    def known(self) -> bool:
        """Whether there was anything to measure it on."""
        return self.total.rows > 0

    @property
    def worst(self) -> float:
        """Per cent of the language with the largest share; 0 where nothing is known."""
        return max((one.percent for one in self.languages.values()), default=0.0)

    def __str__(self) -> str:
        if not self.known:
            return "what changed elsewhere is not known: there are no held-out texts"
        return f"{self.total.percent:.1f} % of {self.total.rows:,} other answers changed{self.by_language()}"

    def to_plain(self) -> dict[str, dict[str, int]]:
        """For JSON; `cost_from_plain` reads it back."""
        return {lang: one._asdict() for lang, one in self.languages.items()}

    def by_language(self) -> str:
        """The languages with the largest share of changed answers, in brackets; nothing where none changed."""
        dear = sorted((lang for lang, one in self.languages.items() if lang and one.changed), key=self._share)
        if not dear:
            return ""
        more = f", {len(dear) - NAMED} more" if len(dear) > NAMED else ""
        return f" ({', '.join(f'{lang} {self.languages[lang].percent:.1f}' for lang in dear[:NAMED])}{more})"

    def _share(self, lang: Lang) -> tuple[float, Lang]:
        return -self.languages[lang].percent, lang


def cost_from_plain(plain: Mapping[str, Mapping[str, int]]) -> Cost:
    """What `Cost.to_plain` made.

    Raises:
        TypeError, ValueError: it is not that.
    """
    found = {lang: Changed(**one) for lang, one in plain.items()}
    if not all(type(n) is int and n >= 0 for one in found.values() for n in one):
        raise TypeError(f"a cost is counts of texts, not {plain!r}")
    return Cost(found)


def together(costs: Iterable[Cost]) -> Cost:
    """The cost of several models, each on its own texts."""
    found: dict[Lang, Changed] = {}
    for lang, one in ((lang, one) for cost in costs for lang, one in cost.languages.items()):
        rows, changed = found.get(lang, Changed(0, 0))
        found[lang] = Changed(rows + one.rows, changed + one.changed)
    return Cost(found)


def counted(answers: Iterable[tuple[Lang, bool]]) -> Cost:
    """The cost from (language, whether its answer changed) of every text."""
    found: dict[Lang, list[bool]] = {}
    for lang, changed in answers:
        found.setdefault(lang, []).append(changed)
    return Cost({lang: Changed(len(flags), sum(flags)) for lang, flags in found.items()})


def held_out_of(edited: State, about: Collection[Text]) -> list[tuple[Lang, Text]]:
    """The held-out texts that the cost is measured on, each with its language, but those that edits are `about`.

    What a language model writes behind a text takes it as many passes as there are tokens: of each of its languages
    there are `MOST_WRITTEN` at most, from the whole list.
    """
    found: list[tuple[Lang, Text]] = []
    for lang, texts in edited.held_out.items():
        others = [text for text in texts if text not in about]
        step = 1 if edited.readout.answers is not None else max(1, -(-len(others) // MOST_WRITTEN))
        found += [(lang, text) for text in others[::step]]
    return found


class Measured(NamedTuple):
    """A cost, and the state of the model that it is of."""

    state: object
    cost: Cost


def cost_of(edited: State) -> Cost:
    """The cost of the edits that are in the model, measured once per state; what the edits are about does not count."""
    state = _state(edited)
    if edited.measured is None or edited.measured.state != state:
        about = {text for record in edited.records.values() if not record.reverted for text in _texts(record)}
        held = held_out_of(edited, about)
        answers = answered(edited.tail, edited.delta, [text for _, text in held])
        changed = (answers.before != answers.after).tolist()
        cost = counted((lang, one) for (lang, _), one in zip(held, changed, strict=True))
        edited.measured = Measured(state, cost)
    known: Cost = edited.measured.cost
    return known


def _state(edited: State) -> object:
    return edited.delta.patches, tuple((name, record.status) for name, record in edited.records.items())


def described(edited: State, *, measuring: bool) -> str:
    """An edited model in a line: its edits, its patches, and what they cost elsewhere.

    Args:
        edited: the model.
        measuring: measure the cost, where it is not known yet; it may take thousands of passes.
    """
    inside = [record for record in edited.records.values() if not record.reverted]
    taken = sum(record.status.holds for record in inside)
    patches = "1 patch" if edited.delta.patches == 1 else f"{edited.delta.patches} patches"
    what = f"{type(edited.model).__name__} edited by {edited.recipe_name!r}"
    return f"<{what}: {taken} of {len(inside)} edits hold, {patches}; {_known_cost(edited, measuring)}>"


def _known_cost(edited: State, measuring: bool) -> str:
    if not measuring and (edited.measured is None or edited.measured.state != _state(edited)):
        return "what changed elsewhere: .cost"
    try:
        return str(cost_of(edited))
    except DataError as error:  # a file that is gone must not keep anybody from looking at the rest
        return f"what changed elsewhere is not known: {error}"


def caution_if_dear(cost: Cost) -> None:
    """Warn where more than `DEAR` per cent of the answers in some language changed."""
    if cost.worst > DEAR:
        caution(f"{cost}: more than {DEAR:g} % in one language; more memory in it, or a guard, keeps it down")


def _texts(record: EditRecord) -> Iterator[Text]:
    if record.edit is not None:
        yield from record.edit.texts
        for rephrases in record.edit.rephrases.values():
            yield from rephrases
