"""Wrapped: another optimizer's rules with another way into the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..combines import Anchor, Coupled, Decoupled, FixedNorm
from ..core.descent import Descent
from ..core.part import Combine
from ..core.role import role_of
from ..core.rule import Rule
from ..core.section import Section
from .routed import Routed

Group = dict[str, Any]


class Wrapped(Descent):
    """An optimizer that speaks the sentences of another, and ends them in its own way.

    base: an optimizer of ours, just built; it lends its groups and numbers, and is not stepped. Schedulers drive this
    one.
    """

    def __init__(self, base: Descent) -> None:
        if not isinstance(base, Descent) or isinstance(base, Wrapped):
            raise TypeError(f"{type(self).__name__} wraps an optimizer of Fallline, such as AdamW(...); got {base!r}.")
        self.base = base
        options: dict[str, Any] = {
            "delay": base.delay,
            "on_nonfinite": base.on_nonfinite,
            "chunk_bytes": base.chunk_bytes,
        }
        numbers = dict(base.defaults)
        lr = numbers.pop("lr")
        super().__init__(list(map(_named, base.param_groups)), lr=lr, defaults=numbers, **options)

    def prepare(self, group: Group) -> Group:
        """The base's own preparation."""
        return self.base.prepare(group)

    def sentence(self, group: Group) -> Rule:
        """The rule of the group's first section."""
        return self.sections(group)[0].rule

    def sections(self, group: Group) -> list[Section]:
        """The base's sections, whose rules end in another combine where they are to."""
        return [part for section in self.base.sections(group) for part in self.divide(section)]

    @abstractmethod
    def divide(self, section: Section) -> Iterator[Section]:
        """A section of the base's, or the parts into which it falls."""

    def ended(self, section: Section, combine: Combine, places: tuple[int, ...] | None) -> Section:
        """The rule of a section with this combine, for some of its parameters; decay beside the step is dropped."""
        given = section.rule.combine
        if not isinstance(given, Decoupled) and given != Coupled():
            raise TypeError(
                f"{type(self).__name__} needs a base that adds its steps to the weights, but {type(self.base).__name__}"
                f" ends in {given}. Take one with decoupled decay, such as AdamW, Lion or Muon."
            )
        return Section(section.group, replace(section.rule, combine=combine), places)


def _named(group: Group) -> Group:
    """A group as its names and parameters would have been given."""
    names = group.get("param_names")
    params = list(zip(names, group["params"], strict=True)) if names else list(group["params"])
    return {key: x for key, x in group.items() if key != "param_names"} | {"params": params}


class Soda(Wrapped):
    """Any additive optimizer, drawn back to its first weights by 1 / (n + 1) in step n, instead of weight decay.

        W_n = W_{n-1} + u_n + (W_0 - W_{n-1}) / (n + 1)

    The base's decay is dropped; the pull does not know the lr. State: a copy of the weights more.
    Reference: SODA, arXiv 2605.11172, as published code has it; its optimistic variants were not read.

    >>> import torch
    >>> from fallline import AdamW
    >>> opt = Soda(AdamW([torch.nn.Parameter(torch.ones(3))], lr=0.01))
    >>> print(opt.sentence(opt.param_groups[0]))
    EMA(0.9) → SecondMoment(0.999) → Constant() → Anchor()
    """

    def divide(self, section: Section) -> Iterator[Section]:
        """All of it."""
        yield self.ended(section, Anchor(), section.places)


class Hyperball(Wrapped):
    """Any additive optimizer whose matrices keep their first length: lr is their relative step.

        W <- R normalise(W - lr R normalise(u)),     R = norm(W_0)

    For hidden matrices where the base tells roles apart (Muon), else for everything with two axes or more; the rest
    moves as in the base. On matrices the base's decay is dropped. Reference: Hyperball, from published code.

    >>> import torch
    >>> from fallline import AdamW
    >>> w = torch.nn.Parameter(torch.eye(2))
    >>> opt = Hyperball(AdamW([w], lr=0.1)); w.sum().backward(); opt.step(); w.norm().item()
    1.4142135381698608
    """

    def divide(self, section: Section) -> Iterator[Section]:
        """Its matrices, and its other parameters."""
        group, params = section.group, section.group["params"]
        rows = range(len(params)) if section.places is None else section.places
        told = isinstance(self.base, Routed)
        on = tuple(i for i in rows if (role_of(group["roles"][i]).matrix if told else params[i].dim() > 1))
        off = tuple(i for i in rows if i not in set(on))
        if on:
            yield self.ended(section, FixedNorm(), on)
        if off:
            yield replace(section, places=off)
