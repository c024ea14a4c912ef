"""What 168,000 cached queries of 768 numbers weigh: in files, in memory, in time, and in half precision.

The store is filled with drawn queries (encoding them takes hours) and opened by processes of their own, as the library
does it and as it was done before, with every file copied into memory. Encoding is timed on a few hundred texts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file

from mbert_sized import mbert_sized, random_text, realistic_queries
from polypatch.sites import FeedForwardSite, FrozenTail, Queries, Row
from polypatch.sites.encoding.query_cache import QueryCache
from polypatch.sites.tails import frozen_tail
from tail import keep, processor

D = 768
MEMORY = 40_000
"""Rows that an editor's memory takes at once."""

CPU = torch.device("cpu")
DTYPES = {"float32": torch.float32, "float16": torch.float16}
DRAWN = 4_000
"""Queries on which the rounding is measured."""


def row(i: int) -> Row:
    """A row that no text has."""
    return Row((i,), 0)


def fill(folder: Path, count: int, dtype: torch.dtype) -> dict[str, float]:
    """Write `count` drawn queries, in the portions in which they would be encoded."""
    cache, generator, seconds = QueryCache(D, CPU, folder, dtype=dtype), torch.Generator().manual_seed(0), 0.0
    for start in range(0, count, frozen_tail.CHUNK):
        rows = [row(i) for i in range(start, min(start + frozen_tail.CHUNK, count))]
        q = torch.randn(len(rows), D, generator=generator)
        began = time.perf_counter()
        cache.add(rows, q)
        seconds += time.perf_counter() - began
    held = cache.summary()
    return {"write_s": seconds, "disk_mb": held.disk_bytes / 1e6, "shards": held.shards, "texts": held.texts}


# -- In a process of its own --


class Copied:
    """The cache as it was before it was mapped: every shard read, and appended to one tensor that doubles."""

    def __init__(self, folder: Path) -> None:
        self.rows, self.index = torch.empty(0, D), {}
        for path in sorted(folder.iterdir()):
            tensors = load_file(path)
            keys, queries = tensors["keys"].numpy(), tensors["queries"]
            used, needed = len(self.index), len(self.index) + len(keys)
            if needed > len(self.rows):
                grown = self.rows.new_empty(max(needed, 2 * len(self.rows)), D)
                grown[:used] = self.rows[:used]
                self.rows = grown
            self.rows[used:needed] = queries
            self.index.update((key.tobytes(), used + i) for i, key in enumerate(keys))

    def take(self, rows: list[Row]) -> torch.Tensor:
        """The queries of rows [n, D]."""
        return self.rows[torch.tensor([self.index[row.key] for row in rows])]


