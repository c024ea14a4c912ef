"""What becomes of an edit after it was made: explained, reverted, continued after loading, merged, guarded."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from polypatch.api import attach, edit, edit_stream
from polypatch.data.memory import MemoryTexts
from polypatch.deltas import PatchBank
from polypatch.edited_model import EditedModel
from polypatch.editors import FineTuning, TPatcher
from polypatch.edits import Edit, Labelled
from polypatch.errors import ContradictionError, EditError, InputError
from polypatch.evaluation import evaluate
from polypatch.model.contradictions import contradictions_of, find_contradictions
from polypatch.model.guard import Guard
from polypatch.model.rules import Rules
from polypatch.outcomes import Status, outcome_from_plain
from polypatch.plain_recipes import recipe_from_plain, recipe_to_plain
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages, OnlyLanguages, SourcePlusRandom
from polypatch.sites import load_checkpoint
from polypatch.store.artefact import CARD, REPORT, read_artefact
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors
from polypatch.testing.tiny import FAMILIES
from polypatch.triggers import Trigger

QUICK = TPatcher(max_steps=40, first_validation=10, validate_every=5, views=0, learning_rate=0.1)
PATCHER = Recipe(QUICK, SourcePlusRandom(k=1), Trigger.ALWAYS)
TUNER = Recipe(FineTuning(max_steps=20, learning_rate=1e-3, views=0), trigger=Trigger.ALWAYS)
MEMORY = tiny_texts(20)
EDITS = tiny_edits(4)


@pytest.fixture
def edited():
    """A tiny BERT with four patches that took or failed, all of them still in it."""
    model, tokenizer = tiny_model("bert")
    made = edit(model, EDITS, tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY, rules=Rules(keep_failed=True))
    yield made
    made.unload()


def logits(model, tokenizer, texts=MEMORY):
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])


# --- explain


def test_an_explanation_is_what_removing_the_patch_shows(edited):
    """Each cause's counterfactual answer is the prediction of a model without that patch, and nothing of polypatch's
    own arithmetic: the neuron is cut out of a loaded copy."""
    text = next(text for one in EDITS for text in one.prompt.values() if edited.firing(text))
    told = edited.explain(text)
    assert told.answer.label == edited.predict(text)
    assert told.answer.probability == pytest.approx(float(edited.probabilities([text]).max()), abs=1e-5)
    with edited.disabled():
        assert told.unedited.label == edited.predict(text)
    assert told.firing == len(edited.firing(text))
    assert [cause.edit_id for cause in told.causes] == [fired.edit_id for fired in edited.firing(text)]
    for cause in told.causes:
        assert cause.record.edit.id == cause.edit_id
        before = logits(edited.model, edited.tokenizer, [text])
        bank = edited.delta
        snapshot, owners = bank.tensors(), list(bank.owners)
        bank.drop([cause.edit_id])
        without = logits(edited.model, edited.tokenizer, [text])
        bank.load_tensors(snapshot, owners)
        assert cause.without.label == edited.labels[int(without.argmax())]
        given = int(before.argmax())
        assert cause.push == pytest.approx(float(before[0, given] - without[0, given]), abs=1e-3)


def test_changed_weights_have_no_causes_but_an_answer():
    model, tokenizer = tiny_model("bert")
    made = edit(
        model, EDITS[:2], tokenizer=tokenizer, memory=MemoryTexts(), recipe=TUNER, rules=Rules(keep_failed=True)
    )
    told = made.explain(EDITS[0].prompt["en"])
    assert (told.causes, told.firing) == ((), 0)
    assert told.answer.label == made.predict(EDITS[0].prompt["en"])
    made.unload()


# --- revert


def test_reverting_one_in_the_middle_leaves_the_others_bits(edited):
    before, owners = edited.delta.tensors(), list(edited.delta.owners)
    gone = EDITS[1].id
    edited.revert(gone)
    kept = [i for i, owner in enumerate(owners) if owner != gone]
    assert edited.delta.owners == [owners[i] for i in kept]
    assert same_tensors(edited.delta.tensors(), {name: tensor[kept] for name, tensor in before.items()})
    assert gone not in edited.outcomes
    assert edited.records[gone].status == "reverted"
    again = attach_memory(edited)
    assert edited.memory.train.asked == again


def attach_memory(edited):
    """The memory's texts as they should be: the base, then every text that an edit still in the model was taught."""
    base = edited.memory.train.asked[: edited.memory.train.base]
    taught = [
        record.edit.prompt[lang]
        for record in edited.records.values()
        if not record.reverted
        for lang in record.outcome.languages
    ]
    return [*base, *edited.readout.rows(taught)]


