"""Report: what was chosen and why, on request, in plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from .block import decided
from .chooser import Chooser
from .chunk import Chunk
from .dial import Dial, heard, shown_momentum, word_of_choice, word_of_momentum
from .evidence import evidence
from .memory import Memory, nbytes
from .rule import Rule
from .section import Section, leads, sentence

if TYPE_CHECKING:
    from .descent import Descent

Group = dict[str, Any]


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


def _found(opt: Descent, group: Group, chunks: list[Chunk]) -> list[dict[str, Any]]:
    """The numbers that steps and combines keep, for each rule of the group; where parameters differ, their span."""
    mine: dict[Rule, list[Chunk]] = {}
    for chunk in chunks:
        if chunk.group is group:
            mine.setdefault(chunk.rule, []).append(chunk)
    told = []
    for rule, members in mine.items():
        states = [opt.state[p] for chunk in members for p in chunk.owners]
        names = [key for key in rule.layout(members[0].p.dtype).numbers if key.partition(".")[0] in ("step", "combine")]
        numbers = {key: sorted({float(state[key]) for state in states if state[key].numel() == 1}) for key in names}
        spans = {key: x[0] if len(x) == 1 else [x[0], x[-1]] for key, x in numbers.items() if x}
        told += [{"rule": str(rule), "parameters": len(states), **spans}] if spans else []
    return told


def _group(opt: Descent, group: Group, rules: list[Rule], chunks: list[Chunk]) -> dict[str, Any]:
    """What the group's first choice was; under `rest`, what was chosen for those that are no matrices, if apart.

    Under `found`, the numbers of steps and combines.
    """
    found = _found(opt, group, chunks)
    return _chosen(opt, group, rules, chunks) | ({"found": found} if found else {})


def _chosen(opt: Descent, group: Group, rules: list[Rule], chunks: list[Chunk]) -> dict[str, Any]:
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
    _, gains = heard(chunk.rule, chunk.mem, chunk.clock.double())
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
