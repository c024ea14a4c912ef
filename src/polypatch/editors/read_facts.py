"""What editors share that write facts down and let the model read them (`TextStore`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from torch import Tensor

from polypatch.deltas import Delta, TextStore
from polypatch.editors.editor import Drawn, Fit, Lesson, expect
from polypatch.editors.memory import Memory, MemoryRows
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.settings import Settings, between
from polypatch.sites import FeedForwardSite, Row, Tail
from polypatch.sites.discovery.anatomy import Finish, Place
from polypatch.sites.encoding.tokens import TOKENIZING
from polypatch.sites.layers.two_classes import labels_of
from polypatch.sites.text_beside import TextBeside

MOST = 2000
"""Texts of the memory that nearness is judged by, evenly spread."""

Share: TypeAlias = Annotated[float, between(0, 1)]
"""Of texts that have nothing to do with a fact, and are near enough to it all the same."""


@dataclass(frozen=True, kw_only=True)
class ReadFacts(Settings):
    """A fact for each text of an edit: `before`, the text and its answer, `between`. Nothing is trained.

    Draws once, so a sampler that redraws at every step is asked for its first draw only.

    Attributes:
        before: what stands before a fact.
        between: what stands between it and the text that is asked.
    """

    before: str = "New Fact: "
    between: str = "\nPrompt: "

    exact = False
    memory_copies = 0
    protects_right = False
    reads_texts = True

    @property
    def most(self) -> int:
        """Facts that are read before one text."""
        return 1

    def reaches(self, keys: Tensor, store: TextStore, known: MemoryRows) -> Tensor:
        """The cosines above which facts are read [n].

        Args:
            keys: where their texts are [n, K].
            store: measures where texts are.
            known: texts of the memory.
        """
        raise NotImplementedError

    def start(self, site: FeedForwardSite) -> TextStore:
        """An empty store for this site.

        Raises:
            UnsupportedModelError: an answer is no function of what one layer's output at one place may become.
            InputError: the site does not know texts.
        """
        anatomy, name = site.anatomy, type(self).__name__
        if site.lower:
            raise UnsupportedModelError(f"{name} lets the whole model read: leave layer= out")
        if anatomy.finish is Finish.NORM_THEN_ADD or anatomy.place is Place.SEVERAL:
            raise UnsupportedModelError(
                f"{name}: in {type(site.model).__name__} the last layer's output cannot be made any other "
                "(it is normed before it is added, or read at several positions): take another recipe"
            )
        return TextStore(site)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Write down a fact for each of the lesson's texts.

        Raises:
            InputError: a text is known by its mapped query alone; or the memory lacks what nearness is judged by.
        """
        store, drawn, text = expect(TextStore, delta, self), Drawn(lesson), tail.site.text
        picks = drawn()
        firsts = [picks[i] for i in lesson.firsts(picks)]
        rows = [lesson.rows[first] for first in firsts]
        if any(row.via for row in rows):
            raise InputError(f"{type(self).__name__} reads texts, and a mapped query has none: take another sampler")
        if not store.framed:
            known = _spread_of(memory.train)[0]
            store.frame(text.vectors(known or rows).mean(0) * bool(known), self.most)
        keys = store.place(rows)
        reaches = self.reaches(keys, store, memory.train).tolist()
        for first, key, reach in zip(firsts, keys, reaches, strict=True):
            store.append(lesson.owner, key, reach, self._fact(lesson, first, tail.site))
        return Fit(1, drawn.seen)

    def _fact(self, lesson: Lesson, first: int, site: FeedForwardSite) -> list[int]:
        """The tokens of a fact: those of its text and answer, without marks, between the words about them."""
        text = site.text
        last = max(lesson.whole({first}, range(len(lesson.rows))))
        answer = [lesson.wanted[last]] if text.causal else _ids(text, str(labels_of(site.model)[lesson.wanted[last]]))
        own = [one for one in (*lesson.rows[last].tokens, *answer) if one not in text.marks]
        return [*_ids(text, self.before), *own, *_ids(text, self.between)]


def _ids(text: TextBeside, words: str) -> list[int]:
    with TOKENIZING:
        return list(text.tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"])


def _spread_of(memory: MemoryRows) -> tuple[list[Row], Tensor]:
    """Texts of the memory, evenly spread, and which of its groups each is of."""
    spread = memory.spread(MOST)
    return [memory.asked[i] for i in spread], memory.groups[spread]


def known_places(editor: ReadFacts, store: TextStore, memory: MemoryRows) -> tuple[Tensor, Tensor]:
    """Where texts of the memory are [m, K], and which of its groups each is of [m].

    Raises:
        InputError: there are none to judge nearness by.
    """
    known, groups = _spread_of(memory)
    if not known:
        raise InputError(
            f"{type(editor).__name__} finds by the memory which texts have nothing to do with a fact: pass memory= "
            "with texts of every language, or take the recipe ike, which reads facts before every text"
        )
    return store.place(known), groups


def above_most(cosines: Tensor, share: float) -> Tensor:
    """The cosines that no more than a share of each column [m, n] are above, however they are rounded: [n]."""
    return cosines.quantile(1 - share, dim=0) + SLACK


SLACK = 1e-6
"""Of a cosine: the same two texts have one a little less or more among others."""
