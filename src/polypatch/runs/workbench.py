"""Workbench: one model with its data. Every text is encoded once, and all runs share that."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch._version import __version__
from polypatch.api import attach, folds, shuffled
from polypatch.data import EditingData, check_labels
from polypatch.data.memory import memory_of_data
from polypatch.data.record import record_from_edit
from polypatch.edited_model import EditedModel
from polypatch.editors.net_folder import checksum_of
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError
from polypatch.evaluation import Report, prompts, wrong_everywhere
from polypatch.files import sha256
from polypatch.model.encoding import Encoding
from polypatch.model.guard import Guard
from polypatch.model.rules import Rules, Watch
from polypatch.outcomes import EditOutcome
from polypatch.recipes import learns_from_parallel
from polypatch.runs.events import Encoded
from polypatch.runs.measured import measured
from polypatch.runs.nets import KeptNets
from polypatch.runs.run import Run
from polypatch.runs.source import made_in
from polypatch.runs.unencoded import Needed, Unencoded
from polypatch.runs.writable import writable
from polypatch.samplers import SourcePlusMapped
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.encoding.fingerprint import configuration, model_fingerprint, tokenizer_fingerprint
from polypatch.sites.encoding.sentences import sentences_of
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.sites.reads import Reads, encoder_in
from polypatch.sites.tails.best_tail import best_tail

OnOutcome = Callable[[EditOutcome, int, int], None]
"""Called after each edit as (outcome, edits done, edits in all)."""


class Workbench:
    """One model with its data; every text is encoded once and shared by all runs.

    Args:
        model: the classifier.
        tokenizer: its tokenizer.
        data: the stream of edits and the texts around it.
        cache_dir: keep the queries on disk, for the next process.
        half: keep them in half precision.
        encoding: told how many texts are encoded, as (done, in all).
        probes: held-out texts for a guard.
        readout: what the model is asked; None for the usual of its kind.

    Attributes:
        nets: of runs whose editors have a trained one.

    Raises:
        UnknownLabelError: a label of the data that the model has no class for.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        data: EditingData,
        *,
        cache_dir: Path | None = None,
        half: bool = False,
        encoding: Callable[[int, int], None] | None = None,
        probes: Sequence[Text] = (),
        readout: ReadoutSettings | None = None,
    ) -> None:
        self.model, self.tokenizer, self.probes = model, tokenizer, probes
        self._frozen = partial(
            FrozenTail, tokenizer=tokenizer, cache_dir=cache_dir, half=half, progress=encoding, readout=readout
        )
        self._full = partial(FullForward, tokenizer=tokenizer, readout=readout)
        self._tails: dict[tuple[int | None, Reads], FrozenTail | FullForward] = {}
        self.tail = self.tail_at(None)
        check_labels(data.edits, self.tail.readout.answers)
        self.given, self.data = data.edits, writable(data, self.tail.readout)
        self.nets = KeptNets(None, self.tail.site, self.data)
        self._parallel: dict[int, Mapping[Lang, Sequence[Text]]] = {}

    def tail_at(self, layer: int | None, reads: Reads = "query") -> FrozenTail | FullForward:
        """The tail of a layer, by its number (None for the last), and of what is read there."""
        if (layer, reads) not in self._tails:
            sentences = sentences_of(reads, self.tokenizer)
            site = FeedForwardSite(self.model, layer=layer, reads=reads, sentences=sentences)
            self._tails[layer, reads] = tail = best_tail(partial(self._frozen, site), partial(self._full, site))
            tail.memories = {}  # many runs have the same
        return self._tails[layer, reads]

    def encode(self, runs: Iterable[Run] = ()) -> Encoded:
        """Encode every text that these runs need, without any named all there are; says how much was not there yet."""
        return self.unencoded(runs).here()

    def unencoded(self, runs: Iterable[Run] = ()) -> Unencoded:
        """The same, not yet done: whoever is free may encode a shard."""
        started, runs = time.perf_counter(), list(runs)
        texts = list(dict.fromkeys(self.texts(runs)))
        asked = self.data.asked(self._edits(runs)) if self.tail.readout.answers is None else []  # in each run again
        usual: tuple[int | None, Reads] = (None, "query")
        needed = []
        for at in dict.fromkeys((recipe.layer, recipe.reads) for recipe in (run.built() for run in runs)) or [usual]:
            tail = self.tail_at(*at)
            parts = [*tail.readout.keep(texts), *tail.answer_rows(asked, UNCHANGED)]
            needed.append(Needed(*at, tail, [row for rows in parts for row in rows]))
        return Unencoded(len(texts), needed, started)

    def refresh(self) -> None:
        """Find the queries that other processes have put into the folder of queries since."""
        for tail in self._tails.values():
            tail.cache.refresh()

    def texts(self, runs: Sequence[Run] = ()) -> list[Text]:
        """Every text of the data that has a query; the edits and the parallel text as far as these runs need them."""
        data, texts = self.data, self.data.asked(self._edits(runs))
        texts += [text for memory in (data.memory, data.validation) for rows in memory.values() for text in rows]
        mapped = [corpus for run in runs if (corpus := self.parallel(run)) is not None]
        return texts + [text for corpus in mapped for column in corpus.values() for text in column]

    def _edits(self, runs: Sequence[Run]) -> Iterable[Edit]:
        """The edits of these runs; all, where none is named or which are a run's hangs on what the model says."""
        if not runs or any(run.wrong_in_all for run in runs):
            return self.data.edits
        return {edit.id: edit for run in runs for edit in self.stream(run)}.values()

    def stream(self, run: Run) -> list[Edit]:
        """The edits of a run, in its order."""
        edits = made_in(self.data.edits if run.order is None else shuffled(self.data.edits, run.order), run.sources)
        if run.wrong_in_all:
            texts, only, readout = prompts(edits, run.languages or None), run.languages or None, self.tail.readout
            said = dict(zip(texts, self.tail.predict(texts, UNCHANGED).answers, strict=True))
            edits = list(wrong_everywhere(edits, said, only, readout=readout if readout.answers is None else None))
        return edits[: run.limit]

    def run(self, run: Run, on_outcome: OnOutcome | None = None) -> list[Report]:
        """Do a run: one report per fold. The model is unedited again afterwards, also after an interruption."""
        stream = self.stream(run)
        parts = folds(stream, run.folds, run.seed) if run.folds > 1 else [stream]
        parts = parts if run.fold is None else [parts[run.fold]]
        reports, done = [], 0
        for part in parts:
            edited = self.attach(run)
            try:
                for outcome in edited.stream(part):
                    done += 1
                    if on_outcome is not None:
                        on_outcome(outcome, done, sum(map(len, parts)))
                if run.prune:
                    edited.prune()
                # A grid has hundreds of reports, and the same texts in each.
                reports.append(dataclasses.replace(self.report(edited, run, part), prompts=()))
            finally:
                edited.unload()
        return reports

    def attach(self, run: Run) -> EditedModel:
        """The model with no edit in it yet, and its memory."""
        recipe = self.nets.given(run)
        return attach(
            self.model,
            tokenizer=self.tokenizer,
            recipe=recipe,
            memory=memory_of_data(self.data, self.remembered(run), parallel=self.parallel(run)),
            rules=self.rules(run),
            encoding=Encoding(tail=self.tail_at(recipe.layer, recipe.reads)),
            name=run.name,
        )

    def remembered(self, run: Run) -> tuple[Lang, ...]:
        """The languages that a run has memory in."""
        source = self.data.edits[0].source if self.data.edits else "en"
        return run.memory_languages or ((source,) if self.data.memory else ())

    def identity(self, run: Run, parts: Sequence[Sequence[Edit]]) -> dict[str, Any]:
        """The facts that make a run of these parts this run and no other, for an `Identity`."""
        site, tokens = self.tail.site, self.tail.encoder.tokens
        texts = [self.data.memory_texts(run.memory_languages), self.probes]
        texts.append(self.data.validation_texts(run.memory_languages))
        return {
            "polypatch": __version__,
            "model": model_fingerprint(site),
            "configuration": configuration(site),
            "tokenizer": tokenizer_fingerprint(tokens.tokenizer),
            "longest input": tokens.max_length,
            **self.tail.readout.settings,
            **self.tail.readout.marks,
            **self._read_beside(run),
            **_trained(run),
            **dataclasses.asdict(run),  # one by one, so that what differs is named
            "edits": _digest([[record_from_edit(edit) for edit in part] for part in parts]),
            "memory and probe texts": _digest(texts),
            "parallel text": _digest(self.parallel(run)),
        }

    def _read_beside(self, run: Run) -> dict[str, Any]:
        """The fact of the identity that says which sentence encoder a run reads; none where it reads none."""
        recipe = run.built()
        encoder = self.tail_at(recipe.layer, recipe.reads).site.sentence_encoder if encoder_in(recipe.reads) else None
        return {} if encoder is None else {"sentence encoder": encoder}

    def parallel(self, run: Run) -> Mapping[Lang, Sequence[Text]] | None:
        """The parallel text that a run learns from; None where it has no use for any, or can do without.

        Raises:
            InputError: the data have none.
        """
        recipe = run.built()
        mapped = isinstance(recipe.sampler, SourcePlusMapped)
        if not learns_from_parallel(recipe) or not (mapped or self.data.parallel):
            return None
        if not self.data.parallel:
            raise InputError(f"{self.data.name}: {run.recipe} maps queries by parallel text, and the data have none")
        if run.parallel not in self._parallel:  # sliced once: maps are learned anew for another object
            self._parallel[run.parallel] = {k: texts[: run.parallel or None] for k, texts in self.data.parallel.items()}
        return self._parallel[run.parallel]

    def rules(self, run: Run) -> Rules:
        """How a run's edits are made and judged."""
        watched = {name: rows for name, rows in self.data.locality.items() if "." not in name}
        limit = run.max_locality_drop
        return Rules(
            retries=run.retries,
            keep_failed=run.keep_failed,
            guard=None if limit is None else Guard(self.probe(), limit),
            allow_contradictions=run.allow_contradictions,
            languages=run.languages or None,
            watch=Watch(every=run.trajectory_every, locality=watched) if run.trajectory_every else None,
            seed=run.seed,
        )

    def probe(self) -> list[Text]:
        """What a guard watches: the texts given as `probes`, or the data's validation texts in every language.

        Raises:
            InputError: there are neither.
        """
        texts = self.probes or self.data.validation_texts(tuple(self.data.validation))
        if not texts:
            raise InputError(f"{self.data.name}: max_locality_drop needs probe texts, and the data have none")
        return list(texts)

    def report(self, edited: EditedModel, run: Run, edits: Sequence[Edit]) -> Report:
        """The metrics of an edited model on its stream and on the locality sets."""
        config = {"run": dataclasses.asdict(run), "data": self.data.name, **edited.config, **self.nets.told(run)}
        return measured(edited, edits, self.data, config)


def _trained(run: Run) -> dict[str, str]:
    """The fact of the identity that says which trained net an editor has; ArtefactError where there is none."""
    net = getattr(run.built().editor, "net", "")
    return {"trained net": checksum_of(Path(net))} if net else {}


def _digest(plain: object) -> str:
    return sha256(json.dumps(plain, sort_keys=True).encode())
