"""What was chosen and why: numbers for dashboards after each step, and on request a report in plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .block import decided
from .chooser import Chooser
from .chunk import Chunk
from .echo import Echo, capturing
from .evidence import evidence
from .field import tensors_of
from .kernel.formula import Formula
from .kernel.record import Cut, Numbers
from .memory import Memory, nbytes
from .rule import Rule
from .section import Section, leads, sentence

if TYPE_CHECKING:
    from .descent import Descent

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
            _write(group, word_of_momentum(group, rule), [float(momentum), float(group["lr"])])


class Dial:
    """Where a group shows the chosen momentum and effective learning rate; of per-parameter choices the medians."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks, self.group, part = chunks, chunks[0].group, chunks[0].rule.filter
        self.word = word_of_momentum(self.group, chunks[0].rule)
        self.shared = not isinstance(part, Chooser) or part.scope == "global"

    def show(self, echo: Echo) -> None:
        """Tell the host."""
        if not capturing(self.chunks[0].clock.device):
            echo.tell(self.numbers(), partial(_write, self.group, self.word))

    def numbers(self) -> Tensor:
        """Momentum and effective learning rate, [2]; where all share one choice the first parameter speaks for them."""
        rate = self.chunks[0].rate()
        if self.shared:
            return self.formula()[0]
        betas, gains = zip(*(_heard(c.rule, c.mem["filter"], c.clock.double()) for c in self.chunks), strict=True)
        return torch.stack([_median(betas), _median(gains) * rate])

    @cached_property
    def formula(self) -> Formula:
        """Both numbers of the first parameter."""
        chunk = self.chunks[0]
        entries = {key: tensors_of(chunk.entry(key))[0] for key in chunk.layout.numbers if key.startswith("filter.")}
        return Formula(chunk.rule, self._body, {"clock": chunk.clock, "rate": chunk.rate(), **entries})

    def _body(self, given: Numbers, _: Cut) -> list[Tensor]:
        mem = Memory({key.removeprefix("filter."): x for key, x in given.items()})
        (beta,), (gain,) = _heard(self.chunks[0].rule, mem, given["clock"].double())
        return [torch.stack([beta, gain * given["rate"]])]


def dials(chunks: list[Chunk]) -> list[Dial]:
    """One for each group that chooses, and word of its that shows a choice."""
    choosing: dict[Any, list[Chunk]] = {}
    for chunk in chunks:
        at = id(chunk.group), word_of_momentum(chunk.group, chunk.rule)
        found = choosing.setdefault(at, []) if isinstance(chunk.rule.filter, Chooser) else []
        if not found or found[0].rule.filter == chunk.rule.filter:  # of several choices the first is shown
            found.append(chunk)
    return [Dial(found) for found in choosing.values()]


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


