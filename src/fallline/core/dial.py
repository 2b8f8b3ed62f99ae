"""Dials: where groups show, after each step, the momentum that was chosen and the learning rate that came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from .chooser import Chooser
from .chunk import Chunk
from .echo import Echo, capturing
from .field import tensors_of
from .kernel.formula import Formula
from .kernel.record import Cut, Numbers
from .memory import Memory
from .part import Combine, Step
from .rule import Rule
from .section import Section, leads

Group = dict[str, Any]


def word_of_momentum(group: Group, rule: Rule | None = None) -> str | None:
    """Where dashboards read the momentum: `momentum` in SGD and Muon, first of `betas` in the Adam family.

    What are no matrices may have theirs in `rest_betas`.
    """
    own = () if rule is None or rule.matrix else ("rest_betas",)
    return next((word for word in (*own, "momentum", "betas") if word in group), None)


def word_of_choice(group: Group, word: str | None) -> str:
    """Where a group keeps what was chosen last, beside the word that shows it."""
    return "chosen" if word == word_of_momentum(group) else "rest_chosen"


def shown_momentum(group: Group, word: str | None = None) -> Any:
    """What dashboards read there; None where the group has no such word."""
    word = word or word_of_momentum(group)
    return None if word is None else group[word][0] if word.endswith("betas") else group[word]


def show_first(group: Group, sections: list[Section]) -> None:
    """What a group shows before its first step: the choice that everyone starts with."""
    for rule in reversed(leads(sections)):
        if isinstance(rule.filter, Chooser):
            momentum = rule.filter.momentum(Memory(rule.filter.decisions(torch.device("cpu"))))
            _write(group, word_of_momentum(group, rule), True, [float(momentum), float(group["lr"])])


class Dial:
    """Where a group shows the chosen momentum and effective learning rate; of per-parameter choices the medians."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks, self.group, part = chunks, chunks[0].group, chunks[0].rule.filter
        self.word, self.chooses = word_of_momentum(self.group, chunks[0].rule), isinstance(part, Chooser)
        self.shared = all(part.scope == "global" for part in chunks[0].rule.choosers.values())

    def show(self, echo: Echo) -> None:
        """Tell the host."""
        if not capturing(self.chunks[0].clock.device):
            echo.tell(self.numbers(), partial(_write, self.group, self.word, self.chooses))

    def numbers(self) -> Tensor:
        """Momentum and effective learning rate, [2]; where all share one choice the first parameter speaks for them."""
        rate = self.chunks[0].rate()
        if self.shared:
            return self.formula()[0]
        betas, gains = zip(*(heard(c.rule, c.mem, c.clock.double()) for c in self.chunks), strict=True)
        return torch.stack([_median(betas), _median(gains) * rate])

    @cached_property
    def formula(self) -> Formula:
        """Both numbers of the first parameter."""
        chunk = self.chunks[0]
        entries = {key: tensors_of(chunk.entry(key))[0] for key in chunk.layout.numbers if _shown(key)}
        return Formula(chunk.rule, self._body, {"clock": chunk.clock, "rate": chunk.rate(), **entries})

    def _body(self, given: Numbers, _: Cut) -> list[Tensor]:
        mem = {slot: Memory(dict(given)).within(slot) for slot in self.chunks[0].rule.parts}
        (beta,), (gain,) = heard(self.chunks[0].rule, mem, given["clock"].double())
        return [torch.stack([beta, gain * given["rate"]])]


def dials(chunks: list[Chunk]) -> list[Dial]:
    """One for each group that chooses, and word of its that shows a choice."""
    choosing: dict[Any, list[Chunk]] = {}
    for chunk in chunks:
        at = id(chunk.group), word_of_momentum(chunk.group, chunk.rule)
        found = choosing.setdefault(at, []) if _finds(chunk.rule) else []
        if not found or found[0].rule.filter == chunk.rule.filter:  # of several choices the first is shown
            found.append(chunk)
    return [Dial(found) for found in choosing.values()]


def _finds(rule: Rule) -> bool:
    """Whether it chooses a momentum, or a number that lr is multiplied by."""
    parts = (rule.step, Step), (rule.combine, Combine)
    return isinstance(rule.filter, Chooser) or any(type(part).scale is not kind.scale for part, kind in parts)


def show_choices(dials: list[Dial], echo: Echo) -> None:
    """Write what was chosen into the groups."""
    for dial in dials:
        dial.show(echo)


def refresh(chunks: list[Chunk], echo: Echo) -> None:
    """Write into the groups what replayed CUDA graphs chose: nobody heard of it. Waits for the device."""
    if echo.captured:
        show_choices(dials([chunk for chunk in chunks if chunk.clock > 0]), echo)
        echo.listen(wait=True)


def _median(x: Iterable[list[Tensor]]) -> Tensor:
    return torch.stack([each for some in x for each in some]).median()


def heard(rule: Rule, mem: dict[str, Memory], t: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Momenta, and what multiplies learning rates: gains, 1 where the metric takes a direction's length away, and the
    numbers that step and combine have found.
    """
    gain = rule.filter.gain(mem["filter"], t) if rule.metric.linear else torch.ones_like(t)
    gains = _numbers(gain, t)
    for found in (rule.step.scale(mem["step"]), rule.combine.scale(mem["combine"])):
        gains = _product(gains, [] if isinstance(found, float) else _numbers(found, t))
    return _numbers(rule.filter.momentum(mem["filter"]), t), gains


def _shown(key: str) -> bool:
    return key.partition(".")[0] in ("filter", "step", "combine")


def _product(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    """One number for each tensor, or one for all; nothing in b is a factor of 1."""
    long, short = (a, b or [torch.ones_like(a[0])]) if len(a) > len(b) else (b, a)
    return a if not b else [x * y for x, y in zip(long, short * (len(long) // len(short)), strict=True)]


def _numbers(x: Any, like: Tensor) -> list[Tensor]:
    return [each.reshape(()) for each in tensors_of(x)] if not isinstance(x, float) else [torch.full_like(like, x)]


def _write(group: Group, word: str | None, chooses: bool, said: list[float]) -> None:
    momentum, effective_lr = said
    if not math.isfinite(effective_lr):
        return  # the device took no step yet
    if not chooses:
        group["effective_lr"] = effective_lr
        return
    kept = word_of_choice(group, word)
    told: Group = {kept: momentum} | ({"effective_lr": effective_lr} if kept == "chosen" else {})
    if word:
        told[word] = (momentum, *group[word][1:]) if word.endswith("betas") else momentum
    group.update(told)  # all at once: were Ctrl-C to come in between, the momentum would look like another owner's
