"""1,200 damaged folders of edits: each loads exactly as it was saved, or is refused with a typed error.

*Forged* folders, whose checksums were computed anew, and those of format 1, which has none, may say something else than
what was saved: then what is loaded is what an independent, simpler reader (`artefact_oracle.py`) reads in them.
Whatever happens, nothing stays attached to the model.
"""

import copy
import dataclasses
import hashlib
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polypatch.api import edit
from polypatch.edited_model import EditedModel
from polypatch.editors import FineTuning, LoRA, TPatcher
from polypatch.errors import PolypatchError
from polypatch.model.guard import Guard
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES, Recipe
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

from .artefact_oracle import reading

CONFIG, TENSORS, PROVENANCE, REPORT, CARD = (
    "edit_config.json",
    "edits.safetensors",
    "provenance.jsonl",
    "report.json",
    "README.md",
)
MEMORY = "memory.jsonl.gz"
FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format-1"
MODERN, OLD = (
    ("patches", "others", "weights", "layer", "low-rank", "codebook", "nearest", "side", "blocks", "extra", "residual"),
    ("old patches", "old weights"),
)


class Loader:
    """Loads folders onto one model, and looks after every load that the model is as it was."""

    def __init__(self, scratch):
        self.model, self.tokenizer = tiny_model("bert")
        self.bits = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.scratch = scratch

    def load(self, folder):
        """What `artefact_oracle.reading` gives, from polypatch; None where it refuses."""
        try:
            edited = EditedModel.from_pretrained(folder, model=self.model, tokenizer=self.tokenizer)
            edited.unload()
        except PolypatchError:
            return None
        finally:
            self.assert_free()
        outcomes = {name: dataclasses.asdict(record.outcome) for name, record in edited.records.items()}
        for name, outcome in outcomes.items():
            assert outcome.pop("edit_id") == name
            outcome["languages"] = list(outcome["languages"])
        tensors = {n: (tuple(t.shape), t.numpy().tobytes()) for n, t in edited.delta.tensors().items()}
        return edited.rules.seed, edited.sampled_languages, tuple(edited.delta.owners), outcomes, tensors

    def assert_free(self):
        assert not hasattr(self.model, "_carries_polypatch_edits")
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in self.model.modules())
        state = self.model.state_dict()
        assert all(torch.equal(state[name], bits) for name, bits in self.bits.items())

    def verdict(self, files, wanted=...):
        """``loaded`` or ``refused`` of these files; `wanted` is what it must load as, by default what the files say."""
        folder = self.scratch / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        return self.judged(folder, reading(files) if wanted is ... else wanted)

    def judged(self, folder, wanted):
        found = self.load(folder)
        if found is None:
            return "refused"
        assert wanted is not None, f"loaded, and makes no sense: {found}"
        same(found, wanted)
        return "loaded"


def same(found, wanted):
    """Equal, where fields of outcomes that format 1 did not have are at their defaults and weights have no owners."""
    assert found[:2] == wanted[:2]
    assert found[2] in (wanted[2], ())
    assert found[3].keys() == wanted[3].keys()
    for name, outcome in wanted[3].items():
        assert {field: found[3][name][field] for field in outcome} == outcome
    assert found[4] == wanted[4]


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    return Loader(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def sound(loader):
    """Folders as {file: bytes}: patches, others, two and six matrices, an adapter, a codebook; those of format 1."""
    patcher = dataclasses.replace(RECIPES["mpn-all"], editor=TPatcher(max_steps=5, views=0))
    made = {}
    for name, recipe, seed in (
        ("patches", patcher, 5),
        ("others", patcher, 6),
        ("weights", Recipe(FineTuning(max_steps=3, views=0)), 5),
        ("layer", Recipe(FineTuning(max_steps=3, views=0, scope="layer")), 5),
        ("low-rank", Recipe(LoRA(max_steps=3, views=0, rank=2)), 5),
        ("codebook", RECIPES["grace-mpn"], 5),
        ("nearest", RECIPES["polypatch"], 5),
        ("side", RECIPES["wise"], 5),
        ("residual", RECIPES["memoir"], 5),
        ("extra", RECIPES["calinet"], 5),
        ("blocks", RECIPES["melo-mpn"], 5),
        ("texts", RECIPES["serac-mpn"], 5),
    ):
        guard = Guard(tiny_texts(5, seed=1), 100.0) if seed == 6 else None
        rules = Rules(seed=seed, keep_failed=True, guard=guard)
        ways = {"tokenizer": loader.tokenizer, "recipe": recipe, "memory": tiny_texts(9), "rules": rules}
        edited = edit(loader.model, tiny_edits(6), **ways)
        edited.unload()
        edited.report = [{"recipe": "original", "mlg": None}, {"recipe": name, "mlg": 12.5}]
        made[name] = contents(edited.save_pretrained(loader.scratch / name))
    return Folders(made | {f"old {kind}": contents(FORMAT_1 / kind) for kind in ("patches", "weights")})


class Folders(dict):
    """With a short name in the reports of failed examples."""

    def __repr__(self):
        return "folders"


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- ways to damage bytes -------------------------------------------------------------------------------------------


def flipped_bits(raw, rng):
    for _ in range(rng.choice([1, 1, 2, 8])):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)


