"""Small workbenches for all grids, and a cluster."""

import os

import pytest

from polypatch.data import write_jsonl
from polypatch.edits import Edit
from polypatch.runs import BenchSpec
from polypatch.testing import tiny_edits, tiny_model


def bench_of(folder, loaded, edits):
    for one in loaded:
        one.save_pretrained(folder / "model")
    write_jsonl(edits, folder / "edits.jsonl")
    return BenchSpec(model=str(folder / "model"), data=f"jsonl:{folder / 'edits.jsonl'}")


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return bench_of(tmp_path_factory.mktemp("bench"), tiny_model("bert"), tiny_edits(12))


@pytest.fixture(scope="module")
def speaking(tmp_path_factory):
    """A language model, whose layers keep the residual apart from what they read."""
    edits = [replaced(edit, i) for i, edit in enumerate(tiny_edits(6))]
    return bench_of(tmp_path_factory.mktemp("speaking"), tiny_model("gpt2", head="causal"), edits)


def replaced(edit, number):
    """The same prompts with words for answers."""
    return Edit(edit.id, edit.prompt, dict.fromkeys(edit.languages, ("ga", "go", "gi")[number % 3]))


@pytest.fixture(scope="module")
def nodes():
    """Two Ray nodes of one core on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster as Nodes

    found = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    yield found
    found.shutdown()
