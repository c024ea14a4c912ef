"""Which classifiers and language models of transformers can be edited, and how.

::

    python benchmarks/architectures.py --out FILE [--table docs/architectures.md] [--heads HEAD,…] [--only TYPE ...]

Every model type that transformers has a head for (`classifier`, `causal`, `seq2seq`, `masked`) is built from a small
configuration with random weights (nothing is downloaded), looked at by `polypatch.sites.FeedForwardSite`, and changed
at random: a classifier at the position that the answer reads, a language model at every position. The model's own
logits are held against those computed from the query by the formula that was found.

* ``exact``: they differ by at most 1e-5 of the largest logit, with the change and without, padded and not.
* ``exact path``: the layer was found, but not how to compute the answer from it alone: full forward passes.
* ``refused``: no layer was found, or the model cannot be built; with the reason.

Of a language model's rows the model is asked in passes with others and padding, and for each text alone. It also writes
under the change, token by token, which has to be what the rows say; and its first layer is looked at like its last.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from architectures_page import ASKED_AS, HEADS, NOT_LOWER, PADDED, TOLERANCE, Verdict, table
from architectures_written import short, written
from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy, Finish, Place
from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import first_tensor, with_first
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.network.model_kind import ModelKind
from polypatch.sites.rows import Queries
from polypatch.sites.site import FeedForwardSite
from polypatch.testing import tiny_model
from polypatch.testing.agreement import agreement
from polypatch.testing.tiny_config import model_types, tiny_config

MOVED = 1e-4
"""Least change of a logit that counts, in the same units."""

TEXTS = ((5, 0), (6, 5), (7, 3))
"""(seed of the text, padding on its right)."""


class Watch:
    """One pass of the model as it is served: what is seen at one position, and changed there."""

    def __init__(
        self, model: nn.Module, anatomy: Anatomy, place: int, change: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self.model, self.anatomy, self.place, self.change = model, anatomy, place, change
        self.seen: dict[str, Tensor] = {}
        self.calls = 0

    def run(self, batch: dict[str, Tensor]) -> Tensor:
        """The logits."""
        with self._hooked(), torch.no_grad():
            logits: Tensor = self.model(**batch).logits
        return logits

    def rest(self) -> Tensor | None:
        """The residual r, from what was seen."""
        if not self.anatomy.residual:
            return None
        scale, seen = self.anatomy.scale, self.seen
        if self.anatomy.finish is Finish.ADD_THEN_NORM:
            return seen["norm in"] - scale * seen["out"]
        return seen["h"] - scale * (seen["norm out"] if self.anatomy.finish is Finish.NORM_THEN_ADD else seen["out"])

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        hooks = [(self.anatomy.reader, "q", None), (self.anatomy.writer, None, "out"), (self.anatomy.layer, None, "h")]
        if self.anatomy.norm:
            hooks.append((self.anatomy.norm, "norm in", "norm out"))
        with ExitStack() as stack:
            for path, before, after in hooks:
                module = self.model.get_submodule(path)
                if before:
                    stack.callback(module.register_forward_pre_hook(self._before(before), with_kwargs=True).remove)
                if after:
                    stack.callback(module.register_forward_hook(self._after(after)).remove)
            yield

    def _before(self, name: str) -> Callable[..., None]:
        def look(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = first_tensor([*args, *kwargs.values()])
            assert given is not None
            self.seen[name] = _laid_out(given)[:, self.place].clone()

        return look

    def _after(self, name: str) -> Callable[..., Any]:
        def look(_: nn.Module, __: object, output: Any) -> Any:
            found = first_tensor(output)
            assert found is not None
            tensor = _laid_out(found)
            self.seen[name] = tensor[:, self.place].clone()
            if name != "out":
                return output
            self.calls += 1
            if self.calls < self.anatomy.calls:
                return output
            tensor = tensor.clone()
            tensor[:, self.place] = self.change(self.seen["q"], self.seen["out"])
            return with_first(output, tensor.reshape(found.shape))

        return look


def _laid_out(tensor: Tensor) -> Tensor:
    """[T, d] as [1, T, d]: the one text of the pass."""
    return tensor.unsqueeze(0) if tensor.dim() == 2 else tensor


def compared(model: nn.Module, anatomy: Anatomy, layer: EditedLayer | None) -> tuple[float, float]:
    """Largest difference between model and formula, and what the change moved, in units of the largest logit."""
    gap = moved = 0.0
    for seed, right in TEXTS:
        probe = probe_of(model, seed=seed)
        batch = probe.batch(torch.device("cpu"), right=right if probe.pad is not None else 0)
        place = len(probe.tokens) - 1 if anatomy.place is Place.LAST else 0
        base = Watch(model, anatomy, place, _no_change)
        unchanged = base.run(batch)
        change = _random_change(base.seen["q"].shape[-1], base.seen["out"].shape[-1], seed)
        edited = Watch(model, anatomy, place, change)
        changed = edited.run(batch)
        unit = max(1.0, float(changed.abs().max()))
        if not torch.equal(base.seen["q"], edited.seen["q"]):
            raise UnsupportedModelError("the input of the feed-forward layer depends on its output")
        moved = max(moved, float((changed - unchanged).abs().max()) / unit)
        if layer is not None:
            rows = Queries(base.seen["q"], base.rest())
            with torch.no_grad():
                out = layer.ffn(rows.q)
                ours = layer.logits(rows, out), layer.logits(rows, change(rows.q, out))
            gap = max(
                gap, *(float((a - b).abs().max()) / unit for a, b in zip(ours, (unchanged, changed), strict=True))
            )
    return gap, moved


def _no_change(q: Tensor, out: Tensor) -> Tensor:
    del q
    return out


def _random_change(width: int, written: int, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A neuron that fires: out + gelu(q·k/√d + 1) v."""
    generator = torch.Generator().manual_seed(seed)
    key, value = torch.randn(width, generator=generator), torch.randn(written, generator=generator)

    def change(q: Tensor, out: Tensor) -> Tensor:
        return out + nn.functional.gelu(q @ key / width**0.5 + 1).unsqueeze(-1) * value

    return change