def cut_short(raw, rng):
    del raw[rng.randrange(len(raw)) :]


def appended(raw, rng):
    raw += rng.choice([b"\n", b" ", b"\0", b"{}", b"\xff" * 9, rng.randbytes(100)])


def lost_range(raw, rng):
    start = rng.randrange(len(raw))
    del raw[start : start + rng.choice([1, 2, 20, 200])]


def repeated_range(raw, rng):
    start = rng.randrange(len(raw))
    raw[start:start] = raw[start : start + rng.choice([1, 2, 20, 200])]


def swapped_ranges(raw, rng):
    size = rng.choice([1, 4, 40])
    one, two = (rng.randrange(len(raw)) for _ in range(2))
    raw[one : one + size], raw[two : two + size] = raw[two : two + size], raw[one : one + size]


def zeroed(raw, rng):
    start = rng.randrange(len(raw))
    part = raw[start : start + rng.choice([1, 8, 512])]
    raw[start : start + len(part)] = bytes(len(part))


def new_digit(raw, rng):
    """A number in a text file becomes another."""
    digits = [i for i, byte in enumerate(raw) if 48 <= byte < 58]
    raw[rng.choice(digits)] = 48 + rng.randrange(10)


def new_token(raw, rng):
    start = rng.randrange(len(raw))
    raw[start:start] = rng.choice(TOKENS)


