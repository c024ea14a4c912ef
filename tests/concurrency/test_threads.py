"""One edited model, several threads: every answer is that of a state the model was in, and nothing else is disturbed.

Eight mixes of what a service does at once. POLYPATCH_THREAD_SECONDS is how long each goes on; more finds rarer faults.
"""

import itertools
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import polypatch as pp
from polypatch.sites.discovery.discover import discover
from polypatch.sites.hooks import Hooks
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors

SECONDS = float(os.environ.get("POLYPATCH_THREAD_SECONDS", "1"))
EDITS, MEMORY = tiny_edits(3), tiny_texts(40, seed=1)
ASKED = [*(text for edit in EDITS for text in edit.prompt.values()), *tiny_texts(4, seed=2)]


@pytest.fixture(autouse=True)
def often_switched():
    """Threads take turns a hundred times as often: what may go wrong between two lines has a chance to."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


def near(got, wanted):
    return torch.allclose(got, wanted, rtol=0, atol=1e-5)


class Service:
    """An edited model in train mode, and what it may say: its states after 0, 1, 2, 3 edits, one thread at work."""

    def __init__(self, folder):
        self.folder, self.numbers = folder, itertools.count()
        self.edited = self.attached()
        self.states = [self.state()]
        self.outcomes = []
        for outcome in pp.edit_stream(self.edited, EDITS):
            self.outcomes.append(outcome.timeless())
            self.states.append(self.state())
        assert any(not near(a[0], b[0]) for a, b in itertools.pairwise(self.states))
        for edit in reversed(EDITS):
            self.edited.revert(edit.id)
        self.flags = self.seen_flags()

    def attached(self):
        self.model, tokenizer = tiny_model("bert", layers=1)
        self.model.train()
        self.model.bert.encoder.eval()
        self.model.bert.embeddings.requires_grad_(False)
        return pp.attach(self.model, tokenizer=tokenizer, memory=MEMORY)

    def state(self):
        edited = self.edited
        tail = edited.tail.logits(edited.tail.readout.rows(ASKED), edited.delta).softmax(-1)
        return edited.probabilities(ASKED), tail, {n: t.clone() for n, t in edited.delta.tensors().items()}

    def seen_flags(self):
        parameters, modules = self.model.named_parameters(), self.model.named_modules()
        return [(n, p.requires_grad) for n, p in parameters], [(n, m.training) for n, m in modules]

    # What a thread does, again and again.

    def predict(self):
        got = self.edited.probabilities(ASKED)
        assert any(near(got, state[0]) for state in self.states), "predict: of no state"

    def explain(self):
        place = next(self.numbers) % len(ASKED)
        found = self.edited.explain(ASKED[place])
        kept = [(state[1][place].max(), state[1][place].argmax()) for state in self.states]
        labels = self.edited.labels
        said = found.answer
        assert any(said.label == labels[int(i)] and abs(float(p) - said.probability) < 1e-5 for p, i in kept), "explain"
        assert found.unedited.label == labels[int(kept[0][1])], "explain: unedited"
        assert all(cause.activation >= 0 and cause.edit_id for cause in found.causes)

    def fire(self):
        """Texts never seen before: they are encoded while others are at work."""
        number = next(self.numbers)
        assert isinstance(self.edited.firing(f"fresh {number} ba be"), list)
        self.edited.tail.queries(self.edited.tail.readout.rows([f"new {number} bi bo", f"old {number} du"]))

    def disable(self):
        with self.edited.disabled():
            assert near(self.edited.probabilities(ASKED), self.states[0][0]), "disabled: edited answers"

    def save(self):
        folder = self.edited.save_pretrained(self.folder / str(threading.get_ident()))
        found = read_artefact(folder)
        assert any(same_tensors(found.tensors, state[2]) for state in self.states), "save: tensors of no state"
        owned = {name for name, outcome in ((o.edit_id, o) for o in found.outcomes) if outcome.patches}
        assert owned == set(found.owners), "save: tensors of one state, history of another"

    def edit(self):
        """All edits, one by one, and taken back again."""
        got = [outcome.timeless() for outcome in pp.edit_stream(self.edited, EDITS)]
        assert got == self.outcomes, "edit: other outcomes than alone"
        for edit in reversed(EDITS):
            self.edited.revert(edit.id)

    def encode(self):
        self.edited.tail.encode(self.edited.tail.readout.rows([f"shared {next(self.numbers) // 3} ga", "shared ge gi"]))


MIXES = {
    "predict": ("predict",) * 6,
    "predict, edit": ("predict", "predict", "edit"),
    "predict, explain": ("predict", "explain", "explain"),
    "predict, save": ("predict", "predict", "save", "edit"),
    "predict, disabled": ("predict", "disable", "disable", "edit"),
    "explain, fresh texts": ("explain", "fire", "fire", "encode", "encode"),
    "explain, edit": ("explain", "fire", "edit"),
    "everything": ("predict", "explain", "fire", "edit", "save", "disable", "encode"),
}


@pytest.mark.parametrize("mix", MIXES)
def test_threads_do_not_disturb_one_another(mix, tmp_path):
    service = Service(tmp_path)
    faults, until = [], time.monotonic() + SECONDS
    rounds = dict.fromkeys(MIXES[mix], 0)

    def work(name):
        while time.monotonic() < until or not rounds[name]:
            try:
                getattr(service, name)()
            except BaseException as error:
                faults.append(f"{name}: {type(error).__name__}: {error}")
                return
            rounds[name] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in MIXES[mix]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert service.seen_flags() == service.flags
    assert near(service.edited.probabilities(ASKED), service.states[0][0])
    _cached_is_fresh(service.edited.tail, range(next(service.numbers)))
    model = service.edited.unload()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def _cached_is_fresh(tail, numbers):
    texts = [text for i in numbers for text in (f"fresh {i} ba be", f"new {i} bi bo", f"old {i} du", f"shared {i} ga")]
    rows = [row for row in tail.readout.rows([*texts, *ASKED, *MEMORY]) if not tail.cache.missing([row])]
    assert near(tail.cache.take(rows), tail.encoder.queries(rows).q)


def test_a_query_is_this_threads_own_also_where_another_takes_the_last_one():
    """What two threads share is for compiled code; here another thread has taken it before it can be read again."""

    class Robbed(Hooks):
        traced = property(lambda self: None, lambda self, value: None)

    hidden = torch.randn(2, 5, 4)
    model, _ = tiny_model("bert", layers=1)
    hooks = Robbed(model, discover(model))
    hooks.keep_query(hooks.up, (hidden,), {})
    assert torch.equal(hooks.here.query, hidden[:, 0])


def test_last_tokens_are_each_thread_s_own():
    """Two threads ask an edited decoder texts of other lengths: neither reads at the other's positions."""
    model, tokenizer = tiny_model("llama")
    edited = pp.edit(model, tiny_edits(3), tokenizer=tokenizer, memory=tiny_texts(30), recipe="t-patcher")
    columns = [[text + tail for text in tiny_texts(6, seed=7)] for tail in ("", " ba be bi bo bu" * 4)]
    alone = [edited.probabilities(texts) for texts in columns]
    assert any(outcome.patches for outcome in edited.outcomes.values())

    def ask(i):
        batch = tokenizer(columns[i], padding=True, return_tensors="pt")
        with torch.no_grad():
            return [model(**batch).logits.softmax(-1) for _ in range(60)]

    with ThreadPoolExecutor(2) as pool:
        for i, answers in enumerate(pool.map(ask, (0, 1))):
            for said in answers:
                torch.testing.assert_close(said, alone[i], atol=1e-5, rtol=1e-4)
    edited.unload()
