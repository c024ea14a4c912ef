"""A model with stand-ins for some of its modules. The model itself is not touched, and the weights are its own.

What is new are shells: copies of the modules on the way to a stand-in, which share their parameters and buffers with
the model. Everything else in the shell is the model's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Forward = Callable[..., Any]

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def with_forwards(model: nn.Module, forwards: Mapping[str, Forward]) -> nn.Module:
    """The model with another `forward` in each of these places, as paths. A stand-in keeps its module's attributes."""
    shell = _shell(model)
    if "" in forwards:
        shell.__dict__["forward"] = forwards[""]
    inner: dict[str, dict[str, Forward]] = {}
    for path, forward in forwards.items():
        if path:
            first, _, rest = path.partition(".")
            inner.setdefault(first, {})[rest] = forward
    for name, below in inner.items():
        shell._modules[name] = with_forwards(model.get_submodule(name), below)
    return shell


def apart(module: nn.Module) -> nn.Module:
    """The module without its hooks, in which parameters can be swapped and nobody else sees it."""
    shell = _shell(module)
    shell.__dict__["_parameters"] = dict(module._parameters)
    for name, child in module._modules.items():
        shell._modules[name] = None if child is None else apart(child)
    return shell


def _shell(module: nn.Module) -> nn.Module:
    """A module with the same parameters, buffers and children, in eval mode, without hooks and not compiled."""
    shell: nn.Module = module.__class__.__new__(module.__class__)
    shell.__dict__.update(module.__dict__)
    # The dictionaries of parameters and buffers stay shared: what is replaced in the model is replaced here.
    shell.__dict__["_modules"] = dict(module._modules)
    shell.__dict__.update({name: OrderedDict() for name in _HOOKS}, training=False, _compiled_call_impl=None)
    shell.__dict__.pop("forward", None)
    return shell