TOKENS = [
    *(b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\\ud800", b"\0", b"\r\n", b"\n", b"\xef\xbb\xbf", b"\xff"),
    *(b"\xe2\x80\xa8", b"NaN", b"-Infinity", b"1e999", b"true", b"9" * 5000, b"[" * 100_000, b'{"a":' * 2000),
]
IN_BYTES = (flipped_bits, cut_short, appended, lost_range, repeated_range, swapped_ranges, zeroed, new_token)


def damaged_bytes(sound, rng):
    """Any file of a folder with checksums; only the card, which is not read back, may change."""
    files = dict(sound[rng.choice(MODERN)])
    wanted, name, way = reading(files), rng.choice([*files, CONFIG, TENSORS, PROVENANCE]), rng.choice(IN_BYTES)
    raw = bytearray(files[name])
    way(raw, rng)
    files[name] = bytes(raw)
    return files, wanted


def damaged_old_bytes(sound, rng):
    """Configuration or provenance of format 1, whose tensors nothing protects."""
    files = dict(sound[rng.choice(OLD)])
    name = rng.choice([CONFIG, PROVENANCE])
    raw = bytearray(files[name])
    rng.choice([*IN_BYTES, new_digit, new_digit])(raw, rng)
    files[name] = bytes(raw)
    return files, ...


# --- ways to forge --------------------------------------------------------------------------------------------------


def sha(raw):
    return hashlib.sha256(raw).hexdigest()


def sealed(files, config=None, name=None, raw=None):
    """The files with another configuration, or with another file, and checksums that fit."""
    config = json.loads(files[CONFIG]) if config is None else dict(config)
    files = dict(files) if name is None else {**files, name: raw}
    if "checksums" in config and isinstance(config["checksums"], dict):
        config["checksums"] = {file: sha(files[file]) for file in config["checksums"] if file in files}
    if "checksum" in config:
        rest = {field: value for field, value in config.items() if field != "checksum"}
        config["checksum"] = sha(json.dumps(rest, sort_keys=True).encode())
    files[CONFIG] = json.dumps(config).encode()
    return files


WRONG = [
    *(None, True, False, 0, 1, 2, 3, -1, 7, 2**31, 2**63, 10**30, 0.0, 1.5, -0.5, 1e300, "", "\ud800", "a\0b"),
    *("ffn", "../../x", "/etc/passwd", "patches", "codebook", "relu", "layer", [], [[]], [1], ["en"], {}, {"a": 1}),
    *({"name": "TPatcher"}, {"name": []}, {"name": "os.system"}, {"retries": "x"}, {"retries": -1, "keep_failed": 3}),
]  # fmt: skip


def damaged_fields(plain, rng):
    """One or two values anywhere in plain data become others, swap, vanish or come in."""
    for _ in range(rng.choice([1, 1, 2])):
        one, two = rng.choice(places(plain)), rng.choice(places(plain))
        way = rng.randrange(5)
        if way <= 1:
            put(plain, one, copy.deepcopy(rng.choice(WRONG)))
        elif way == 2:
            first, second = got(plain, one), got(plain, two)
            if one[: len(two)] != two and two[: len(one)] != one:
                put(plain, one, second)
                put(plain, two, first)
        elif way == 3:
            inside = got(plain, one[:-1])
            del inside[one[-1]]
        else:
            inside = got(plain, one[:-1])
            if isinstance(inside, dict):
                inside[rng.choice(["x", "owners", "device", "__class__", "format_version"])] = rng.choice(WRONG)
            else:
                inside.append(copy.deepcopy(got(plain, one)))
        if not places(plain):
            return


def places(plain, prefix=()):
    """The path to every value inside."""
    inside = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [path for key, value in inside for path in ((*prefix, key), *places(value, (*prefix, key)))]


def got(plain, path):
    for key in path:
        plain = plain[key]
    return plain


def put(plain, path, value):
    got(plain, path[:-1])[path[-1]] = value


def unsealed_config(sound, rng):
    """Fields change and the checksum does not."""
    files = dict(sound[rng.choice(MODERN)])
    wanted, config = reading(files), json.loads(files[CONFIG])
    damaged_fields(config, rng)
    files[CONFIG] = json.dumps(config).encode()
    return files, wanted


def forged_config(sound, rng):
    files = dict(sound[rng.choice(MODERN + OLD)])
    config = json.loads(files[CONFIG])
    if rng.random() < 0.5:
        inside = {
            name: config[name] for name in ("settings", "max_length", "seed", "scope", "labels") if name in config
        }
        damaged_fields(inside, rng)
        config |= inside
    else:
        damaged_fields(config, rng)
    return sealed(files, config), ...


def forged_provenance(sound, rng):
    files = dict(sound[rng.choice(MODERN + OLD)])
    rows = [json.loads(line) for line in files[PROVENANCE].decode().split("\n") if line]
    way = rng.choice(PROVENANCE_WAYS)
    way(rows, rng)
    raw = rng.choice(["\n", "\n", "\r\n", "\n\n"]).join(json.dumps(row) for row in rows).encode()
    return sealed(files, name=PROVENANCE, raw=raw), ...


def rows_fields(rows, rng):
    damaged_fields(rows, rng)


def rows_neurons(rows, rng):
    lists = [row["neurons"] for row in rows if "neurons" in row]
    if not lists:
        return damaged_fields(rows, rng)
    change = rng.choice(
        [
            lambda n: n.append(
                rng.choice([0, 1, -1, len(rows), 2**31, 2**64, 10**30, True, False, 0.0, "0", None, [], {}])
            ),
            lambda n: n.extend(n or [0]),
            lambda n: n.clear(),
            lambda n: n.__setitem__(slice(None), [bool(i) for i in n]),
            lambda n: n.__setitem__(slice(None), [float(i) for i in n]),
            lambda n: n.__setitem__(slice(None), [-i for i in n]),
            lambda n: n.extend(range(1000)),
        ]
    )
    return change(rng.choice(lists))


def rows_renamed(rows, rng):
    row, name = (
        rng.choice(rows),
        rng.choice(["../../x", "/etc/passwd", "\u2028", "a\0b", "", "tiny-1", "\ud800", "x" * 5000]),
    )
    field = "id" if "id" in row else "edit_id"
    row[field] = name
    if rng.random() < 0.7 and isinstance(row.get("request"), dict):
        row["request"]["id"] = name


def rows_moved(rows, rng):
    one, two = rng.randrange(len(rows)), rng.randrange(len(rows))
    rng.choice([
        lambda: rows.__setitem__(slice(None), rows[::-1]),
        lambda: rows.insert(one, copy.deepcopy(rows[two])),
        lambda: rows.pop(one),
        lambda: rows.__setitem__(slice(None), []),
        lambda: rows.__setitem__(one, rng.choice(WRONG)),
        lambda: rows[one].update(request=None),
    ])()  # fmt: skip


PROVENANCE_WAYS = (rows_fields, rows_fields, rows_neurons, rows_neurons, rows_renamed, rows_moved)


def swapped_files(sound, rng):
    """A mixture of two folders: only what was saved together loads."""
    one, two = rng.sample(MODERN + OLD, 2)
    files = {name: sound[rng.choice([one, two])].get(name) for name in {**sound[one], **sound[two]}}
    files = {name: raw for name, raw in files.items() if raw is not None}
    its = [name for name in (one, two) if sound[name][CONFIG] == files[CONFIG]]
    return files, reading(sound[its[0]]) if its[0] in MODERN else ...


def lying_offsets(header, data, rng):
    lie = rng.choice([-4, -1, 1, 4, 128, 2**31, 2**63, 10**30, -(10**9)])
    rng.choice(list(header.values()))["data_offsets"][rng.randrange(2)] += lie


def overlapping(header, data, rng):
    one, two = rng.sample(sorted(header), 2)
    header[one]["data_offsets"] = list(header[two]["data_offsets"])


def exchanged(header, data, rng):
    one, two = rng.sample(sorted(header), 2)
    header[one], header[two] = header[two], header[one]


def lying_shape(header, data, rng):
    entry = rng.choice(list(header.values()))
    shape = entry["shape"]
    near = [shape[::-1], [*shape, 1], [1, *shape], [2 * size for size in shape[:1]] + shape[1:]]
    huge = [[2**40, 2**40], [0, 2**63], [2**64], [10**30], [1] * 70]
    entry["shape"] = rng.choice([*near, *huge, [], [0], [-1, 32], ["a"], [1.5], None, True])


def lying_dtype(header, data, rng):
    others = ["F64", "F16", "BF16", "I32", "U32", "BOOL", "F8_E4M3", "F4", "C64", "f32", "", None, 3, []]
    rng.choice(list(header.values()))["dtype"] = rng.choice(others)


def emptied(header, data, rng):
    rng.choice(list(header.values())).update(shape=[0, 32], data_offsets=[0, 0])


def renamed(header, data, rng):
    one, two = rng.sample(sorted(header), 2)
    header[rng.choice([two, "x", "../x", "", "keys\0", "\ud800", "__metadata__"])] = header.pop(one)


def other_numbers(header, data, rng):
    values = np.frombuffer(bytes(data), "<f4").copy()
    values[rng.randrange(len(values))] = rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e-42, -0.0])
    data[:] = values.tobytes()


