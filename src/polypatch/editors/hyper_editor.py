"""Editors with a trained net, which turns the gradients of an edit into rank-one terms of the layer's matrices.

What they share: where the net is, what it is given, and that its terms are the edit's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.cautions import caution
from polypatch.deltas import Delta, FactorBank
from polypatch.deltas.checked import require_tensors
from polypatch.deltas.factor_bank import WHOLE
from polypatch.editors.editor import Drawn, Fit, Lesson, Rate, expect
from polypatch.editors.gradients import Gradients, gradients_of
from polypatch.editors.group_mask import GroupMask
from polypatch.editors.memory import Memory
from polypatch.editors.net_folder import FACTS, TENSORS, SavedNet, read_net
from polypatch.errors import ArtefactError
from polypatch.settings import Settings
from polypatch.sites import FeedForwardSite, Tail
from polypatch.sites.encoding.fingerprint import model_fingerprint
from polypatch.sites.layers.linear_maps import LinearMap, linear_maps

UNTRAINED = "a step of the gradient, without a trained net; polypatch train-editor makes one"

EPSILON = 1e-7
"""Of a standard deviation."""

LEAST = 1e-2
"""Of a standard deviation, in units of the root of their mean square: what hardly moved in training may do so later."""


@dataclass(frozen=True, kw_only=True)
class HyperEditor(Settings):
    """The base of MEND, KE and MALMEN.

    Attributes:
        net: the folder that ``polypatch train-editor`` made; empty for a net as it is before training, which is a
            plain step of the gradient. With one, the settings below are the folder's.
        rate: ρ, the length of a step, before it was trained.
        masked: LiME's mask, by the group of a text.
    """

    net: str = ""
    rate: Rate = 1e-4
    masked: bool = False

    exact = False
    memory_copies = 0
    protects_right = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.net:  # the same in any working directory
            object.__setattr__(self, "net", str(Path(self.net).absolute()))

    def start(self, site: FeedForwardSite) -> FactorBank:
        """No terms.

        Raises:
            ArtefactError: there is no net in the folder, or one of another editor, model or layer.
        """
        if self.net:
            self.trained(site)
        else:
            caution(f"{type(self).__name__}: each edit is {UNTRAINED}, for net= or --net")
        return FactorBank(site, WHOLE)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """What the net makes of the first draw, in one step."""
        delta, drawn = expect(FactorBank, delta, self), Drawn(lesson)
        found, groups = by_text(delta, lesson, drawn(), tail)
        site = tail.site
        net = memory.train.once(f"net {self!r}", lambda: self.trained(site) if self.net else self.untrained(site))
        with torch.no_grad():
            delta.extend(lesson.owner, net(found, groups))
        return Fit(1, drawn.seen, "" if self.net else UNTRAINED)

    def untrained(self, site: FeedForwardSite, groups: Sequence[int] = (), seed: int = 0) -> HyperNet:
        """The net before training."""
        generator = torch.Generator().manual_seed(seed)
        net = self.made(list(linear_maps(site.layer).values()), site.hidden_size, generator)
        if self.masked:
            net.mask = GroupMask(groups, net.widths, generator)
        return net.to(site.device, site.dtype)

    def trained(self, site: FeedForwardSite) -> HyperNet:
        """The net in the folder; errors as for `start`."""
        folder = Path(self.net)
        saved = read_net(folder)
        saved.require(folder, type(self).__name__, fingerprint_of(site), site.layer_path)
        try:
            net = dataclasses.replace(self, **{**saved.settings, "net": ""}).untrained(site, saved.groups)
        except (TypeError, ValueError) as error:
            raise ArtefactError(f"{folder / FACTS}: settings that {saved.editor} cannot have ({error})") from error
        own = net.state_dict()
        try:
            require_tensors("the net needs", saved.tensors, {name: tuple(tensor.shape) for name, tensor in own.items()})
        except ArtefactError as error:
            raise ArtefactError(f"{folder / TENSORS}: {error}") from error
        net.load_state_dict({name: tensor.to(own[name]) for name, tensor in saved.tensors.items()})
        return net

    def saved(self, net: HyperNet, site: FeedForwardSite, training: Mapping[str, Any]) -> SavedNet:
        """A trained net, as it is written down."""
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "net"}
        groups = () if net.mask is None else tuple(net.mask.rows)
        tensors = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        kind, model = type(self).__name__, fingerprint_of(site)
        return SavedNet(kind, settings, groups, model, site.layer_path, training, tensors)

    def made(self, maps: Sequence[LinearMap], width: int, generator: torch.Generator) -> HyperNet:
        """The editor's own net, for these maps of a model so wide, in float32."""
        raise NotImplementedError