def memory_mb() -> dict[str, float]:
    """Pages of this process: its own, those of files (which processes share), and the most of both together so far.

    Not `getrusage`: its peak starts with that of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("Rss", "VmHWM"))}
    names = {"anonymous": "RssAnon", "of_files": "RssFile", "peak": "VmHWM"}
    return {name: kilobytes[field] * 1024 / 1e6 for name, field in names.items()}


def child(how: str, folder: Path, count: int) -> dict[str, object]:
    """Open a cache and take `MEMORY` rows from all over it, twice."""
    rows = [row(i) for i in random.Random(0).sample(range(count), MEMORY)]
    before, began = memory_mb(), time.perf_counter()
    cache = Copied(folder) if how == "copied" else QueryCache(D, CPU, folder, dtype=DTYPES[how])
    opened, opened_in = memory_mb(), time.perf_counter() - began
    found: dict[str, object] = {"open_s": opened_in}
    for name in ("first_take_s", "second_take_s"):
        began = time.perf_counter()
        taken = cache.take(rows)
        found[name] = time.perf_counter() - began
        # The rows of the first go before the second come.
        bits = zlib.crc32(taken.numpy().data)
        after = memory_mb()
        del taken
    found["own_after_opening_mb"] = opened["anonymous"] - before["anonymous"]
    found["own_with_taken_rows_mb"] = after["anonymous"] - before["anonymous"]
    found["of_files_mb"] = after["of_files"] - before["of_files"]
    found["peak_of_process_mb"], found["process_before_mb"] = after["peak"], before["peak"]
    return {**found, "bits": bits}


def in_a_process(how: str, folder: Path, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", how, "--folder", str(folder), "--texts", str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# -- Encoding and rounding --


def encode(count: int, chunk: int) -> tuple[dict[str, float], FrozenTail]:
    """Texts per second through an mBERT-sized model into files; and what a second process would encode."""
    model, tokenizer = mbert_sized()
    site, rng = FeedForwardSite(model), random.Random(0)
    texts = [random_text(rng) for _ in range(count)]
    frozen_tail.CHUNK = chunk
    with tempfile.TemporaryDirectory() as folder:
        tail = FrozenTail(site, tokenizer, cache_dir=Path(folder))
        began = time.perf_counter()
        encoded = tail.encode(tail.readout.rows(texts))
        seconds = time.perf_counter() - began
        again = FrozenTail(site, tokenizer, cache_dir=Path(folder), check=False)
        found = {
            "encoded": encoded,
            "encoded_again": again.encode(again.readout.rows(texts)),
            "texts_per_s": encoded / seconds,
        }
        some = [*texts[chunk - 8 : chunk + 24]]
        gap = again.queries(again.readout.rows(some)).q - tail.encoder.queries(tail.readout.rows(some)).q
        found["chunked_against_one_pass"] = float(gap.abs().max())
    return found, tail


def rounding(tail: FrozenTail) -> dict[str, float]:
    """What half precision does to drawn queries that are spread like a trained model's, and to their logits."""
    site, rows = tail.site, [row(i) for i in range(DRAWN)]
    q = realistic_queries(tail.encoder.queries(tail.readout.rows([random_text(random.Random(1))])).q[0], DRAWN)
    cache = QueryCache(D, CPU, dtype=torch.float16)
    cache.add(rows, q)
    kept = cache.take(rows)
    with torch.no_grad():
        exact, rounded = (site.logits(Queries(part), site.ffn(part)) for part in (q, kept))
    gap = (kept - q).abs()
    normal = q.abs() >= 2**-14
    return {
        "largest_relative_error": float((gap / q.abs())[normal].max()),
        "bound": 2**-11,
        "largest_error": cache.summary().rounding,
        "largest_logit_error": float((exact - rounded).abs().max()),
        "largest_logit": float(exact.abs().max()),
        "smallest_margin": float((exact[:, 0] - exact[:, 1]).abs().min()),
        "flipped": int((exact.argmax(-1) != rounded.argmax(-1)).sum()),
        "queries": DRAWN,
    }


def measure(count: int, encoded: int) -> dict[str, object]:
    stores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in DTYPES}
        for name, dtype in DTYPES.items():
            stores[name] = fill(folders[name], count, dtype)
        for name in DTYPES:
            stores[name] |= in_a_process(name, folders[name], count)
        stores["copied"] = in_a_process("copied", folders["float32"], count)
    same = stores["float32"].pop("bits") == stores["copied"].pop("bits")
    del stores["float16"]["bits"]
    encoding, tail = encode(encoded, encoded // 2)
    encoding["hours_for_all_extrapolated"] = count / encoding["texts_per_s"] / 3600
    old, new = stores["copied"], stores["float32"]
    return {
        "size": {"texts": count, "numbers": D, "taken": MEMORY},
        "stores": stores,
        "same_bits": same,
        "own_memory_copied_over_mapped": old["own_after_opening_mb"] / new["own_after_opening_mb"],
        "encoding": encoding,
        "half": rounding(tail),
        "threads": torch.get_num_threads(),
        "processor": processor(),
    }


def show(result: dict) -> None:
    stores = result["stores"]
    table = Table("", *stores, title=f"{result['size']['texts']:,} queries of {D} numbers, {MEMORY:,} of them taken")
    for name in stores["float32"]:
        table.add_row(name, *(f"{one[name]:,.2f}" if name in one else "" for one in stores.values()))
    Console().print(table)
    encoding, half = result["encoding"], result["half"]
    print(f"the same bits as before: {result['same_bits']}; a second process encodes {encoding['encoded_again']} texts")
    print(
        f"memory of the process's own, copied ÷ mapped: {result['own_memory_copied_over_mapped']:.0f}; encoding "
        f"{encoding['texts_per_s']:.1f} texts/s, so all in about {encoding['hours_for_all_extrapolated']:.1f} h"
    )
    print(
        f"float16: {half['largest_relative_error']:.2g} of a number at most (bound {half['bound']:.2g}), logits "
        f"{half['largest_logit_error']:.2g}; {half['flipped']} of {half['queries']:,} answers change"
    )


def rounded(value: object) -> object:
    """Four digits of every number."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/query_cache.json"))
    parser.add_argument("--texts", type=int, default=168_000)
    parser.add_argument("--encoded", type=int, default=256, help="texts that are encoded, for the speed")
    parser.add_argument("--child", choices=["copied", *DTYPES], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        torch.set_num_threads(1)
        print(json.dumps(child(args.child, args.folder, args.texts)))
        return
    result = measure(args.texts, args.encoded)
    show(result)
    keep(rounded(result), args.out)


if __name__ == "__main__":
    main()