def longer(header, data, rng):
    data += rng.randbytes(rng.choice([1, 4, 64]))


def shorter(header, data, rng):
    del data[-rng.choice([1, 4, 64]) :]


IN_TENSORS = (
    *(lying_offsets, lying_offsets, overlapping, exchanged, lying_shape, lying_shape, lying_dtype, emptied, renamed),
    *(other_numbers, other_numbers, longer, shorter),
)


def forged_tensors(sound, rng):
    """A file of tensors that lies, with checksums that fit."""
    files = dict(sound[rng.choice(MODERN)])
    raw = files[TENSORS]
    size = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + size]), bytearray(raw[8 + size :])
    del header["__metadata__"]
    twice = json.dumps(header)[:-1] + "," + json.dumps(header)[1:]
    rng.choice(IN_TENSORS)(header, data, rng)
    head = json.dumps(header)
    if rng.random() < 0.1:
        odd = ["", "{}", "[]", "null", "{", "[" * 50_000, '{"__metadata__":{"format":3}}', '{"keys":' * 200]
        head = rng.choice([*odd, twice])
    length = len(head.encode())
    if rng.random() < 0.1:
        length = rng.choice([0, 1, length + 1, length - 1, 2**31, 2**63, 2**64 - 1])
    return sealed(files, name=TENSORS, raw=length.to_bytes(8, "little") + head.encode() + bytes(data)), ...


KINDS = {
    damaged_bytes: 430,
    damaged_old_bytes: 150,
    unsealed_config: 60,
    forged_config: 180,
    forged_provenance: 160,
    forged_tensors: 140,
    swapped_files: 40,
}
SPECIAL = 40
"""Of the 1,200 damaged folders: those with something in place of a file."""