def test_a_reverted_edit_can_be_made_again(edited):
    before = edited.delta.tensors()
    last = EDITS[-1]
    edited.revert([last.id])
    (outcome,) = edited.edit([last], rules=edited.rules)
    assert outcome.triggered
    assert same_tensors(edited.delta.tensors(), before)
    assert list(edited.records) == [e.id for e in EDITS]


def test_what_was_never_made_cannot_be_reverted(edited):
    before = edited.delta.tensors()
    with pytest.raises(EditError, match="no edit is called"):
        edited.revert([EDITS[0].id, "nonsense"])
    assert same_tensors(edited.delta.tensors(), before), "nothing is reverted where one name is wrong"
    edited.revert(EDITS[0].id)
    with pytest.raises(EditError, match="already"):
        edited.revert(EDITS[0].id)


def test_reverting_among_shared_weights_is_never_having_made_it(tmp_path):
    """Fine-tuning: the others are made again. Without a memory that is refused, and changes nothing."""
    model, tokenizer = tiny_model("bert")
    without = edit(
        model, [EDITS[0], *EDITS[2:]], tokenizer=tokenizer, recipe=TUNER, memory=MEMORY, rules=Rules(keep_failed=True)
    )
    wanted = without.delta.tensors()
    without.unload()
    made = edit(model, EDITS, tokenizer=tokenizer, recipe=TUNER, memory=MEMORY, rules=Rules(keep_failed=True))
    folder = made.save_pretrained(tmp_path / "saved", memory=None)
    made.revert(EDITS[1].id)
    assert same_tensors(made.delta.tensors(), wanted)
    made.unload()
    loaded = EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
    before = loaded.delta.tensors()
    with pytest.raises(InputError, match="memory"):
        loaded.revert(EDITS[1].id)
    assert same_tensors(loaded.delta.tensors(), before)
    assert EDITS[1].id in loaded.outcomes
    loaded.revert([e.id for e in EDITS])  # needs none
    with loaded.disabled():
        base = logits(model, tokenizer)
    assert torch.equal(logits(model, tokenizer), base)
    loaded.unload()
    again = EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer, memory=MEMORY)
    again.revert(EDITS[1].id)
    assert same_tensors(again.delta.tensors(), wanted)
    again.unload()


# --- going on after loading


def test_a_loaded_model_goes_on_as_if_it_had_never_been_saved(tmp_path):
    """Two edits, saved, loaded, two more: the tensors of four in one go. Recipe and memory come from the folder."""
    model, tokenizer = tiny_model("bert")
    whole = edit(
        model, EDITS, tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY, rules=Rules(keep_failed=True, seed=3)
    )
    wanted = whole.delta.tensors()
    whole.unload()
    half = edit(
        model, EDITS[:2], tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY, rules=Rules(keep_failed=True, seed=3)
    )
    half.save_pretrained(tmp_path / "half")
    half.unload()
    loaded = EditedModel.from_pretrained(tmp_path / "half", model=model, tokenizer=tokenizer)
    assert loaded.recipe == PATCHER.at(model.config.hidden_size)
    loaded.edit(EDITS[2:], rules=loaded.rules)
    assert same_tensors(loaded.delta.tensors(), wanted)
    loaded.unload()


def test_without_a_memory_a_loaded_model_says_what_it_needs(edited, tmp_path):
    edited.save_pretrained(tmp_path / "saved", memory=None)
    edited.unload()
    loaded = EditedModel.from_pretrained(tmp_path / "saved", model=edited.model, tokenizer=edited.tokenizer)
    with pytest.raises(InputError, match="memory="):
        loaded.edit(tiny_edits(6)[5:])
    loaded.unload()


def test_one_history_has_one_recipe(edited):
    with pytest.raises(InputError, match="one recipe"):
        list(edit_stream(edited, tiny_edits(6)[5:], recipe="t-patcher"))


