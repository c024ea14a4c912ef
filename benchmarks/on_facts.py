"""What benchmarks on a language model's facts have in common: their arguments, and what they name."""

from __future__ import annotations

import argparse
from pathlib import Path

from polypatch.experiments.language_models import FACTS
from polypatch.runs import BenchSpec


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """MODEL DATA --cache --out; a benchmark adds its own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a causal language model")
    parser.add_argument("data", help="what it is edited with, such as facts:FILE")
    parser.add_argument("--cache", help="a folder for encoded texts")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    return parser


def spec_of(arguments: argparse.Namespace) -> BenchSpec:
    """The model and its facts in every language."""
    return BenchSpec(model=arguments.model, data=arguments.data, languages=FACTS, cache_dir=arguments.cache)