def test_sound_folders_load_as_the_second_reader_reads(loader, sound):
    """What the judge below holds to be right is right, and no checksum of a forger is."""
    for name in MODERN + OLD:
        assert loader.verdict(sound[name]) == "loaded"
        assert loader.verdict(sealed(sound[name])) == "loaded"
    assert loader.verdict({**sound["patches"], CARD: b"x"}) == "loaded"
    assert len(reading(sound["patches"])[2]) >= 2, "patches to mix up"


def test_damaged_folders_load_exactly_or_are_refused(loader, sound, figure):
    tally = Counter()
    for make, count in KINDS.items():
        for seed in range(count):
            files, wanted = make(sound, random.Random(f"{make.__name__} {seed}"))
            try:
                result = loader.verdict(files, wanted)
            except Exception as error:
                pytest.fail(f"{make.__name__} {seed}: {error!r}")
            tally[result] += 1
            tally[make.__name__, result] += 1
    total = sum(KINDS.values())
    assert tally["refused"] + tally["loaded"] == total == 1200 - SPECIAL
    assert all(tally[make.__name__, "refused"] for make in KINDS)
    assert not tally["unsealed_config", "loaded"] > KINDS[unsealed_config] / 10
    for make in (forged_config, forged_provenance, forged_tensors, damaged_old_bytes, damaged_bytes):
        assert tally[make.__name__, "loaded"], f"{make.__name__}: damage that is always seen tests little"
    figure(f"{total} damaged folders of edits: share refused with a typed error", tally["refused"] / total)
    figure(f"{total} damaged folders of edits: share loaded, as saved or as forged", tally["loaded"] / total)


# --- something else in the place of a file --------------------------------------------------------------------------


def link_to_copy(path):
    path.rename(path.with_name(f"{path.name}.real"))
    path.symlink_to(f"{path.name}.real")


def replaced_by(make):
    def change(path):
        path.unlink()
        make(path)

    return change


IN_PLACE = {
    "link to the very file": link_to_copy,
    "link to itself": replaced_by(lambda path: path.symlink_to(path.name)),
    "link to nothing": replaced_by(lambda path: path.symlink_to("gone")),
    "link to a secret": replaced_by(lambda path: path.symlink_to("/etc/passwd")),
    "link to endless zeros": replaced_by(lambda path: path.symlink_to("/dev/zero")),
    "pipe": replaced_by(os.mkfifo),
    "folder": replaced_by(Path.mkdir),
    "nothing": replaced_by(lambda path: None),
}


