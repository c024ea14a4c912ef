"""Replicas and their writer, without a cluster: what one desk says, and never an older state than was answered."""

import shutil
import threading

import pytest

import polypatch as pp
from desk.conftest import MEMORY, client_of
from polypatch.desk import remote_desk, replicas
from polypatch.desk.desk import Desk
from polypatch.desk.edition import Edition
from polypatch.desk.remote_desk import RemoteDesk
from polypatch.desk.replicas import Replica, SharedEdits, Writer
from polypatch.errors import ArtefactError, ContradictionError, EditError, JournalError, UnavailableError
from polypatch.testing import tiny_model, tiny_texts
from speaking import speaker, speaking_edits

ASKED = tiny_texts(12, seed=9)
RECIPES = ("polypatch", "polypatch-linear", "fine-tuning", "grace", "lora")
"""One for each kind of delta."""


def saved(folder, recipe="polypatch", family="bert", **how):
    """Edits without any yet, on a checkpoint that every node can load."""
    model, tokenizer = tiny_model(family)
    for one in (model, tokenizer):
        one.save_pretrained(folder / "model")
    model.config._name_or_path = model.name_or_path = str(folder / "model")
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY, recipe=recipe, **how)
    edited.save_pretrained(folder / "edits")
    edited.unload()
    return SharedEdits(folder / "edits", "tiny", device="cpu")


class Cast:
    """A writer and replicas in this process, and what stands for their desk."""

    def __init__(self, place, replicas=2):
        self.place, self.turn = place, 0
        self.writer = Writer(place)
        self.replicas = [Replica(place, lambda: self.writer.edits()) for _ in range(replicas)]
        self.desk = RemoteDesk("tiny", self.the_writer, self.the_writer, self.any_replica)

    def the_writer(self, method, *given):
        return getattr(self.writer, method)(*given)

    def any_replica(self, method, *given):
        self.turn += 1
        return getattr(self.replicas[self.turn % len(self.replicas)], method)(*given)


def lost(*_):
    raise UnavailableError("it does not answer just now")


@pytest.fixture
def cast(tmp_path):
    made = Cast(saved(tmp_path))
    yield made
    made.writer.close()


def edit_of(i, label="class-1", other=None):
    prompt = {"en": ASKED[i]} | ({} if other is None else {"de": ASKED[other]})
    return pp.Edit(f"fix-{i}", prompt, {"en": label})


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_replica_says_what_the_writers_desk_says_after_every_change(recipe, tmp_path):
    cast = Cast(saved(tmp_path, recipe))
    seen = set()

    def same():
        writers = cast.writer.desk
        for replica in cast.replicas:
            edition, found = replica.ask(cast.desk.edition, "answers", ASKED)
            assert edition == cast.desk.edition
            assert found == writers.answers(ASKED)
            assert replica.ask(edition, "history")[1] == writers.history()
            assert replica.ask(edition, "why", ASKED[0])[1] == writers.why(ASKED[0])
        assert cast.desk.inside == writers.inside
        assert cast.desk.patches == writers.patches
        seen.add(found.answers)

    same()
    for change in (
        lambda: cast.desk.keep(edit_of(0, other=1)),
        lambda: cast.desk.keep(edit_of(2, "class-2")),
        lambda: cast.desk.revert(["fix-0"]),
        lambda: cast.desk.revert(["fix-2"]),
    ):
        change()
        same()
    assert len(seen) >= 3
    cast.writer.close()


def test_who_asks_after_a_fix_sees_it_and_edits_are_fetched_once_for_each_edition(cast):
    fetched = []
    cast.replicas[0]._fetch = lambda: fetched.append(None) or cast.writer.edits()
    first, second = ASKED[:2]
    for _ in range(2):
        (was,) = cast.desk.answers([first]).answers
    label = next(one for one in cast.writer.desk.edited.labels.values() if one != was.label)
    assert cast.desk.keep(edit_of(0, label, other=1)).kept
    for _ in range(4):
        found = cast.desk.answers([first, second])
        assert ([one.label for one in found.answers], found.edits) == ([label, label], 1)
    cast.desk.revert(["fix-0"])
    for _ in range(4):
        assert cast.desk.answers([first]).answers == (was,)
    assert len(fetched) == 2


