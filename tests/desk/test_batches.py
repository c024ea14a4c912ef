"""Batches: requests that come at once are answered together, each by itself as ever."""

import threading
import time

import pytest

from polypatch.desk.batches import Batches


@pytest.fixture
def batches():
    made = []

    def make(answer, **how):
        made.append(Batches(answer, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def at_once(calls):
    """What each call gave or raised, all begun at one moment."""
    found, begin = [None] * len(calls), threading.Barrier(len(calls))

    def do(i):
        begin.wait()
        try:
            found[i] = calls[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=do, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_requests_at_once_are_few_batches_and_every_answer_is_its_own(batches):
    sizes = []

    def answer(texts):
        sizes.append(len(texts))
        time.sleep(0.01)
        return [text.upper() for text in texts]

    ask = batches(answer, most=16)
    requests = [[f"a{i}", f"b{i}", f"c{i}"][: 1 + i % 3] for i in range(40)]
    found = at_once([lambda texts=texts: ask(texts) for texts in requests])
    assert found == [[text.upper() for text in texts] for texts in requests]
    assert sum(sizes) == sum(map(len, requests))
    assert max(sizes) <= 16
    assert len(sizes) < 20


def test_a_request_is_never_in_two_batches(batches):
    seen = []

    def answer(texts):
        seen.append(list(texts))
        return texts

    ask = batches(answer, most=4)
    requests = [[f"{i}-{j}" for j in range(size)] for i, size in enumerate([3, 3, 9, 1, 4, 2] * 3)]
    assert at_once([lambda texts=texts: ask(texts) for texts in requests]) == requests
    for texts in requests:
        (batch,) = [batch for batch in seen if texts[0] in batch]
        at = batch.index(texts[0])
        assert batch[at : at + len(texts)] == texts


def test_one_that_cannot_be_answered_keeps_no_other_from_it(batches):
    def answer(texts):
        if "bad" in texts:
            raise ValueError("bad")
        return texts

    ask = batches(answer, wait=0.05)
    found = at_once([lambda text=text: ask([text]) for text in ("a", "bad", "b", "c")])
    assert [found[0], found[2], found[3]] == [["a"], ["b"], ["c"]]
    assert isinstance(found[1], ValueError)


def test_what_waits_is_answered_before_it_stops():
    ask = Batches(lambda texts: (time.sleep(0.02), texts)[1])
    found = []
    thread = threading.Thread(target=lambda: found.append(ask(["a"])))
    thread.start()
    time.sleep(0.01)
    ask.close()
    thread.join()
    assert found == [["a"]]