@pytest.mark.parametrize("recipe", [*RECIPES.values(), PATCHER, Recipe(QUICK, OnlyLanguages(("de", "fr")))])
def test_recipes_survive_as_plain_data(recipe):
    plain = json.loads(json.dumps(recipe_to_plain(recipe)))
    assert recipe_from_plain(plain) == recipe


def test_a_recipe_of_somebody_else_is_no_recipe():
    """Nothing but the table's own names is looked up, and settings of another version are not guessed."""
    plain = recipe_to_plain(Recipe(QUICK, AllLanguages()))
    assert recipe_from_plain({**plain, "editor": {"name": "os.system"}}) is None
    assert recipe_from_plain({**plain, "editor": {**plain["editor"], "new_setting": 1}}) is None
    assert recipe_from_plain({**plain, "trigger": "sometimes"}) is None
    assert recipe_from_plain({}) is None


# --- the report and the card


def test_the_report_travels_with_the_edits_until_they_change(edited, tmp_path):
    rows = [Labelled(text, "class-0") for text in MEMORY]
    report = evaluate(edited, EDITS, locality={"some": rows})
    folder = edited.save_pretrained(tmp_path / "saved", report=report)
    written = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    assert [row["recipe"] for row in written] == ["original", "custom"]
    assert written[1]["reliability"] == report.reliability
    card = (folder / CARD).read_text(encoding="utf-8")
    assert "library_name: polypatch" in card
    assert f"{report.clg_avg:.2f}" in card
    assert "locality some" in card
    edited.unload()
    loaded = EditedModel.from_pretrained(folder, model=edited.model, tokenizer=edited.tokenizer)
    assert loaded.report == written
    loaded.revert(EDITS[0].id)
    again = loaded.save_pretrained(tmp_path / "again")
    assert not (again / REPORT).exists()
    assert "(reverted)" in (again / CARD).read_text(encoding="utf-8")
    loaded.unload()


def test_what_people_write_cannot_break_the_card(tmp_path):
    model, tokenizer = tiny_model("bert")
    nasty = Edit("`x`\n# Title", {"en": "a\n---\n```\n<script>alert(1)</script>| b"}, {"en": "class-0"})
    made = edit(
        model, [nasty], tokenizer=tokenizer, memory=MemoryTexts(), recipe=PATCHER, rules=Rules(keep_failed=True)
    )
    card = (made.save_pretrained(tmp_path / "saved") / CARD).read_text(encoding="utf-8")
    made.unload()
    (line,) = [line for line in card.splitlines() if "script" in line]
    assert line.startswith("* `'x' # Title`: `a --- ''' <script>")
    assert card.count("\n---\n") == 1


def test_a_push_uploads_the_folder_as_it_would_be_saved(edited, tmp_path, monkeypatch):
    sent = {}

    class Api:
        def __init__(self, token=None):
            sent["token"] = token

        def create_repo(self, repo_id, **options):
            sent["repo"] = (repo_id, options)
            return f"https://hub/{repo_id}"

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            sent["files"] = {path.name: path.read_bytes() for path in folder_path.iterdir()}

    monkeypatch.setattr("polypatch.store.load.HfApi", Api)
    assert edited.push_to_hub("me/edits", private=True, token="t") == "https://hub/me/edits"
    saved = edited.save_pretrained(tmp_path / "saved", memory=None)  # whose texts are nobody else's business
    assert sent["files"] == {path.name: path.read_bytes() for path in saved.iterdir()}
    assert sent["repo"] == ("me/edits", {"private": True, "exist_ok": True})
    monkeypatch.setattr("polypatch.store.load.snapshot_download", lambda name, revision: str(saved))
    edited.unload()
    loaded = EditedModel.from_pretrained("me/edits", model=edited.model, tokenizer=edited.tokenizer)
    assert same_tensors(loaded.delta.tensors(), edited.delta.tensors())
    loaded.unload()


