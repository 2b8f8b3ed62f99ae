"""Network: what the modules of a network say about its parameters, and what can be guessed without them."""

from __future__ import annotations

from torch import Tensor, nn

from .role import Entry, Role, Roles


def roles(model: nn.Module) -> Roles:
    """The role of every parameter, from the modules that hold it."""
    owners = {id(p): module for module in model.modules() for p in module.parameters(recurse=False)}
    return Roles(Entry(name, p, *_role(p, owners[id(p)])) for name, p in model.named_parameters())


def _role(p: Tensor, owner: nn.Module) -> tuple[Role, str]:
    if isinstance(owner, nn.Embedding):
        return Role("embedding"), "weight of an Embedding"
    return guess("", p)


def guess(name: str, p: Tensor) -> tuple[Role, str]:
    """A role from a name and a shape alone."""
    kind = "other" if p.dim() < 2 or p.is_complex() else "hidden" if p.dim() == 2 else "conv"
    return Role(kind), f"it has {p.dim()} axes"
