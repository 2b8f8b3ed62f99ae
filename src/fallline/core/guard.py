"""Guard: what is looked at before anything moves."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .border import misfit, near
from .chunk import Chunk
from .echo import Echo, capturing
from .error import NonFiniteError
from .plan import Plan
from .rule import NEAREST, Rule
from .section import Section, check_together

POLICIES = ("skip", "raise", "ignore")
ELSEWHERE = "a parameter, in the part of it that another process holds,"
PATIENCE = 10  # skipped steps in a row after which something is broken, not unlucky


class Look(NamedTuple):
    """What one process sees of a step's gradients."""

    bad: Tensor  # 0 for every tensor whose gradient is finite, else NaN
    moved: Tensor | None  # where every learning rate is zero: whether any gradient is not
    chunks: list[Chunk]
    groups: list[dict[str, Any]]

    @property
    def flags(self) -> Tensor:
        """Whether something is not finite, and whether something is not zero, as numbers that can be summed."""
        bad = self.bad.sum() != 0
        return torch.stack([bad, torch.zeros_like(bad) if self.moved is None else self.moved]).double()

    def fit(self, flags: Tensor | None) -> Tensor:
        """Whether the step may move something, from one's own view or from that of all."""
        sound, moved = (self.bad.sum() == 0, self.moved) if flags is None else (flags[0] == 0, flags[1] != 0)
        return sound if self.moved is None or moved is None else sound & moved


class Guard:
    """Decides whether a step may move anything.

    A step moves nothing if a gradient is not finite, or if every gradient and every lr is exactly zero: distributed
    checkpoints take such a step to allocate state, and no counter may notice.
    """

    def __init__(self, policy: str) -> None:
        if policy not in POLICIES:
            raise ValueError(f"Invalid on_nonfinite: {policy!r}; choose one of {', '.join(map(repr, POLICIES))}.")
        self.policy = policy
        self.told = False
        self.unheard: Tensor | None = None  # on an accelerator: how many steps of replayed CUDA graphs were bad

    def refuse(self, sections: list[Section], groups: list[dict[str, Any]], name: str) -> None:
        """Raise for what the engine has no right answer for, before it makes a plan."""
        for section in sections:
            check_together(section, name)
            for p in section.live:
                if capturing(p.device):
                    raise RuntimeError(
                        "A CUDA graph can capture a step only after one was taken with the same parameters, gradients "
                        "and state. Take a few steps before torch.cuda.graph, and let p.grad stay."
                    )
                if p.grad is not None and p.grad.layout is not torch.strided:
                    raise RuntimeError(
                        f"{name} does not support sparse gradients; call .to_dense() or use torch.optim.SparseAdam."
                    )
                if why := misfit(section.rule, p) or _misshapen(p):
                    raise RuntimeError(f"{name} cannot move {_name(p, groups)}: {why}")

    @property
    def looks(self) -> bool:
        """Whether gradients are looked at before every step."""
        return self.policy != "ignore"

    def look(self, plan: Plan, groups: list[dict[str, Any]]) -> Look | None:
        """What is seen of this step's gradients here; None if nobody has to look."""
        rest, chunks = _at_rest(groups), plan.chunks
        if not (chunks or plan.others) or not (self.looks or rest):
            return None
        device = near(chunks[0].owners[0] if chunks else groups[0]["params"][0]).device
        said = [chunk.route.soundness().to(device) for chunk in chunks] if self.looks else []
        bad = torch.cat(said) if said else torch.zeros(1, dtype=torch.float64, device=device)
        return Look(bad, _stirred(chunks, device) if rest else None, chunks, groups)

    def judge(self, look: Look, flags: Tensor | None, echo: Echo) -> bool | Tensor:
        """True, False, or on an accelerator a 0-d bool tensor: the device knows and the host does not wait.

        flags: those of the look, summed over the processes that hold parts of the same parameters.
        """
        said = look.bad if flags is None else torch.cat([look.bad, flags[:1]])
        if self.looks and not (said.device.type != "cpu" and self._unheard(said)):
            echo.tell(said, lambda numbers: self._hear(numbers, look.chunks, look.groups))
        if self.looks and self.policy == "raise":
            echo.listen(wait=True)
        fit = look.fit(flags)
        return bool(fit) if said.device.type == "cpu" else fit

    def _unheard(self, said: Tensor) -> bool:
        """Whether a CUDA graph is captured: then the device itself counts bad steps, and nobody hears of them yet."""
        if not capturing(said.device):
            self.unheard = self.unheard if self.unheard is not None else torch.zeros_like(said[0], dtype=torch.long)
            return False
        if self.policy == "raise" or self.unheard is None:
            raise RuntimeError(
                "on_nonfinite='raise' asks the device in every step, which a CUDA graph cannot. Use 'skip' or 'ignore'."
            )
        self.unheard.add_(said.sum() != 0)
        return True

    def catch_up(self, groups: list[dict[str, Any]], echo: Echo) -> None:
        """Hear all that is under way, and count what CUDA graphs have skipped. Waits for the device."""
        echo.listen(wait=True)
        if self.unheard is not None:
            missed = int(self.unheard)
            self.unheard.zero_()
            for group in groups:
                group["skipped"] += missed

    def _hear(self, said: list[float], chunks: list[Chunk], groups: list[dict[str, Any]]) -> None:
        """said: 0 for every tensor whose gradient is finite here, NaN for the others; then how many processes err."""
        bad = sum(said) != 0
        for group in groups:
            group["skipped"] += bad
            group["skipped_in_a_row"] = group["skipped_in_a_row"] + 1 if bad else 0
        if bad:
            owners = [p for chunk in chunks for p in chunk.owners]
            names = (_name(p, groups) for p, x in zip(owners, said, strict=False) if x != 0)
            self._complain(next(names, ELSEWHERE), groups[0]["skipped_in_a_row"])

    def _complain(self, name: str, in_a_row: int) -> None:
        what = f"The gradient of {name} is not finite (inf or nan)"
        if self.policy == "raise":
            raise NonFiniteError(f"{what}. Nothing was changed. Look at the loss, or pass on_nonfinite='skip'.")
        if in_a_row >= PATIENCE:
            raise NonFiniteError(
                f"{what}, and {in_a_row} steps in a row were skipped. Everything is as after the last good step; "
                "lower the learning rate, look for a division by zero or a log of zero, or pass on_nonfinite='ignore'."
            )
        if not self.told:
            self.told = True
            warnings.warn(
                f"{what}; the step was skipped. Later ones are only counted (opt.report()['skipped']).",
                stacklevel=_depth(),
            )