def fingerprint_of(site: FeedForwardSite) -> str:
    """Of the unedited model."""
    with site.bare():
        return model_fingerprint(site)


def by_text(delta: FactorBank, lesson: Lesson, picks: Sequence[int], tail: Tail) -> tuple[list[Gradients], list[int]]:
    """The gradients of each text of a draw, each a share of the mean over them; and the texts' groups."""
    firsts = [picks[i] for i in lesson.firsts(picks)]
    found = [
        gradients_of(delta, lesson, lesson.whole([first], picks), tail).scaled(1 / len(firsts)) for first in firsts
    ]
    return found, [lesson.groups[first] if lesson.groups else 0 for first in firsts]


class HyperNet(nn.Module):
    """From gradients to terms.

    Args:
        maps: of the layer.
        rate: ρ at first.

    Attributes:
        log_rates: ln ρ of each map. **Deviates:** the released rates have a sign, which has to be learned; here a step
            goes down the gradient from the start.
        mean, std: of ``[k; g]`` of each map, over the edits that the net is trained on: 0 and 1 before. **Deviates:**
            the released nets keep them running while they train.
        mask: of a text's group; None for none.
    """

    def __init__(self, maps: Sequence[LinearMap], rate: float) -> None:
        super().__init__()
        self.maps = {one.name: one for one in maps}
        self.widths = {one.name: one.given + one.out for one in maps}
        self.log_rates = nn.ParameterDict({name: torch.tensor(rate).log() for name in self.maps})
        self.mean, self.std = (
            _buffers({name: filled(width) for name, width in self.widths.items()})
            for filled in (torch.zeros, torch.ones)
        )
        self.mask: GroupMask | None = None

    def forward(self, found: Sequence[Gradients], groups: Sequence[int]) -> dict[str, tuple[Tensor, Tensor]]:
        """Terms l [n, out], r [n, given] by map, of texts that each have a group."""
        if self.mask is not None:
            found = [self.mask(one, group) for one, group in zip(found, groups, strict=True)]
        return {name: self.terms(name, found) for name in self.maps}

    def terms(self, name: str, found: Sequence[Gradients]) -> tuple[Tensor, Tensor]:
        """Those of one map."""
        raise NotImplementedError

    def standard(self, name: str, k: Tensor, g: Tensor) -> Tensor:
        """``([k; g] − mean) ÷ std``, [n, given + out]."""
        mean, std = self.mean.get_buffer(name), self.std.get_buffer(name)
        return (torch.cat([k, g], dim=1) - mean) / std

    def rate(self, name: str) -> Tensor:
        """ρ."""
        size: Tensor = self.log_rates[name].exp()
        return size

    @torch.no_grad()
    def start_at(self, rate: float) -> None:
        """Set every ρ."""
        for one in self.log_rates.values():
            one.fill_(rate).log_()

    @torch.no_grad()
    def measure(self, found: Sequence[Gradients]) -> None:
        """Take mean and std from these."""
        for name, one in self.maps.items():
            rows = torch.cat([torch.cat([part.given[name], part.gave[name]], dim=1) for part in found])
            std = rows.std(0, correction=0)
            for part in (std[: one.given], std[one.given :]):
                part.clamp_(min=LEAST * float(part.square().mean().sqrt()) + EPSILON)
            self.mean.get_buffer(name).copy_(rows.mean(0))
            self.std.get_buffer(name).copy_(std)


def _buffers(tensors: Mapping[str, Tensor]) -> nn.Module:
    holder = nn.Module()
    for name, tensor in tensors.items():
        holder.register_buffer(name, tensor)
    return holder


def joined(name: str, found: Sequence[Gradients]) -> tuple[Tensor, Tensor]:
    """K [n, given] and g [n, out] of one map, of all texts."""
    return torch.cat([one.given[name] for one in found]), torch.cat([one.gave[name] for one in found])
