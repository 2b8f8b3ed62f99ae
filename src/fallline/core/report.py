"""What was chosen and why: numbers for dashboards after each step, and on request a report in plain data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .echo import Echo
from .error import OwnershipError
from .field import tensors_of
from .memory import Memory, nbytes
from .part import Chooser
from .plan import Chunk
from .rule import Rule

if TYPE_CHECKING:
    from .descent import Descent

Group = dict[str, Any]


def sentence(groups: list[Group], rules: list[Rule]) -> str:
    """The rules in words, one line for each that differs."""
    lines: dict[str, list[int]] = {}
    for i, rule in enumerate(rules):
        lines.setdefault(str(rule), []).append(i)
    return "\n".join(f"{'every group' if len(lines) == 1 else f'groups {at}'}: {words}" for words, at in lines.items())


def shown_momentum(group: Group) -> float:
    """The momentum that dashboards read: `betas[0]` of the Adam family, `momentum` of SGD."""
    return float(group["betas"][0] if "betas" in group else group["momentum"])


def show_choices(groups: list[Group], chunks: list[Chunk], echo: Echo) -> None:
    """Write the chosen momentum and effective learning rate into the groups; of per-parameter choices the medians."""
    for group in groups:
        choosing = [c for c in chunks if c.group is group and isinstance(c.rule.filter, Chooser)]
        if choosing:
            _check_owner(group)
            echo.tell(_summary(choosing), partial(_write, group))


def _summary(chunks: list[Chunk]) -> Tensor:
    """Momentum and gain of a group: where all its parameters share one choice that of the first, else the medians."""
    shared = not isinstance(chunks[0].rule.filter, Chooser) or chunks[0].rule.filter.scope == "global"
    seen = [(c, c.mem["filter"].first() if shared else c.mem["filter"]) for c in (chunks[:1] if shared else chunks)]
    beta = [x.reshape(()) for c, mem in seen for x in _numbers(c.rule.filter.momentum(mem), c.t)]
    gain = [x.reshape(()) for c, mem in seen for x in _numbers(c.rule.filter.gain(mem, c.t), c.t)]
    return torch.stack([torch.stack(beta).median(), torch.stack(gain).median()])


def _numbers(x: Any, like: Tensor) -> list[Tensor]:
    return tensors_of(x) if not isinstance(x, float) else [torch.full_like(like, x)]


def _write(group: Group, said: list[float]) -> None:
    momentum, gain = said
    group["chosen"] = momentum
    group["effective_lr"] = float(group["lr"]) * gain
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum


def _check_owner(group: Group) -> None:
    """A momentum that is not the one we wrote last has another owner, such as OneCycleLR with cycle_momentum."""
    ours, shown = group.get("chosen"), shown_momentum(group) if "betas" in group or "momentum" in group else None
    if ours is not None and shown is not None and shown != ours:
        raise OwnershipError(
            f"The momentum of this group is chosen from {group.get('candidates')}, last {ours}, but {shown} is there "
            "(OneCycleLR and CyclicLR do so). Pass cycle_momentum=False there, or one number as momentum here."
        )


def report(opt: Descent) -> dict[str, Any]:
    """Plain data: the sentence, counters, bytes, and for each group what was chosen, by how much, and how often."""
    rules = opt._rules()
    return {
        "optimizer": type(opt).__name__,
        "rule": sentence(opt.param_groups, rules),
        "step": max((int(entry["step"]) for entry in opt.state.values() if entry), default=0),
        "skipped": opt.param_groups[0]["skipped"],
        "state_bytes": nbytes(opt.state),
        "groups": [_group(opt, group, rule) for group, rule in zip(opt.param_groups, rules, strict=True)],
    }


def _group(opt: Descent, group: Group, rule: Rule) -> dict[str, Any]:
    lr, part = float(group["lr"]), rule.filter
    chunks = [c for c in opt._current_plan().chunks if c.group is group]
    told: dict[str, Any] = {"lr": lr, "momentum": 0.0, "effective_lr": lr}
    if chunks:
        beta, gain = _summary_of(chunks)
        told |= {"momentum": beta, "effective_lr": lr * gain}
    if isinstance(part, Chooser) and chunks:
        choice: Any = part
        told |= {"candidates": list(choice.momenta), "scope": part.scope}
        names = [n for n in part.decisions(torch.device("meta"))]
        first = opt.state[chunks[0].owners[0]]
        if part.scope == "global":
            told |= _explain(choice, {n: first[f"filter.{n}"] for n in names})
        else:
            told["parameters"] = _parameters(opt, group, choice, names)
    return told


def _summary_of(chunks: list[Chunk]) -> list[float]:
    return [float(x) for x in _summary(chunks)]


def _parameters(opt: Descent, group: Group, choice: Any, names: list[str]) -> dict[str, Any]:
    labels = group.get("param_names") or [str(i) for i in range(len(group["params"]))]
    states = [(label, opt.state[p]) for label, p in zip(labels, group["params"], strict=True) if opt.state.get(p)]
    return {label: _explain(choice, {n: entry[f"filter.{n}"] for n in names}) for label, entry in states}


def _explain(choice: Any, decided: dict[str, Tensor]) -> dict[str, Any]:
    """The choice of one scope in plain numbers: weights, and where pays are compared, by how much it was won."""
    weights = decided["weights"]
    told = {"weights": weights.tolist(), "momentum": float(choice.momentum(Memory({"weights": weights})))}
    if "pay" not in decided:
        return told
    pays = decided["pay"].tolist()
    first, second = sorted(range(len(pays)), key=lambda k: -pays[k])[:2]
    return told | {
        "pay": pays,
        "runner_up": choice.momenta[second],
        "margin": (pays[first] - pays[second]) / max(abs(pays[first]), 1e-300),
        "switches": int(decided["switches"]),
        "chosen": [int(n) for n in decided["wins"]],
    }