def built(model_type: str) -> nn.Module:
    """A small model with random weights, those of norms too."""
    config = tiny_config(model_type)
    torch.manual_seed(0)
    model: nn.Module = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def verdict_of(model_type: str) -> Verdict:
    """Build, look, compare."""
    try:
        model = built(model_type)
    except Exception as error:  # what a configuration lacks, each model says in its own way
        return Verdict(model_type, "classifier", "refused", f"not built: {short(error)}")
    try:
        site = FeedForwardSite(model)
        anatomy, layer = site.anatomy, site.layer
        gap, moved = compared(model, anatomy, None if layer.why else layer)
    except Exception as error:
        return Verdict(model_type, "classifier", "refused", short(error))
    if not moved > MOVED:
        return Verdict(model_type, "classifier", "refused", f"a change of {anatomy.writer} moves no logit")
    if not layer.why and gap <= TOLERANCE:
        return Verdict(model_type, "classifier", "exact", described(anatomy))
    return Verdict(model_type, "classifier", "exact path", layer.why or f"logits differ by {gap:.1e}")


def verdict_of_writer(model_type: str, head: str) -> Verdict:
    """The same for a language model."""
    try:
        model, tokenizer = tiny_model(model_type, head)
    except Exception as error:
        return Verdict(model_type, head, "refused", f"not built: {short(error)}")
    try:
        site = FeedForwardSite(model)
        found = None if site.layer.why else agreement(site, tokenizer)
    except Exception as error:
        return Verdict(model_type, head, "refused", short(error))
    if found is not None and not found.moved > MOVED:
        return Verdict(model_type, head, "refused", f"a change of {site.anatomy.writer} moves no logit")
    if found is None or not found.gap <= TOLERANCE:
        return Verdict(model_type, head, "exact path", site.layer.why or f"logits differ by {found.gap:.1e}")
    padded = "" if found.alone <= TOLERANCE else f"{PADDED} {found.alone:.0e}"
    asked = "" if site.kind is ModelKind(head) else f"{ASKED_AS} {site.kind}"
    words = described(site.anatomy), lower_layer(model, tokenizer), padded, asked or written(site, tokenizer)
    return Verdict(model_type, head, "exact", "; ".join(word for word in words if word))


def lower_layer(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> str:
    """Whether the first layer is exact as well, or the first that has a feed-forward layer; empty where it is."""
    why = ""
    for number in range(4):
        try:
            site = FeedForwardSite(model, layer=number)
            found = agreement(site, tokenizer) if site.lower else None
        except Exception as error:
            why = why or f"{NOT_LOWER} {short(error)}"
            continue
        if found is None:  # the last one
            return why or f"{NOT_LOWER} the only layer"
        if found.gap <= TOLERANCE and found.moved > MOVED:
            return ""
        why = why or f"{NOT_LOWER} logits differ by {found.gap:.1e}"
    return why


def described(anatomy: Anatomy) -> str:
    """In one line."""
    scale = "" if anatomy.scale == 1 else f", s = {anatomy.scale:.4g}"
    shared = f", the last of {anatomy.calls} calls" if anatomy.calls > 1 else ""
    return f"{anatomy.writer}: {anatomy.finish.value}{scale}, {anatomy.place.value} token{shared}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON list")
    parser.add_argument("--table", type=Path, help="the same as a Markdown page")
    parser.add_argument("--heads", default=",".join(HEADS), help="which heads, with commas between them")
    parser.add_argument("--only", nargs="*", default=[], help="these model types")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    heads = args.heads.split(",")
    if unknown := [head for head in heads if head not in HEADS]:
        parser.error(f"--heads has {unknown[0]!r}; there are {', '.join(HEADS)}")
    verdicts = [
        verdict_of(one) if head == "classifier" else verdict_of_writer(one, head)
        for head in heads
        for one in sorted(model_types(head))
        if not args.only or one in args.only
    ]
    args.out.write_text(json.dumps([asdict(one) for one in verdicts], indent=1) + "\n")
    if args.table:
        args.table.write_text(table(verdicts))
    for head in heads:
        print(head, dict(Counter(one.verdict for one in verdicts if one.head == head)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