@pytest.mark.parametrize("change", IN_PLACE)
@pytest.mark.parametrize("name", [CONFIG, TENSORS, PROVENANCE, REPORT, CARD])
def test_what_is_not_a_plain_file_is_refused_and_never_waited_for(loader, sound, tmp_path, name, change):
    """A pipe would be waited for, a link would read something outside. The card is not read back."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for file, raw in sound["patches"].items():
        (folder / file).write_bytes(raw)
    IN_PLACE[change](folder / name)
    assert loader.judged(folder, reading(sound["patches"])) == ("loaded" if name == CARD else "refused")


assert len(IN_PLACE) * 5 == SPECIAL


def test_the_folder_itself_may_be_a_link(loader, sound, tmp_path):
    (tmp_path / "folder").mkdir()
    for file, raw in sound["weights"].items():
        (tmp_path / "folder" / file).write_bytes(raw)
    (tmp_path / "link").symlink_to("folder")
    assert loader.judged(tmp_path / "link", reading(sound["weights"])) == "loaded"


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch, lambda p: p.symlink_to(p.name), lambda p: None, Path.mkdir])
def test_no_folder_is_refused(loader, tmp_path, make):
    make(tmp_path / "folder")
    assert loader.load(tmp_path / "folder") is None
    assert loader.load(tmp_path / "folder" / "below") is None


# --- found by the tests here, and mended ------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", ["x", [], None, {"retries": "x"}, {"retries": True}, {"patience": 1}], ids=str)
@pytest.mark.parametrize("which", ["patches", "old patches"])
def test_rules_that_are_none(loader, sound, which, rules):
    config = json.loads(sound[which][CONFIG])
    config["settings"]["rules"] = rules
    assert loader.verdict(sealed(sound[which], config)) == "refused"


@pytest.mark.parametrize("length", [0, -1, 2**31, 2**64, 10**30])
def test_a_length_that_no_tokenizer_can_count_to(loader, sound, length):
    config = {**json.loads(sound["old weights"][CONFIG]), "max_length": length}
    assert loader.verdict(sealed(sound["old weights"], config)) == "refused"


WRONG_OUTCOMES = [
    *({"triggered": 1}, {"success": "yes"}, {"languages": "en"}, {"languages": [1]}, {"patches": True}, {"steps": 1.0}),
    *({"seconds": None}, {"seconds": True}, {"reason": None}, {"finished": 0}, {"locality_drop": "1"}),
]


@pytest.mark.parametrize("which", ["patches", "old patches"])
@pytest.mark.parametrize("change", WRONG_OUTCOMES, ids=str)
def test_an_outcome_of_the_wrong_type(loader, sound, which, change):
    rows = [json.loads(line) for line in sound[which][PROVENANCE].decode().split("\n") if line]
    rows[0].get("outcome", rows[0]).update(change)
    raw = "\n".join(map(json.dumps, rows)).encode()
    assert loader.verdict(sealed(sound[which], name=PROVENANCE, raw=raw)) == "refused"
    assert loader.verdict(sealed(sound[which], name=PROVENANCE, raw=raw.replace(b": 1,", b": 1e999,"))) == "refused"


# --- any JSON at all ------------------------------------------------------------------------------------------------

texts = st.text(max_size=5) | st.text(st.characters(), max_size=3)  # the second with halves of characters
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(WRONG)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
FIELDS = [
    *("format_version", "recipe", "seed", "sampled_languages", "delta", "scope", "site", "base_model", "hidden_size"),
    *("base_fingerprint", "max_length", "settings", "owners", "labels", "checksums", "checksum", "activation"),
    *("memory", "parallel", "data"),
]
ROWS = ["id", "edit_id", "neurons", "request", "outcome", "reverted", "languages", "seconds", "steps", "reason"]


@settings(max_examples=60)
@given(which=st.sampled_from(MODERN + OLD), name=st.sampled_from([CONFIG, PROVENANCE, REPORT, MEMORY]), value=values)
def test_any_json_in_place_of_a_file(loader, sound, which, name, value):
    raw = json.dumps(value).encode()
    if name == CONFIG:
        loader.verdict({**sound[which], CONFIG: raw})
    elif name in sound[which]:
        loader.verdict(sealed(sound[which], name=name, raw=raw))


@settings(max_examples=150)
@given(
    which=st.sampled_from(MODERN + OLD), change=st.dictionaries(st.sampled_from(FIELDS), values, min_size=1, max_size=2)
)
def test_any_json_in_any_field_of_the_configuration(loader, sound, which, change):
    loader.verdict(sealed(sound[which], {**json.loads(sound[which][CONFIG]), **change}))


@settings(max_examples=100)
@given(
    which=st.sampled_from(MODERN + OLD),
    part=st.sampled_from(["settings", "recipe", "editor", "sampler", "rules", "guard"]),
    change=st.dictionaries(
        st.sampled_from(["recipe", "rules", "exact", "name", "k", "max_steps", "scope"]), values, max_size=3
    ),
)
def test_any_json_in_the_settings(loader, sound, which, part, change):
    config = json.loads(sound[which][CONFIG])
    inside = config["settings"]
    for step in {"settings": (), "editor": ("recipe", "editor"), "sampler": ("recipe", "sampler")}.get(part, (part,)):
        inside = inside.setdefault(step, {})
    inside |= change
    loader.verdict(sealed(sound[which], config))


@settings(max_examples=150)
@given(
    which=st.sampled_from(MODERN + OLD),
    place=st.integers(0, 5),
    change=st.dictionaries(st.sampled_from(ROWS), values, min_size=1, max_size=2),
)
def test_any_json_in_any_field_of_the_provenance(loader, sound, which, place, change):
    rows = [json.loads(line) for line in sound[which][PROVENANCE].decode().split("\n") if line]
    row = rows[place % len(rows)]
    for name, value in change.items():
        outcome = row.get("outcome")
        inside = outcome if isinstance(outcome, dict) and name in outcome else row
        inside[name] = value
    loader.verdict(sealed(sound[which], name=PROVENANCE, raw="\n".join(map(json.dumps, rows)).encode()))
