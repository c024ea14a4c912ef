"""Hypothesis strategies for edits."""

import random

from hypothesis import strategies as st

from polypatch.edits import Edit

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar", "sw")
words = st.text(min_size=1, max_size=20).filter(str.strip)
texts = st.one_of(words, st.tuples(words, words))


@st.composite
def edits(draw, kind=None):
    """A valid edit: any source, any parallel languages, any texts, singles or pairs."""
    languages = draw(st.lists(st.sampled_from(LANGUAGES), min_size=1, unique=True))
    source = draw(st.sampled_from(languages))
    kind = kind or draw(st.sampled_from([words, st.tuples(words, words)]))
    labelled = {source, *draw(st.sets(st.sampled_from(languages)))}
    return Edit(
        draw(words),
        {lang: draw(kind) for lang in languages},
        {lang: draw(words) for lang in sorted(labelled)},
        source=source,
        rephrases=draw(st.dictionaries(st.sampled_from(LANGUAGES), st.lists(kind, max_size=3).map(tuple), max_size=2)),
    )


rngs = st.integers(0, 2**32).map(random.Random)
