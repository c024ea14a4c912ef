"""Edits of a tiny language model, with an answer in each language: for tests."""

import random

import polypatch as pp
from polypatch.testing import tiny_edits, tiny_model

WORDS = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
LANGUAGES = ("en", "de", "fr")
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
