"""Teacher-forced token accuracy, EasyEdit's protocol: beside exact match of what is generated, never instead.

At each token of the target the model is shown the right tokens before it, and only its next one is looked at. So a
first error costs one token and not the rest; an answer that would go on and on is right, because where it ends is not
asked; and half an answer counts a half. Generation shows the model its own words, and asks for the end as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from polypatch.errors import InputError
from polypatch.evaluation.metrics import Percent, mean
from polypatch.languages import Lang

Flags = Sequence[bool]
"""Per token of one target, its end left out: whether it has the largest logit, given the prompt and those before it."""


def token_accuracy(flags: Iterable[Flags]) -> Percent:
    """100 × the mean over examples of the mean over their tokens; an example without tokens is averaged over by nobody.

    **Deviates:** EasyEdit joins prompt and target with an ASCII blank in every language; how they are joined is left to
    the caller, whose tokens these are.
    """
    return mean(100.0 * sum(map(bool, one)) / len(one) for one in flags if len(one))


def token_accuracies(
    before: Mapping[Lang, Iterable[Flags]], after: Mapping[Lang, Iterable[Flags]]
) -> dict[Lang, tuple[Percent, Percent]]:
    """By language, of the unedited and of the edited model, as `Report.teacher_forced` takes it.

    Raises:
        InputError: a language that only one of the two has.
    """
    if before.keys() != after.keys():
        raise InputError(f"only before or only after: {', '.join(sorted(before.keys() ^ after.keys()))}; give both")
    return {lang: (token_accuracy(some), token_accuracy(after[lang])) for lang, some in before.items()}
