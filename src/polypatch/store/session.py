"""Session: edits that are on disk the moment they are made, in a journal beside the folder that they end up in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from polypatch.arguments import shortened
from polypatch.data.given import correction, edits_in
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError, JournalError
from polypatch.files import discard, sha256
from polypatch.model.correct import made_fix
from polypatch.model.fix import Fix
from polypatch.model.revert import revert
from polypatch.model.rules import Rules
from polypatch.model.state import State, transaction
from polypatch.model.stream import adopt, apply, recipe_for, rules_for
from polypatch.outcomes import EditOutcome, EditRecord
from polypatch.plain_recipes import recipe_to_plain
from polypatch.sites.encoding.fingerprint import configuration, tokenizer_fingerprint
from polypatch.sites.rows import flat
from polypatch.store.artefact import read_artefact
from polypatch.store.folder import changing
from polypatch.store.identity import Identity
from polypatch.store.journal import Entry, Journal, read_journal
from polypatch.store.load import AS_OPENED, artefact_of, loaded_delta, take_over
from polypatch.store.places import holds_edits, session_journal
from polypatch.store.unsaved import keep_surroundings
from polypatch.store.write import write_artefact


def taken_over(edited: State, journal: Journal, fold: int) -> list[EditOutcome]:
    """Take over the edits that a journal has, as if they had just been made; what became of each."""
    entries = journal.entries(fold)
    examples = [example for one in entries if one.record.edit for example in one.record.edit.examples]
    edited.tail.encode(flat(edited.ask(examples)).rows)  # in one pass
    for entry in entries:
        adopt(edited, entry.record, entry.tensors, entry.point)
    return [entry.record.outcome for entry in entries]


def recorded(edited: State, journal: Journal, fold: int, outcomes: Iterable[EditOutcome]) -> Iterator[EditOutcome]:
    """The outcomes of a stream of edits, each handed on once its edit is on disk."""
    patches, points, noted = edited.patches, len(edited.trajectory), False
    for outcome in outcomes:
        if not noted:
            keep_surroundings(journal, fold, artefact_of(edited))
            noted = True
        entry = Entry(
            edited.records[outcome.edit_id],
            edited.delta.since(patches) if outcome.status.changed else None,
            edited.trajectory[-1] if len(edited.trajectory) > points else None,
        )
        journal.add(fold, entry, replaces=edited.delta.replaces)
        patches, points = edited.patches, len(edited.trajectory)
        yield outcome


class Session:
    """Edits that a kill cannot lose.

    ::

        with pp.Session("my-edits", edited) as session:
            session.edit(edits)

    Inside the block every edit is in a journal beside the folder before the next begins. When the block ends well, the
    folder is written, and the journal goes. After an error, Ctrl-C, a kill or a power cut the next session on the
    folder takes over what the journal has, and goes on: edits that were made are not made again. Nobody else changes
    the folder meanwhile.

    Args:
        folder: of the edits, as `EditedModel.save_pretrained` writes it; made where it is not there.
        edited: the model. One without edits gets those of the folder.
        memory: how the memory is kept in the folder, as for `EditedModel.save_pretrained`.

    Raises:
        JournalError: another session is at work on the folder; or its journal belongs to other edits.
        InputError: the folder has other edits than the model.
        ArtefactError: the folder is broken, or belongs to another model.
    """

    def __init__(self, folder: str | Path, edited: State, *, memory: str | None = AS_OPENED) -> None:
        if not isinstance(edited, State):
            raise InputError(f"edited is {shortened(edited)}: attach(model, tokenizer=…, memory=…) makes one")
        self.folder, self.edited, self.memory = Path(folder), edited, memory
        self.place = session_journal(self.folder)
        self._held = ExitStack()

    def __enter__(self) -> Session:
        with ExitStack() as held:
            held.enter_context(changing(self.folder, JournalError, patience=0))
            if holds_edits(self.folder):
                take_over(self.edited, read_artefact(self.folder), self.folder)
            artefact_of(self.edited, self.memory)  # what cannot be saved is an error now
            self._open()
            taken_over(self.edited, self.journal, 0)
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._held:
            if kind is None:
                self._write()
            empty = not self.journal.entries(0)
            self.journal.close()
            if kind is None or empty:
                discard(self.place)

    def stream(self, edits: Iterable[Edit], *, rules: Rules | None = None) -> Iterator[EditOutcome]:
        """Make edits one by one, as `polypatch.edit_stream` does; those that were made already only say what became."""
        edited, todo = self.edited, []
        rules = rules_for(edited, rules)
        for edit in edits_in(edits):
            known = edited.records.get(edit.id)
            if known is not None and not known.reverted and _same(known.edit, _usable(edit, rules)):
                yield known.outcome
            else:
                todo.append(edit)
        if todo:
            made = apply(edited, todo, recipe_for(edited, None), rules)
            yield from recorded(edited, self.journal, 0, made)

    def edit(self, edits: Iterable[Edit], *, rules: Rules | None = None) -> list[EditOutcome]:
        """The same; what became of each."""
        return list(self.stream(edits, rules=rules))

    def fix(
        self,
        text: Text,
        label: str | Mapping[Lang, str],
        *,
        translations: Mapping[Lang, Text] | None = None,
        source: Lang = "en",
        id: str | None = None,  # noqa: A002
    ) -> Fix:
        """Correct one text; as `EditedModel.fix`, without its warnings."""
        return self.correct(correction(text, label, translations, source, id))

    def correct(self, edit: Edit) -> Fix:
        """The same for an edit."""
        return made_fix(self.edited, edit, self._made)

    def _made(self, edits: Sequence[Edit], rules: Rules) -> list[EditOutcome]:
        with transaction(self.edited):  # what cannot be put on disk is not in the model, either
            return self.edit(edits, rules=rules)

    def revert(self, edit_ids: str | Sequence[str]) -> None:
        """Take edits back, as `EditedModel.revert`; the folder is written at once."""
        revert(self.edited, [edit_ids] if isinstance(edit_ids, str) else list(dict.fromkeys(edit_ids)))
        self.save()

    def save(self) -> None:
        """Write the folder now; the journal begins anew."""
        self._write()
        self.journal.close()
        discard(self.place)
        self._open()

    def _write(self) -> None:
        with self.edited.site.reading():
            self.edited.site.require_same(thorough=True)
            artefact = artefact_of(self.edited, self.memory)
        write_artefact(self.folder, artefact, partial(loaded_delta, self.edited.site))

    def _open(self) -> None:
        identity = _identity(self.edited)
        try:
            self.journal = Journal(self.place, identity, resume=True)
        except JournalError:
            if not self._saved_already():
                raise
            discard(self.place)
            self.journal = Journal(self.place, identity)

    def _saved_already(self) -> bool:
        """Whether all that the journal has is in the folder: a kill came after it was written."""
        _, folds = read_journal(self.place, tensors=False)
        made = [entry.record for entry in folds.get(0, ())]
        return bool(made) and all(self.edited.records.get(one.outcome.edit_id) == one for one in made)


def _usable(edit: Edit, rules: Rules) -> Edit:
    return edit if rules.languages is None else edit.only(rules.languages)


def _same(one: Edit | None, other: Edit) -> bool:
    """Whether two edits ask for the same: the same answers to the same texts, however that is written down."""
    if one is None or one.source != other.source or (one.prompt, one.renderings) != (other.prompt, other.renderings):
        return False
    return all(one.target_in(lang) == other.target_in(lang) for lang in other.prompt)


def _identity(edited: State) -> Identity:
    """What the journal of a session belongs to: the model, how it is edited, and the edits it begins with."""
    tokens, encoder = edited.tail.encoder.tokens, edited.site.sentence_encoder
    return Identity(
        {
            "model": edited.fingerprint,
            "configuration": configuration(edited.site),
            "tokenizer": tokenizer_fingerprint(tokens.tokenizer),
            "longest input": tokens.max_length,
            **edited.readout.settings,
            **edited.readout.marks,
            **({} if encoder is None else {"sentence encoder": encoder}),
            "recipe": None if edited.recipe is None else recipe_to_plain(edited.recipe),
            "seed": edited.rules.seed,
            "edits before": _digest(edited.records.values()),
        }
    )


def _digest(records: Iterable[EditRecord]) -> str:
    rows = [(dataclasses.asdict(record.outcome), record.reverted) for record in records]
    return sha256(json.dumps(rows, sort_keys=True).encode())
