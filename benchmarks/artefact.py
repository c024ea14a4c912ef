"""What 1,000 saved edits of an mBERT-sized model weigh, and how long loading them and taking one back takes.

Random patches and invented edits in six languages. The parts of loading are timed apart, because one of them, naming
the base model by a hash over all of its weights, costs the same for one edit as for a thousand.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table

from mbert_sized import mbert_sized
from polypatch.deltas import PatchBank
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.model.step import now
from polypatch.outcomes import EditOutcome, EditRecord
from polypatch.recipes import RECIPES, recipe_to_plain
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.sites.encoding.fingerprint import model_fingerprint
from polypatch.store.artefact import read_artefact
from polypatch.store.cut import without
from polypatch.store.write import write_artefact
from tail import keep, processor

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")
TARGET_MS = 100.0


def edits_on(model: torch.nn.Module, tokenizer: object, count: int) -> EditedModel:
    """`count` random patches, each of an edit with ten words in six languages."""
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    site = FeedForwardSite(model)
    bank, records = PatchBank(site.hidden_size, site.activation_name), {}
    for i in range(count):
        prompts = {lang: f"{lang} " + " ".join(f"w{rng.randrange(9999)}" for _ in range(10)) for lang in LANGUAGES}
        edit = Edit(f"edit-{i}", prompts, {"en": "LABEL_1"})
        outcome = EditOutcome(edit.id, True, True, True, ("en", "de"), 1, 200, 1, 1.5, "", None, "2026-01-01T00:00:00")
        records[edit.id] = EditRecord(edit, outcome)
        key, value = (torch.randn(site.hidden_size, generator=generator) for _ in range(2))
        bank.append(edit.id, key / 100, torch.tensor(-3.0), value)
    config = {"recipe": recipe_to_plain(RECIPES["mpn-all"])}
    return EditedModel(
        model,
        tokenizer,
        FrozenTail(site, tokenizer),
        bank,
        recipe=RECIPES["mpn-all"],
        recipe_name="mpn-all",
        sampled_languages=LANGUAGES,
        records=records,
        config=config,
    )


def milliseconds(work: Callable[[], object], repeat: int = 5) -> float:
    """Median wall-clock time."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def measure(count: int) -> dict[str, float]:
    model, tokenizer = mbert_sized()
    with tempfile.TemporaryDirectory() as temporary:
        edited = edits_on(model, tokenizer, count)
        folder = Path(temporary) / "edits"
        start = time.perf_counter()
        edited.save_pretrained(folder)
        found = {"save_ms": 1000 * (time.perf_counter() - start)}
        found["size_mb"] = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        found["weights_mb"] = (folder / "edits.safetensors").stat().st_size / 1e6
        edited.unload()
        found["read_and_check_ms"] = milliseconds(lambda: read_artefact(folder))
        site = FeedForwardSite(model)
        found["base_fingerprint_ms"] = milliseconds(lambda: model_fingerprint(site), 3)
        start = time.perf_counter()
        loaded = EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
        found["load_ms"] = 1000 * (time.perf_counter() - start)
        ids = iter(random.Random(1).sample(list(loaded.records), 20))
        found["revert_ms"] = milliseconds(lambda: loaded.revert(next(ids)), 9)
        ids = iter(random.Random(2).sample(list(edited.records), 20))

        def on_disk() -> None:
            write_artefact(folder, without(read_artefact(folder), [next(ids)], now()))

        found["revert_on_disk_ms"] = milliseconds(on_disk)
        loaded.unload()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/artefact.json"))
    parser.add_argument("--edits", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args.edits)
    table = Table("", "", title=f"{args.edits} edits of an mBERT-sized model")
    for name, value in found.items():
        table.add_row(name, f"{value:,.1f}")
    Console().print(table)
    met = "met" if found["revert_ms"] < TARGET_MS else "MISSED"
    print(f"revert of one edit after loading: {found['revert_ms']:.1f} ms (target below {TARGET_MS:.0f} ms: {met})")
    keep({"edits": args.edits, **found, "processor": processor()}, args.out)


if __name__ == "__main__":
    main()
