"""How much faster a language model is edited from cached queries than by full forward passes: whole edits, both ways.

A random decoder, prompts of so many tokens in two languages, an answer of one word and its end. Both ways make the same
edits by the same recipe, one after the other in turns, and must come to the same patches.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from polypatch import Encoding, attach
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES, Recipe
from tail import keep, processor

_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Size:
    """What is measured, and how often.

    Attributes:
        vocabulary, layers, width, inner, heads, shared: of the model; so many heads share their keys and values.
        length: tokens of a prompt.
        memory: prompts of the memory; every position of each is a row.
        steps: of a trained edit.
        edits: that both ways make, after one that warms up.
    """

    vocabulary: int = 32_000
    layers: int = 12
    width: int = 576
    inner: int = 1_536
    heads: int = 9
    shared: int = 3
    length: int = 32
    memory: int = 40
    steps: int = 50
    edits: int = 2


QUICK = {
    "tiny": Size(vocabulary=500, layers=2, width=64, inner=128, heads=2, shared=1, memory=8, steps=5, edits=1),
}
SHAPES = {
    "12 layers of 576, vocabulary 32,000": Size(),
    "the same, prompts of 128 tokens": Size(length=128),
    "32 layers of 960, vocabulary 49,152": Size(vocabulary=49_152, layers=32, width=960, inner=2_560, heads=15),
}
"""The last is SmolLM2-360M's. Full passes grow with the prompt, a step from cached queries does not."""


def random_decoder(size: Size) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The decoder with random weights, and a tokenizer that knows the words ``w0``, ``w1``, …; always the same."""
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads // size.shared,
        tie_word_embeddings=True,
        initializer_range=0.2,  # so that a word can be as sure as an edit wants it
        **dict(zip(("pad_token_id", "bos_token_id", "eos_token_id"), (0, 2, 3), strict=True)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    words = [*_MARKS, *(f"w{i}" for i in range(size.vocabulary - len(_MARKS)))]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = WhitespaceSplit()
    core.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    marks = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), _MARKS, strict=True))
    return model.eval(), PreTrainedTokenizerFast(tokenizer_object=core, **marks)


def words(rng: random.Random, count: int, size: Size) -> str:
    """So many of the tokenizer's words."""
    return " ".join(f"w{rng.randrange(size.vocabulary - len(_MARKS))}" for _ in range(count))


def recipes(size: Size) -> dict[str, Recipe]:
    """A trained patch for every wrong token, and one that is computed, each with a second language."""
    trained = RECIPES["mpn-all-once"]
    steps = {"max_steps": size.steps, "first_validation": size.steps, "views": 0}
    return {
        "mpn-all-once": replace(trained, editor=replace(trained.editor, **steps)),  # type: ignore[type-var]
        "polypatch-linear": RECIPES["polypatch-linear"],
    }


def seconds(edited: EditedModel, edit: Edit) -> float:
    """One edit, from texts that were never encoded to the patch in the model."""
    started = time.perf_counter()
    edited.edit([edit])
    return time.perf_counter() - started


def difference(one: EditedModel, other: EditedModel) -> float:
    """The largest difference of two models' patches, in units of the largest number in them."""
    pairs = [(one.delta.tensors()[name], tensor) for name, tensor in other.delta.tensors().items()]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def measure(size: Size) -> dict[str, Any]:
    """Per recipe: seconds by both ways, how often faster, and how far apart the patches are."""
    torch.set_num_threads(1)
    rng, found = random.Random(0), {}
    models = {way: random_decoder(size) for way in ("cached", "full")}
    memory = {lang: [words(rng, size.length - 1, size) for _ in range(size.memory // 2)] for lang in LANGUAGES}
    for name, recipe in recipes(size).items():
        edited = {
            way: attach(
                model,
                tokenizer=tokenizer,
                recipe=recipe,
                memory=memory,
                rules=Rules(retries=0, keep_failed=True),
                encoding=Encoding(exact=way == "full"),
            )
            for way, (model, tokenizer) in models.items()
        }
        taken: dict[str, list[float]] = {way: [] for way in edited}
        for number in range(size.edits + 1):
            prompts, targets = ({lang: words(rng, n, size) for lang in LANGUAGES} for n in (size.length - 1, 1))
            edit = Edit(f"{name}-{number}", prompts, targets)
            for way, model in edited.items():
                spent = seconds(model, edit)
                if number:  # the first warms up
                    taken[way].append(spent)
        middle = {way: statistics.median(times) for way, times in taken.items()}
        found[name] = {
            "seconds_per_edit": {way: round(value, 3) for way, value in middle.items()},
            "times_faster": round(middle["full"] / middle["cached"], 1),
            "patches": edited["cached"].patches,
            "largest_difference": difference(edited["cached"], edited["full"]),
        }
        for model in edited.values():
            model.unload()
    return {**found, "size": asdict(size)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="only this one; again for another")
    parser.add_argument("--quick", action="store_true", help="a tiny model and one edit: does it run?")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else {name: SHAPES[name] for name in arguments.shape or SHAPES}
    shapes = {name: measure(size) for name, size in sizes.items()}
    result = {"shapes": shapes, "threads": 1, "processor": processor()}
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