def test_a_replica_shows_an_edit_whole_or_not_at_all_while_it_fetches(cast):
    first, second = ASKED[:2]
    old = tuple(one.label for one in cast.desk.answers([first, second]).answers)
    label = next(one for one in cast.writer.desk.edited.labels.values() if one not in old)
    seen, stop = set(), threading.Event()

    def ask():
        while not stop.is_set():
            found = cast.desk.answers([first, second])
            seen.add((found.edits, tuple(one.label for one in found.answers)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        cast.desk.keep(edit_of(0, label, other=1))
        cast.desk.revert(["fix-0"])
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == {(0, old), (1, (label, label))}


def test_a_writer_that_is_lost_loses_no_fix_that_was_answered(cast, tmp_path):
    cast.desk.keep(edit_of(0))
    before, lost = cast.desk.edition, cast.writer
    disk = tmp_path / "elsewhere"  # as it is when the writer is killed
    disk.mkdir()
    for name in ("edits", ".edits.session"):
        shutil.copytree(tmp_path / name, disk / name)
    cast.writer = Writer(SharedEdits(disk / "edits", "tiny", device="cpu"))
    try:
        assert cast.desk.answers([ASKED[0]]).answers[0].label == "class-1"  # by what replicas have
        cast.desk.keep(edit_of(2))
        assert cast.desk.edition.writer != before.writer
        assert [line.record.outcome.edit_id for line in cast.desk.history()] == ["fix-0", "fix-2"]
        assert [one.label for one in cast.desk.answers([ASKED[0], ASKED[2]]).answers] == ["class-1"] * 2
    finally:
        cast.writer.close()
        cast.writer = lost


def test_one_writer_at_a_time(cast, monkeypatch):
    monkeypatch.setattr("polypatch.desk.replicas.PATIENCE", 0.1)
    elsewhere = []

    def begin():
        with pytest.raises(JournalError, match="another process"):
            Writer(cast.place)
        elsewhere.append(True)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert elsewhere


def test_another_model_on_a_node_is_refused(cast, tmp_path):
    other = saved(tmp_path / "other", family="roberta")
    with pytest.raises(ArtefactError, match="other weights than the writer's"):
        Replica(other, cast.writer.edits)


def test_a_replica_is_there_once_it_has_edits_and_waits_for_a_writer_that_gives_them(cast, monkeypatch):
    monkeypatch.setattr(replicas, "PAUSE", 0.0)
    cast.desk.keep(edit_of(0))
    calls = [lost, lost, cast.writer.edits]
    replica = Replica(cast.place, lambda: calls.pop(0)())
    edition, found = replica.ask(cast.desk.edition, "answers", ASKED)
    assert (edition, found) == (cast.desk.edition, cast.writer.desk.answers(ASKED))
    assert not calls


def test_what_the_writer_refuses_comes_as_it_is(cast):
    cast.desk.keep(edit_of(0))
    with pytest.raises(ContradictionError) as caught:
        cast.desk.keep(pp.Edit("other", {"en": ASKED[0]}, {"en": "class-2"}))
    assert caught.value.edit_ids == ("fix-0", "other")
    with pytest.raises(EditError):
        cast.desk.revert(["no-such-edit"])
    assert cast.desk.inside == 1


def test_a_question_whose_replica_is_lost_is_asked_again_and_a_change_is_not(cast, monkeypatch):
    monkeypatch.setattr(remote_desk, "PAUSE", 0.0)
    ask, calls = cast.any_replica, []

    def flaky(method, *given):
        calls.append(method)
        if len(calls) % 3:
            raise UnavailableError("lost")
        return ask(method, *given)

    cast.desk._replicas = flaky
    assert len(cast.desk.answers(ASKED).answers) == len(ASKED)
    assert len(calls) == 3
    made = []
    cast.desk._writer = lambda *asked: made.append(cast.the_writer(*asked)) or lost()
    with pytest.raises(UnavailableError, match="history"):
        cast.desk.keep(edit_of(0))
    assert len(made) == 1


def test_changes_that_wait_for_a_writer_leave_room_for_those_who_ask(cast, monkeypatch):
    begun, go_on = threading.Semaphore(0), threading.Event()
    writer = cast.desk._writer

    def slow(method, *given):
        begun.release()
        go_on.wait(60)
        return writer(method, *given)

    monkeypatch.setattr(cast.desk, "_writer", slow)
    threads = [threading.Thread(target=cast.desk.keep, args=(edit_of(i % 12),)) for i in range(remote_desk.CHANGES)]
    for thread in threads:
        thread.start()
        assert begun.acquire(timeout=60)
    with pytest.raises(UnavailableError, match="16 changes wait for the writer already"):
        cast.desk.keep(edit_of(0))
    assert len(cast.desk.answers(ASKED).answers) == len(ASKED)
    go_on.set()
    for thread in threads:
        thread.join()
    assert cast.desk.inside == remote_desk.CHANGES
    assert [one.label for one in cast.desk.answers(ASKED).answers] == ["class-1"] * 12


def test_over_http_what_is_lost_is_503_and_says_when_to_ask_again(cast, monkeypatch):
    monkeypatch.setattr(remote_desk, "PATIENCE", 0.0)
    client = client_of(cast.desk, pages=False)
    fixed = client.post("/v1/fix", json={"text": ASKED[0], "label": "class-1", "id": "mine"})
    assert (fixed.status_code, fixed.json()["kept"]) == (200, True)
    (one,) = client.post("/v1/predict", json={"texts": ASKED[:1]}).json()["answers"]
    assert one["answer"] == "class-1"
    assert client.post("/v1/explain", json={"text": ASKED[0]}).json()["causes"][0]["edit"] == "mine"
    assert [line["id"] for line in client.get("/v1/history").json()] == ["mine"]
    assert client.get("/health").json()["edits"] == 1
    assert "polypatch_edits 1.0" in client.get("/metrics").text
    assert client.post("/v1/revert", json={"ids": ["mine"]}).json() == {"reverted": ["mine"], "edits": 0}

    cast.desk._replicas = cast.desk._writer = lost
    for path, body in (("predict", {"texts": ["a"]}), ("fix", {"text": "a", "label": "class-1"})):
        answer = client.post(f"/v1/{path}", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "does not answer just now" in answer.json()["detail"]
    assert client.get("/health").status_code == 200


def test_a_late_word_of_an_earlier_writer_is_no_step_back(cast):
    cast.desk.keep(edit_of(0))
    newest = cast.desk.edition
    for late in (Edition("an earlier writer", 9, 3, 3), Edition(newest.writer, 0, 0, 0)):
        cast.desk._heard_of(late)
        assert cast.desk.edition == newest


def test_an_answer_that_is_there_does_not_wait_as_a_change_does(cast):
    cast.desk._news, cast.desk._writer = lost, None
    cast.desk._edition = known = Edition("an earlier writer", 9, 3, 3)
    assert cast.desk.answers([ASKED[0]]) == cast.writer.desk.answers([ASKED[0]])
    assert cast.desk.edition == known


def test_a_language_model_too(tmp_path):
    model, tokenizer = speaker("llama")
    for one in (model, tokenizer):
        one.save_pretrained(tmp_path / "model")
    model.name_or_path = model.config._name_or_path = str(tmp_path / "model")
    edited = pp.attach(model, tokenizer=tokenizer, memory={"en": tiny_texts(40)})
    with Desk(tmp_path / "edits", edited, "a speaker"):
        pass
    edited.unload()
    cast = Cast(SharedEdits(tmp_path / "edits", "a speaker", device="cpu"))
    edit = next(iter(speaking_edits(1)))
    assert cast.desk.writes
    cast.desk.keep(edit)
    assert cast.desk.answers([edit.prompt["en"]]) == cast.writer.desk.answers([edit.prompt["en"]])
    assert cast.desk.answers([edit.prompt["en"]]).answers[0].label == edit.target["en"]
    cast.writer.close()