def test_a_hub_that_refuses_is_one_error(edited, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setattr("polypatch.store.load.HfApi.create_repo", refuse)
    with pytest.raises(InputError, match=r"me/edits: the hub refuses.*no route\)"):
        edited.push_to_hub("me/edits")


# --- merging


@pytest.mark.parametrize("family", FAMILIES)
def test_merging_adds_units_and_nothing_else(family, merged_checkpoints):
    made, merged, wanted, _ = merged_checkpoints[family]
    before = sum(parameter.numel() for parameter in made.model.parameters())
    assert sum(parameter.numel() for parameter in merged.parameters()) == before + made.merge_cost.parameters
    assert made.merge_cost.parameters == 2 * made.patches * (2 * 32 + 1)
    assert f"{made.merge_cost.parameters:,} parameters" in str(made.merge_cost)
    torch.testing.assert_close(logits(merged, made.tokenizer), wanted, rtol=1e-5, atol=1e-4)
    assert not torch.allclose(logits(made.model, made.tokenizer), wanted, atol=1e-2), "the patches do something"


@pytest.fixture(scope="module")
def merged_checkpoints(tmp_path_factory):
    """Family to (what was edited, the merged model, its logits while edited, the merged model's folder)."""
    found = {}
    for family in FAMILIES:
        model, tokenizer = tiny_model(family)
        made = edit(model, EDITS, tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY, rules=Rules(keep_failed=True))
        wanted, place = logits(model, tokenizer), tmp_path_factory.mktemp(family)
        merged = made.merge_and_unload()
        merged.save_pretrained(place)
        tokenizer.save_pretrained(place)
        found[family] = made, merged, wanted, place
    return found


def test_a_merged_checkpoint_needs_no_polypatch(merged_checkpoints):
    """Loaded by transformers alone in a process where polypatch cannot be imported."""
    code = (
        "import sys; sys.modules['polypatch'] = None\n"
        "import torch; from transformers import AutoModelForSequenceClassification as A, AutoTokenizer as T\n"
        f"for place in {[str(place) for *_, place in merged_checkpoints.values()]!r}:\n"
        "    m, t = A.from_pretrained(place).eval(), T.from_pretrained(place)\n"
        f"    print(m(**t({MEMORY[:4]!r}, padding=True, return_tensors='pt')).logits.flatten().tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for line, (_, _, wanted, _) in zip(ran.stdout.splitlines(), merged_checkpoints.values(), strict=True):
        torch.testing.assert_close(torch.tensor(json.loads(line)), wanted[:4].flatten(), rtol=1e-5, atol=1e-4)


def test_changed_weights_merge_without_growing(tmp_path):
    model, tokenizer = tiny_model("distilbert")
    made = edit(
        model, EDITS[:2], tokenizer=tokenizer, memory=MemoryTexts(), recipe=TUNER, rules=Rules(keep_failed=True)
    )
    wanted = logits(model, tokenizer)
    assert made.merge_cost.parameters == 0
    made.merge_and_unload().save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(loaded, tokenizer), wanted, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(model, tokenizer), wanted, atol=1e-4)


def test_merging_keeps_type_and_random_state():
    model, tokenizer = tiny_model("bert")
    made = edit(
        model, EDITS[:1], tokenizer=tokenizer, memory=MemoryTexts(), recipe=PATCHER, rules=Rules(keep_failed=True)
    )
    model.half()
    state, cost = torch.get_rng_state(), made.merge_cost
    merged = made.merge_and_unload()
    assert torch.equal(torch.get_rng_state(), state)
    assert {parameter.dtype for parameter in merged.parameters()} == {torch.float16}
    assert cost.megabytes == pytest.approx(2 * cost.parameters / 1e6)


# --- guards


def test_a_guard_takes_back_what_costs_too_much_and_says_so():
    """A patch that fires everywhere: without a guard it stays; with one it goes, and what it left in the memory too."""

    @dataclasses.dataclass(frozen=True)
    class Loud:
        exact = False
        memory_copies = 1

        def start(self, site):
            return PatchBank(site.hidden_size, site.activation_name)

        def learn(self, delta, lesson, tail, memory):
            out = 50 * torch.randn(32, generator=lesson.generator)
            delta.append(lesson.owner, torch.zeros(32), torch.ones(()), out)
            from polypatch.editors import Fit

            return Fit(1, tuple(lesson.draw()))

    model, tokenizer = tiny_model("bert")
    loud = Recipe(Loud(), trigger=Trigger.ALWAYS)
    made = attach(model, tokenizer=tokenizer, recipe=loud, memory=MEMORY)
    (free,) = edit_stream(made, EDITS[:1], rules=Rules(keep_failed=True))
    assert made.patches == 1
    changed = 100 * sum(a != b for a, b in zip(*made.predict_before_after(MEMORY), strict=True)) / len(MEMORY)
    assert changed > 20
    made.unload()
    made = attach(model, tokenizer=tokenizer, recipe=loud, memory=MEMORY)
    rows = made.memory.snapshot()
    (outcome,) = edit_stream(made, EDITS[:1], rules=Rules(keep_failed=True, retries=2, guard=Guard(MEMORY, 5.0)))
    assert (outcome.success, outcome.attempts, made.patches, outcome.status) == (False, 3, 0, "taken back")
    assert outcome.locality_drop > 5
    assert "max_locality_drop = 5" in outcome.reason
    assert made.memory.snapshot() == rows
    (outcome,) = edit_stream(made, EDITS[1:2], rules=Rules(keep_failed=True, guard=Guard(MEMORY, 100.0)))
    assert made.patches == 1
    measured = 100 * sum(a != b for a, b in zip(*made.predict_before_after(MEMORY), strict=True)) / len(MEMORY)
    assert outcome.locality_drop == pytest.approx(measured)
    assert free.locality_drop is None
    made.unload()


def test_a_budget_is_per_edit_and_not_for_the_stream():
    """The second edit is charged for what it changes, not for what the first did."""
    model, tokenizer = tiny_model("bert")
    made = attach(model, tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY)
    outcomes = list(edit_stream(made, EDITS, rules=Rules(keep_failed=True, guard=Guard(MEMORY, 100.0))))
    old, new = made.predict_before_after(MEMORY)
    assert sum(o.locality_drop for o in outcomes) == pytest.approx(100 * float((old != new).mean()))
    made.unload()


@pytest.mark.parametrize(("probe", "budget"), [((), 1.0), (MEMORY, -0.1), (MEMORY, float("nan"))])
def test_a_guard_that_guards_nothing_is_refused(probe, budget):
    with pytest.raises(InputError):
        Guard(probe, budget)


class Diverges(TPatcher):
    """Its first attempt ends in a neuron that is no number."""

    def learn(self, delta, lesson, tail, memory):
        fit = super().learn(delta, lesson, tail, memory)
        if len(self.seen) < self.fails:
            self.seen.append(delta.values[-1].fill_(torch.inf))
        return fit


@pytest.mark.parametrize("fails", [1, 9])
def test_what_is_not_finite_never_stays(fails, monkeypatch):
    """Also where failed edits are kept; a further attempt may do better."""
    monkeypatch.setattr(Diverges, "seen", [], raising=False)
    monkeypatch.setattr(Diverges, "fails", fails, raising=False)
    model, tokenizer = tiny_model("bert")
    recipe = Recipe(Diverges(max_steps=2, views=0), trigger=Trigger.ALWAYS)
    made = attach(model, tokenizer=tokenizer, recipe=recipe, memory=MEMORY)
    (outcome,) = edit_stream(made, EDITS[:1], rules=Rules(keep_failed=True, retries=1))
    assert outcome.attempts == 2
    assert made.patches == (fails == 1)
    assert all(tensor.isfinite().all() for tensor in made.delta.tensors().values())
    if fails > 1:
        assert outcome.status == "taken back"
        assert "not finite" in outcome.reason
    made.unload()


# --- contradictions


def test_contradictions_are_found_by_query_and_named():
    """Against a brute-force loop over all pairs of prompts in float64."""
    model, tokenizer = tiny_model("bert")
    made = attach(model, tokenizer=tokenizer, memory=MemoryTexts(), recipe=PATCHER)
    edits = tiny_edits(12)
    twin = dataclasses.replace(
        edits[3], id="twin", target={"en": "class-0" if edits[3].target["en"] != "class-0" else "class-1"}
    )
    edits = [*edits, twin]
    near = 0.35
    rows = [
        (e.id, e.target_in(lang), made.tail.queries(made.tail.readout.rows([e.prompt[lang]])).q[0].double())
        for e in edits
        for lang in e.languages
    ]
    wanted = {}
    for i, (one, target, q) in enumerate(rows):
        for two, other, k in rows[i + 1 :]:
            distance = float((q - k).norm() / max(q.norm(), k.norm()))
            if one != two and target != other and distance < near:
                wanted[one, two] = min(distance, wanted.get((one, two), 9))
    found = find_contradictions(made.tail, edits, near)
    assert {(c.first, c.second) for c in found} == set(wanted)
    assert len(found) > 1
    for pair in found:
        assert pair.distance == pytest.approx(wanted[pair.first, pair.second], abs=1e-4)
    assert (found[0].first, found[0].second, found[0].distance) == (edits[3].id, "twin", 0.0)
    assert "twin" in str(found[0])
    assert find_contradictions(made.tail, edits[:1]) == find_contradictions(made.tail, []) == []
    for one in edits:
        others = [other for other in edits if other is not one]
        its = {c.second for c in contradictions_of(made.tail, one, others, near)}
        assert its == {({c.first, c.second} - {one.id}).pop() for c in found if one.id in (c.first, c.second)}
    made.unload()


def test_two_answers_to_one_input_are_refused_before_training(edited):
    """Within a stream, and against what the model was taught before; unless it is allowed."""
    other = "class-0" if EDITS[2].target["en"] != "class-0" else "class-1"
    against = Edit("against", {"fr": EDITS[2].prompt["fr"]}, {"fr": other}, source="fr")
    before = edited.delta.tensors()
    with pytest.raises(ContradictionError, match=rf"{EDITS[2].id} wants.*against wants"):
        edited.edit([against])
    assert same_tensors(edited.delta.tensors(), before)
    edited.revert(EDITS[2].id)
    edited.edit([against])
    with pytest.raises(ContradictionError):
        edited.edit([EDITS[2]])
    edited.edit([EDITS[2]], rules=Rules(allow_contradictions=True))


# --- the history


def test_statuses_say_what_became_of_an_edit(edited, tmp_path):
    outcome = edited.outcomes[EDITS[0].id]
    statuses = {
        dataclasses.replace(outcome, triggered=False).status,
        dataclasses.replace(outcome, success=True).status,
        dataclasses.replace(outcome, success=False, reason="wrong").status,
        dataclasses.replace(outcome, success=False, reason="wrong", taken_back=True).status,
    }
    assert statuses == {"not needed", "taken", "failed", "taken back"}
    assert outcome.finished.endswith("+00:00")
    assert outcome.timeless() == dataclasses.replace(outcome, seconds=0.0, finished="")
    edited.revert(EDITS[1].id)
    read = read_artefact(edited.save_pretrained(tmp_path / "saved"))
    assert [record.status == "reverted" for record in read.records] == [False, True, False, False]
    assert [record.edit for record in read.records] == [record.edit for record in edited.records.values()]


def test_an_older_file_said_in_the_reason_that_an_edit_was_taken_back():
    older = {"triggered": True, "success": False, "source_correct": False, "languages": [], "patches": 0}
    outcome = outcome_from_plain("a", {**older, "reason": "still wrong in de (taken back)"})
    assert (outcome.status, outcome.reason) == (Status.TAKEN_BACK, "still wrong in de")
    assert outcome.failure == "still wrong in de (taken back)"
    kept = outcome_from_plain("a", {**older, "reason": "still wrong in de"})
    assert (kept.status, kept.failure) == (Status.FAILED, "still wrong in de")


def test_a_folder_brings_its_model_along(tmp_path):
    """from_pretrained with nothing but the folder loads the checkpoint that the edits name."""
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model, tokenizer = load_checkpoint(tmp_path / "base")
    made = edit(model, EDITS, tokenizer=tokenizer, recipe=PATCHER, memory=MEMORY, rules=Rules(keep_failed=True))
    wanted = made.probabilities(MEMORY)
    made.save_pretrained(tmp_path / "edits")
    loaded = EditedModel.from_pretrained(tmp_path / "edits")
    assert torch.equal(loaded.probabilities(MEMORY), wanted)
    loaded.unload()
    unnamed = read_artefact(tmp_path / "edits")
    write_artefact(tmp_path / "edits", dataclasses.replace(unnamed, config={**unnamed.config, "base_model": ""}))
    with pytest.raises(InputError, match="do not name their model"):
        EditedModel.from_pretrained(tmp_path / "edits")