def _misshapen(p: Tensor) -> str | None:
    """Why a gradient, or the weights themselves, are not what a step can work with."""
    if p.grad is not None and p.grad.shape != p.shape:
        return (
            f"its gradient has shape {tuple(p.grad.shape)}, but the weights have {tuple(p.shape)}: their data was "
            "replaced after backward. Call zero_grad and backward again."
        )
    if any(step == 0 and n > 1 for step, n in zip(p.stride(), p.shape, strict=True)):
        return (
            "its elements share memory (it is expanded) and cannot move on their own. Make the parameter of a "
            "tensor.clone()."
        )
    return None


def _depth() -> int:
    """How many calls lie between the caller and the code that called `step`, which is where a warning belongs."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("fallline", "torch"):
        depth, frame = depth + 1, frame.f_back
    return depth


def _stirred(chunks: list[Chunk], device: torch.device) -> Tensor:
    """Whether any gradient is not zero here."""
    found = [near(g).any().to(device) for chunk in chunks for g in chunk.gradients]
    return torch.stack(found).any() if found else torch.zeros((), dtype=torch.bool, device=device)


def _at_rest(groups: list[dict[str, Any]]) -> bool:
    """Whether every learning rate is exactly zero; one on an accelerator is not asked, as nobody zeroes it there."""
    rates = [group["lr"] for group in groups]
    return not any((isinstance(lr, Tensor) and lr.device.type != "cpu") or lr != 0 for lr in rates)


def idle(sections: list[Section]) -> bool:
    """Whether this is the empty step of distributed checkpoints, which have no closure and know no loss."""
    return _at_rest([s.group for s in sections]) and not any(bool(near(p.grad).any()) for s in sections for p in s.live)


def _name(p: Tensor, groups: list[dict[str, Any]]) -> str:
    for i, group in enumerate(groups):
        for j, other in enumerate(group["params"]):
            if other is p:
                return repr(group["param_names"][j]) if "param_names" in group else f"parameter {j} of group {i}"
    return "a parameter"


def check_lr(lr: Any) -> None:
    """Raise unless a learning rate is a number >= 0, or a tensor of one."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not isinstance(lr, (int, float, Tensor)) or not 0.0 <= lr:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_route(foreach: bool | None, fused: bool | None) -> None:
    """Raise where two routes are demanded at once."""
    if foreach and fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_write(sections: list[Section]) -> None:
    """Raise where a way to round was asked for, and no weight is rounded."""
    asked = [(section.rule, p) for section in sections for p in section.params if _asks(section.rule)]
    if asked and not any(rule.rounds(p) for rule, p in asked):
        rule, p = asked[0]
        raise ValueError(
            f"{rule.write} says how results are rounded into narrower weights, but the weights are {p.dtype} and the "
            "rule computes in that: nothing is rounded. Leave write out, or pass state_dtype=torch.float64."
        )


def _asks(rule: Rule) -> bool:
    return rule.write != NEAREST
