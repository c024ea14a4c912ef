"""Encoding the same texts by one process, by two, and by a Ray cluster of two workers on this machine, in turn.

A BERT of 6 layers of 384 with random weights. The seconds are those that a grid tells: from the search for what the
cache lacks to the last shard, the start of the workers, their imports and their models included. One edit is made after
each, so that there is a grid.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table

from polypatch.data import write_jsonl
from polypatch.runs import Backend, BenchSpec, Encoded, Event, Finished, Job, Processes, Run, execute
from polypatch.runs.cluster import Cluster
from polypatch.runs.ray_connection import ray_library
from polypatch.testing import tiny_edits, tiny_model
from query_cache import rounded
from tail import keep, processor

ONE_EDIT = Run(recipe="t-patcher", settings={"views": 0, "max_steps": 1}, wrong_in_all=True, limit=1)
"""It needs the texts of all edits: which ones are wrong hangs on what the model says."""

WORKERS = 2


class Clock:
    """Hears a grid: what it says of its encoding, and when the first shard came."""

    def __init__(self) -> None:
        self.began, self.first_s = time.perf_counter(), 0.0
        self.encoded: Encoded | None = None

    def __call__(self, event: Event | Encoded | Finished) -> None:
        """Something moved."""
        if isinstance(event, Encoded):
            self.encoded = event
        elif isinstance(event, Event) and event.what == "encoding" and not self.first_s:
            self.first_s = time.perf_counter() - self.began


@contextmanager
def two_on_ray() -> Iterator[Backend]:
    """A cluster of two workers; its own start is not measured."""
    ray = ray_library()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    try:
        yield Cluster()
    finally:
        ray.shutdown()


@contextmanager
def here(n: int) -> Iterator[Backend]:
    yield Processes(n)


def digest(spec: BenchSpec) -> str:
    """Of all that a cache holds, in the order of its keys."""
    keys, rows = spec.open().tail.cache.export()
    order = sorted(range(len(rows)), key=lambda i: keys[32 * i : 32 * i + 32])
    return hashlib.sha256(rows[order].tobytes()).hexdigest()


def measure(texts: int, hidden: int, layers: int) -> dict[str, object]:
    ways: dict[str, Callable] = {
        "1 process": lambda: here(1),
        "2 processes": lambda: here(WORKERS),
        "Ray, 2 workers": two_on_ray,
    }
    found: dict[str, dict[str, float]] = {}
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        for part in tiny_model("bert", hidden=hidden, layers=layers):
            part.save_pretrained(Path(folder) / "model")
        write_jsonl(tiny_edits(texts // 4), Path(folder) / "edits.jsonl")
        base = BenchSpec(model=f"{folder}/model", data=f"jsonl:{folder}/edits.jsonl")
        for name, way in ways.items():
            spec, clock = replace(base, cache_dir=f"{folder}/{name}"), Clock()
            with way() as backend:
                clock.began = time.perf_counter()
                execute([Job(spec, ONE_EDIT)], on=backend, on_event=clock)
            assert clock.encoded is not None
            found[name] = {"encoded": clock.encoded.fresh, "seconds": clock.encoded.seconds, "first_s": clock.first_s}
            digests.add(digest(spec))
    alone = found["1 process"]["seconds"]
    return {
        "model": f"{layers} layers of {hidden}",
        "ways": found,
        "times_faster": {name: alone / one["seconds"] for name, one in found.items()},
        "same_bits": len(digests) == 1,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "processor": processor(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--texts", type=int, default=16_384)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--layers", type=int, default=6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args.texts, args.hidden, args.layers)
    table = Table("", "texts", "s", "times faster", "s to the first progress", title=str(found["model"]))
    for name, one in found["ways"].items():
        ratio = found["times_faster"][name]
        table.add_row(name, f"{one['encoded']:,}", f"{one['seconds']:.1f}", f"{ratio:.2f}", f"{one['first_s']:.1f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"{found['cores']} cores, load average {found['load_average']:.1f}")
    keep(rounded(found), args.out)
    if not found["same_bits"]:
        raise SystemExit("the queries differ")


if __name__ == "__main__":
    main()