def _heard(rule: Rule, mem: Memory, t: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Momenta and gains, which multiply learning rates: 1 where the metric takes a direction's length away."""
    gain = rule.filter.gain(mem, t) if rule.metric.linear else torch.ones_like(t)
    return _numbers(rule.filter.momentum(mem), t), _numbers(gain, t)


def _numbers(x: Any, like: Tensor) -> list[Tensor]:
    return [each.reshape(()) for each in tensors_of(x)] if not isinstance(x, float) else [torch.full_like(like, x)]


def _write(group: Group, word: str | None, said: list[float]) -> None:
    momentum, effective_lr = said
    if not math.isfinite(effective_lr):
        return  # the device took no step yet
    kept = word_of_choice(group, word)
    told: Group = {kept: momentum} | ({"effective_lr": effective_lr} if kept == "chosen" else {})
    if word:
        told[word] = (momentum, *group[word][1:]) if word.endswith("betas") else momentum
    group.update(told)  # all at once: were Ctrl-C to come in between, the momentum would look like another owner's


def report(opt: Descent, sections: list[Section], chunks: list[Chunk], walked: dict[int, str]) -> dict[str, Any]:
    """Plain data: the sentence, counters, bytes, and for each group what was chosen, by how much, and how often.

    chunks hold every trainable parameter, with a gradient or without. walked: how each group did in the last step.
    """
    states = [opt.state[p] for group in opt.param_groups for p in group["params"] if opt.state.get(p)]
    remembered = nbytes(states)
    return {
        "optimizer": type(opt).__name__,
        "rule": sentence(opt.param_groups, sections),
        "step": max((int(state["step"]) for state in states), default=0),
        "skipped": opt.param_groups[0]["skipped"],
        "state_bytes": sum(remembered.values()),
        "state_bytes_by_part": remembered,
        "groups": [
            _group(opt, group, leads(s for s in sections if s.group is group), chunks) | {"route": walked.get(i)}
            for i, group in enumerate(opt.param_groups)
        ],
    }


def _group(opt: Descent, group: Group, rules: list[Rule], chunks: list[Chunk]) -> dict[str, Any]:
    """What the group's first choice was; under `rest`, what was chosen for those that are no matrices, if apart."""
    told, *others = (_choice(opt, group, rule, chunks) for rule in rules)
    apart = {rule.filter for rule in rules}, {word_of_momentum(group, rule) for rule in rules}
    return told | ({"rest": others[0]} if all(len(kinds) > 1 for kinds in apart) else {})


def _choice(opt: Descent, group: Group, rule: Rule, chunks: list[Chunk]) -> dict[str, Any]:
    part = rule.filter
    chunks = [c for c in chunks if c.group is group and c.rule.filter == part]
    told = {"lr": float(group["lr"]), **_shown(group, rule, chunks)}
    if isinstance(part, Chooser) and chunks:
        choice: Any = part
        told |= {"candidates": list(choice.momenta), "scope": part.scope}
        names = list(decided(part))
        first = opt.state[chunks[0].owners[0]]
        if part.scope == "global":
            told |= _explain(choice, {n: first[f"filter.{n}"] for n in names})
        else:
            told["parameters"] = _parameters(opt, group, choice, names, chunks)
    return told


def _shown(group: Group, rule: Rule, chunks: list[Chunk]) -> dict[str, Any]:
    """Momentum and effective learning rate of the last step."""
    word = word_of_momentum(group, rule) if isinstance(rule.filter, Chooser) else None
    kept = word_of_choice(group, word) if word else "chosen"
    if kept in group and kept == "chosen":
        return {"momentum": group["chosen"], "effective_lr": group["effective_lr"]}
    walked = [c for c in chunks if c.clock > 0]
    effective_lr = Dial(walked).numbers()[1] if walked else group["lr"]
    shown = shown_momentum(group, word)
    momentum = rule.filter.momentum(Memory({})) if shown is None else shown
    return {"momentum": float(momentum), "effective_lr": float(effective_lr)}


def _parameters(opt: Descent, group: Group, choice: Any, names: list[str], chunks: list[Chunk]) -> dict[str, Any]:
    labels = group.get("param_names") or [str(i) for i in range(len(group["params"]))]
    chosen = {p for c in chunks for p in c.owners}
    gains = {p: x for c in chunks if c.clock > 0 for p, x in zip(c.owners, _each_gain(c), strict=True)}
    return {
        label: {
            "effective_lr": float(group["lr"] * gains.get(p, 1.0)),
            **_explain(choice, {n: opt.state[p][f"filter.{n}"] for n in names}),
        }
        for label, p in zip(labels, group["params"], strict=True)
        if p in chosen
    }


def _each_gain(chunk: Chunk) -> list[Tensor]:
    _, gains = _heard(chunk.rule, chunk.mem["filter"], chunk.clock.double())
    return gains if len(gains) == len(chunk.owners) else gains * len(chunk.owners)


def _explain(choice: Any, decided: dict[str, Tensor]) -> dict[str, Any]:
    """The choice of one scope in plain numbers: weights, pays, and where one candidate wins, by how much it leads.

    The margin is that of the choice over the best of the others: below zero, hysteresis holds it against a leader.
    """
    weights = decided["weights"]
    told: dict[str, Any] = {
        "weights": weights.tolist(),
        "momentum": float(choice.momentum(Memory({"weights": weights}))),
    }
    if "pay" not in decided:
        return told
    pays = decided["pay"].tolist()
    told |= {"pay": pays, "samples": int(decided["steps"])}
    if "wins" not in decided:
        return told
    chosen = int(decided["choice"])
    runner_up = max((k for k in range(len(pays)) if k != chosen), key=lambda k: pays[k])
    margin = (pays[chosen] - pays[runner_up]) / max(*map(abs, pays), 1e-300)
    wins = [int(n) for n in decided["wins"]]
    rule = getattr(choice, "selector", None)
    habits = getattr(rule, "smoothing", 0.0), getattr(rule, "hysteresis", 1)
    return told | {
        "runner_up": choice.momenta[runner_up],
        "margin": margin,
        "evidence": evidence(chosen, wins, told["samples"], margin, *habits),
        "lead": int(decided["lead"]),
        "switches": int(decided["switches"]),
        "chosen": wins,
    }
