"""The lock of a site, eval mode that is counted, and tensors that are seen together."""

import copy
import pickle
import sys
import threading
import time

import pytest
import torch
from torch import nn

from polypatch.deltas import Codebook, NearestBank, PatchBank
from polypatch.sites.network.lock import SiteLock
from polypatch.sites.network.modes import evaluating

PATIENCE = 20.0
"""Seconds after which a thread is taken to hang: far more than any needs on a busy machine."""


def started(*works):
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def all_end(threads):
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)


def test_readers_read_together():
    lock, met = SiteLock(), threading.Barrier(3, timeout=PATIENCE)

    def read():
        with lock.shared():
            met.wait()  # only where all three are inside

    all_end(started(read, read, read))
    assert not met.broken


def test_who_changes_is_alone_and_goes_first():
    """A reader that comes after a waiting writer waits for it, though another reader is inside."""
    lock, order = SiteLock(), []

    def change():
        with lock.exclusive():
            order.append("change")

    def read():
        with lock.shared():
            order.append("read")

    with lock.shared():
        writer = started(change)
        while not lock._waiting:
            time.sleep(0.001)
        reader = started(read)
        reader[0].join(0.05)
        assert order == []
    all_end([*writer, *reader])
    assert order == ["change", "read"]


def test_a_thread_may_take_again_what_it_has():
    lock = SiteLock()

    def nested():
        with lock.exclusive(), lock.shared(), lock.exclusive(), lock.shared():
            pass
        with lock.shared():
            waiting = started(change)
            while not lock._waiting:
                time.sleep(0.001)
            with lock.shared():  # would wait for ever behind the writer, which waits for it
                pass
        all_end(waiting)

    def change():
        with lock.exclusive():
            pass

    all_end(started(nested))
    with lock.shared(), pytest.raises(RuntimeError, match="reads"), lock.exclusive():
        pass
    with pytest.raises(ZeroDivisionError), lock.exclusive():
        raise ZeroDivisionError
    all_end(started(change))  # it was let go


def test_a_copy_is_held_by_nobody():
    lock = SiteLock()
    with lock.exclusive():
        for twin in (copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))):  # noqa: S301

            def change(twin=twin):
                with twin.exclusive():
                    pass

            all_end(started(change))


def test_eval_mode_ends_with_the_last_who_needs_it():
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    first, second = evaluating(model), evaluating(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert [module.training for module in model.modules()] == [False, False, False]
    second.__exit__(None, None, None)
    assert [module.training for module in model.modules()] == [True, True, False]


def bank():
    made = PatchBank(4)
    return made, lambda i: made.append(str(i), torch.ones(4), torch.ones(()), torch.ones(4))


def codebook():
    made = Codebook(4, 2)
    return made, lambda i: made.append(str(i), torch.ones(4), torch.ones(4), 0.5, 1)


def nearest():
    made = NearestBank(4)
    eye, groups = torch.eye(4), torch.zeros(4, dtype=torch.long)
    sorting = {"groups": groups, "sorting": torch.zeros(4, 1), "bias": torch.zeros(1)}
    numbers = torch.tensor([0.5, 0.1, 0.5, 0.05, 0.97, 1.0])
    made.frame(
        {
            "centre": torch.zeros(4),
            "map": eye,
            "landmarks": eye,
            "crowding": groups.float(),
            "kept": eye,
            "numbers": numbers,
            **sorting,
        }
    )
    return made, lambda i: made.append(str(i), torch.ones(4) / 2, torch.ones(4))


@pytest.mark.parametrize("make", [bank, codebook, nearest])
def test_a_pass_finds_all_tensors_old_or_all_new(make):
    """The user's own passes ask no lock: what grows and is cut meanwhile must fit together in every one of them."""
    delta, add = make()
    empty, faults, over = delta.snapshot(), [], threading.Event()

    def look():
        q = torch.ones(2, 4)
        while not over.is_set():
            try:
                delta(q, q)
            except Exception as error:
                faults.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = started(look, look)
        for i in range(300):
            add(i)
            if i % 10 == 9:
                delta.restore(empty)
        over.set()
        all_end(threads)
    finally:
        over.set()
        sys.setswitchinterval(before)
    assert not faults
