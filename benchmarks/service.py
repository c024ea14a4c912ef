"""The HTTP service against the bare model on the same batcher: requests per second, p50 and p99.

``python benchmarks/service.py --out benchmarks/results/service.json``: the embedded world, texts one by one from eight
clients that keep their connections, in the process of the service. Bare is the same route and the same batcher, with
the forward pass of the model before anything of polypatch touches it. While edits are made, somebody keeps and takes
back a fix without a pause.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import torch
import uvicorn

import polypatch as pp
from polypatch.desk.batches import Batches
from polypatch.desk.desk import Desk
from polypatch.desk.door import Allowance
from polypatch.desk.listen import Address, app_of
from polypatch.edits import Text
from polypatch.model.explain import Answer
from polypatch.world import world_named
from tail import processor

CLIENTS, SECONDS, ROUNDS = 8, 5.0, 3
PATCHES = 1000


def bare(model: torch.nn.Module, tokenizer: object, labels: dict[int, str]) -> Callable[[list[Text]], list]:
    """What a service without polypatch does with a batch."""

    @torch.no_grad()
    def answer(texts: list[Text]) -> list[tuple[Answer, int]]:
        batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        best = model(**batch).logits.softmax(-1).max(-1)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(Answer(labels[i], share), 0) for i, share in rows]

    return answer


@contextmanager
def listening(desk: Desk) -> Iterator[str]:
    """The address of the service, in this process."""
    address = Address(port=0)
    app = app_of(desk, address, pages=False)
    app.allowance = Allowance(1e9, 1e9)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def load(at: str, texts: list[str], seconds: float) -> dict[str, float]:
    """Requests per second and latencies in milliseconds."""
    stop, taken = time.perf_counter() + seconds, list[list[float]]()

    def client(number: int) -> None:
        mine = []
        with httpx2.Client(base_url=at) as http:
            for text in itertools.islice(itertools.cycle(texts), number * 7, None):
                begun = time.perf_counter()
                if begun > stop:
                    break
                http.post("/v1/predict", json={"texts": [text]}).raise_for_status()
                mine.append(1000 * (time.perf_counter() - begun))
        taken.append(mine)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = sorted(itertools.chain.from_iterable(taken))
    cuts = statistics.quantiles(every, n=100)
    return {"requests a second": len(every) / seconds, "p50, ms": cuts[49], "p99, ms": cuts[98]}


@contextmanager
def editing(desk: Desk, edits: list[pp.Edit], on: bool) -> Iterator[list[int]]:
    """Inside the block somebody keeps and takes back fixes; how many."""
    stop, made = threading.Event(), [0]

    def work() -> None:
        for edit in itertools.cycle(edits):
            if stop.is_set():
                return
            fix = desk.keep(edit)
            desk.revert([fix.id])
            made[0] += 1

    thread = threading.Thread(target=work)
    if on:
        thread.start()
    yield made
    stop.set()
    if on:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = world_named("world")
    plain_model, tokenizer = copy.deepcopy(world.model), world.tokenizer
    edited, data = pp.open("world"), world.data
    texts = [text for rows in edited.held_out.values() for text in rows[:80]]
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, Desk(Path(folder) / "edits", edited, "world") as desk:
        ours = desk._batches
        plain = Batches(bare(plain_model, tokenizer, dict(edited.labels)))
        stream = iter(data.edits)
        with listening(desk) as at:

            def measure(name: str, batches: object, *, edits: bool = False) -> None:
                desk._batches = batches
                with editing(desk, data.edits[-20:], edits) as made:
                    found = load(at, texts, given.seconds)
                rows.setdefault(name, []).append({**found, "edits a second": 2 * made[0] / given.seconds})

            for patches in (0, PATCHES):
                while edited.patches < patches:
                    desk._changing(lambda: desk.session.edit([next(stream)]))
                for _ in range(given.rounds):
                    if not patches:
                        measure("bare", plain)
                    measure(f"{patches} patches", ours)
                    measure(f"{patches} patches, while edits are made", ours, edits=True)
        desk._batches = ours
        plain.close()
    result = {name: {k: statistics.median(one[k] for one in found) for k in found[0]} for name, found in rows.items()}
    base = result["bare"]
    for name, row in result.items():
        row["requests, times bare"] = row["requests a second"] / base["requests a second"]
        row["p50, times bare"], row["p99, times bare"] = (
            row["p50, ms"] / base["p50, ms"],
            row["p99, ms"] / base["p99, ms"],
        )
        print(f"{name:45}", {k: round(v, 2) for k, v in row.items()}, flush=True)
    result |= {"clients": CLIENTS, "rounds": given.rounds, "patches": edited.patches, "processor": processor()}
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
