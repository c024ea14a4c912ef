"""A grid on a two-node Ray cluster, one of its workers killed on the way, against the same grid in one process.

36 jobs on the embedded world: four recipes, three seeds (each a world of its own), three orders. Both nodes are on this
machine, with one core each; queries come from Ray's object store.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import torch
from ray.cluster_utils import Cluster as Nodes

from polypatch.evaluation import Report
from polypatch.experiments.rows import paper_rows
from polypatch.experiments.settings import FINE_TUNING, WORLD
from polypatch.experiments.table1 import LANGUAGES
from polypatch.runs import BenchSpec, Encoded, Event, Finished, Job, cluster, execute
from query_cache import rounded
from tail import keep, processor

THREE = range(3)


def grid(limit: int) -> list[Job]:
    rows = paper_rows(WORLD, FINE_TUNING, LANGUAGES, per_step=False, limit=limit, retries=1)
    return [
        Job(BenchSpec(seed=seed), replace(row, seed=seed, order=order))
        for seed in THREE
        for row in rows
        for order in THREE
    ]


def noted(log: Path) -> Callable:
    """What workers do, and a line in `log` for each start. Made in a function, it travels to them whole."""
    work = cluster._work

    def do(number, job, place, ears):  # noqa: ANN001, ANN202
        with log.open("a") as file:
            file.write(f"{number} {os.getpid()}\n")
        return work(number, job, place, ears)

    return do


class Killer:
    """Hears the grid's events, and kills one worker in the middle of a job when a third of the jobs are done."""

    def __init__(self, log: Path, jobs: int) -> None:
        self.log, self.wanted = log, jobs // 3
        self.done, self.encode_s = 0, 0.0
        self.killed: list[dict[str, int]] = []
        self.encoded = 0

    def starts(self) -> list[tuple[int, int]]:
        """Each start as (job, process)."""
        return [tuple(map(int, line.split())) for line in self.log.read_text().splitlines()]

    def __call__(self, event: Event | Encoded | Finished) -> None:
        """Something moved."""
        if isinstance(event, Encoded):
            self.encode_s += event.seconds
            self.encoded += event.fresh
        elif isinstance(event, Finished):
            self.done += 1
        elif self.done >= self.wanted and not self.killed and event.job is not None and event.done <= event.total // 2:
            pid = dict(self.starts())[event.job]
            os.kill(pid, signal.SIGKILL)
            self.killed.append({"job": event.job, "after_edits": event.done, "of_edits": event.total})


def rows(grid_reports: list[list[Report]]) -> list[str]:
    """Each report as JSON, without its seconds."""

    def timeless(plain: object) -> object:
        if isinstance(plain, dict):
            return {name: timeless(one) for name, one in plain.items() if not name.startswith("seconds")}
        return plain

    return [
        json.dumps(timeless(report.to_row()), sort_keys=True, default=str)
        for reports in grid_reports
        for report in reports
    ]


def measure(limit: int) -> dict[str, object]:
    jobs = grid(limit)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "starts"
        began = time.perf_counter()
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        started_in = time.perf_counter() - began
        cluster._work, killer = noted(log), Killer(log, len(jobs))
        began = time.perf_counter()
        try:
            on_ray = rows(execute(jobs, on=cluster.Cluster(nodes.address), on_event=killer))
        finally:
            nodes.shutdown()
        ray_s, starts = time.perf_counter() - began, killer.starts()
    alone = Killer(Path(os.devnull), 10 * len(jobs))
    began = time.perf_counter()
    in_process = rows(execute(jobs, on_event=alone))
    in_process_s = time.perf_counter() - began
    return {
        "jobs": len(jobs),
        "edits_per_job": limit,
        "nodes": 2,
        "cores_per_node": 1,
        "same_reports": sum(a == b for a, b in zip(on_ray, in_process, strict=True)),
        "reports": len(in_process),
        "killed": killer.killed,
        "retries": len(starts) - len(jobs),
        "killed_job_starts": sum(number == killer.killed[0]["job"] for number, _ in starts) if killer.killed else 0,
        "worker_processes": len({pid for _, pid in starts}),
        "cluster_start_s": started_in,
        "encode_s": {"ray": killer.encode_s, "in_process": alone.encode_s},
        "texts_encoded": {"ray": killer.encoded, "in_process": alone.encoded},
        "ray_s": ray_s,
        "in_process_s": in_process_s,
        "in_process_over_ray": in_process_s / ray_s,
        "load_average": os.getloadavg()[0],
        "processor": processor(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ray_grid.json"))
    parser.add_argument("--limit", type=int, default=60, help="edits per job")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    found = measure(args.limit)
    print(
        f"{found['jobs']} jobs: {found['ray_s']:.0f} s on two nodes of one core, {found['in_process_s']:.0f} s in one "
        f"process ({found['in_process_over_ray']:.2f} times as long); {len(found['killed'])} worker killed, "
        f"{found['retries']} job done again; {found['same_reports']} of {found['reports']} reports are the same"
    )
    keep(rounded(found), args.out)
    if found["same_reports"] != found["reports"] or not found["retries"]:
        raise SystemExit("the grids differ, or no job was done again")


if __name__ == "__main__":
    main()
