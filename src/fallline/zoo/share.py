"""Shares: how one learning rate is dealt out over the modules of a network (modular norm)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from torch import nn


def shares(
    model: nn.Module, masses: Mapping[str, float] | None = None, sensitivities: Mapping[str, float] | None = None
) -> dict[str, float]:
    """A factor on the learning rate for every parameter, by name: how far its module may move for the whole to move 1.

    Modula's rules. A module with parameters of its own has mass 1 and sensitivity 1. In an nn.Sequential masses add,
    sensitivities multiply, and a child's share is its mass over the sum, divided by the sensitivities of those behind
    it. Children of any other module count as side by side: masses add, sensitivities too. `masses` and `sensitivities`
    name modules as named_modules does and overrule both, of a whole subtree as well; parameters of one module share
    alike, since Modula knows modules of one weight only. For metrics of norm 1 such as FanRatio(Spectral()). Use it in
    groups, lr=lr * share, or as `Weighted(metric, 1 / share)`. Reference: Large et al., arXiv 2405.14813.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> shares(net, masses={"2": 3.0})
    {'0.weight': 0.25, '0.bias': 0.25, '2.weight': 0.75, '2.bias': 0.75}
    """
    asked = {*(masses or {}), *(sensitivities or {})}
    if unknown := asked - dict(model.named_modules()).keys():
        raise ValueError(f"No module is called {sorted(unknown)}; see model.named_modules().")
    return dict(_Node("", model, masses or {}, sensitivities or {}).dealt(1.0))


class _Node:
    """A module with what counts below it, and its mass and sensitivity in the whole."""

    def __init__(self, name: str, module: nn.Module, masses: Mapping[str, float], senses: Mapping[str, float]) -> None:
        self.own = [f"{name}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)]
        below = [_Node(f"{name}.{key}".lstrip("."), child, masses, senses) for key, child in module.named_children()]
        self.children = [node for node in below if node.mass or node.sense != 1.0]
        self.chain = isinstance(module, nn.Sequential)
        told: list[float] = [node.sense for node in self.children if node.mass or self.chain]
        sense = prod(told) if self.chain or not told else sum(told)
        mass = float(bool(self.own)) + sum(node.mass for node in self.children)
        self.mass: float = masses.get(name, mass)
        self.sense: float = senses.get(name, sense)

    def dealt(self, share: float) -> Iterator[tuple[str, float]]:
        """Every parameter's share of this module's share."""
        whole = float(bool(self.own)) + sum(node.mass for node in self.children)
        yield from ((key, share / whole) for key in self.own)
        for i, node in enumerate(self.children):
            behind = prod(other.sense for other in self.children[i + 1 :]) if self.chain else 1.0
            yield from node.dealt(share * node.mass / whole / behind)
