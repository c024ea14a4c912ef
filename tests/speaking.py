"""Edits of a tiny language model, with an answer in each language: for tests."""

import random

import pytest

import polypatch as pp
from polypatch.editors import GRACE
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import FrozenTail
from polypatch.testing import tiny_edits, tiny_model
from polypatch.testing.generated import check_generated
from polypatch.triggers import Trigger

WORDS = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
LANGUAGES = ("en", "de", "fr")
ALL_LANGUAGES = Recipe(GRACE(), AllLanguages(), Trigger.ANY)
"""Learns whatever is asked, also where a random model hardly tells one text from another."""

CHAT = "{% for m in messages %}[CLS] user {{ m['content'] }} answer\n{% endfor %}"


def speaker(family="gpt2", *, chat=False):
    """A random model that goes on with a text, and its tokenizer. GPT-2's embeddings are its head as well."""
    model, tokenizer = tiny_model(family, "causal")
    tokenizer.chat_template = CHAT if chat else None
    return model, tokenizer


def speaking_edits(n, languages=LANGUAGES, seed=0):
    """Edits with a prompt, a rephrase and an answer of one or two words in each language."""
    rng, edits = random.Random(f"speaking:{seed}"), []
    for i, edit in enumerate(tiny_edits(n, languages, seed=seed)):
        target = {lang: " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 2))) for lang in languages}
        rephrases = {lang: tuple(f"{lang} again {text}" for text in edit.rephrases[languages[0]]) for lang in languages}
        edits.append(pp.Edit(f"says-{i}", edit.prompt, target, source=languages[0], rephrases=rephrases))
    return edits


def decoder(family="t5", *, seed=0):
    """A random model that reads a text and writes another. It starts with an end, as BART's and M2M100's do."""
    model, tokenizer = tiny_model(family, "seq2seq", seed=seed)
    if family not in ("t5", "mt5"):
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = tokenizer.eos_token_id
    return model, tokenizer


def with_gaps(edits, tokenizer):
    """The same edits with a gap in every text, in the middle or at the end."""

    def gap(text):
        words = text.split()
        place = len(text) % len(words)
        return " ".join([*words[: place + 1], tokenizer.mask_token, *words[place + 1 :]])

    return [
        pp.Edit(
            edit.id,
            {lang: gap(text) for lang, text in edit.prompt.items()},
            edit.target,
            source=edit.source,
            rephrases={lang: tuple(map(gap, texts)) for lang, texts in edit.rephrases.items()},
        )
        for edit in edits
    ]


def assert_lies_are_noticed(edited, examples, monkeypatch):
    """`check_generated` holds, and notices a tail that calls everything right, and one that says other tokens."""
    check_generated(edited, examples)
    with monkeypatch.context() as patched:
        patched.setattr(FrozenTail, "right", lambda self, questions, change: [True] * len(questions))
        with pytest.raises(AssertionError, match="right ≡ generated"):
            check_generated(edited, examples)
    own = FrozenTail.logits
    with monkeypatch.context() as patched:
        patched.setattr(edited.tail, "unedited", None)  # nothing is known from before the lie
        patched.setattr(FrozenTail, "logits", lambda self, *given, **more: own(self, *given, **more).roll(1, -1))
        with pytest.raises(AssertionError, match="right ≡ generated"):
            check_generated(edited, examples)
