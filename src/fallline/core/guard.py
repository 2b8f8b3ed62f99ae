"""Guard: what is looked at before anything moves."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch
from torch import Tensor

from .chunk import Chunk
from .echo import Echo, capturing
from .error import NonFiniteError
from .plan import live

POLICIES = ("skip", "raise", "ignore")
PATIENCE = 10  # skipped steps in a row after which something is broken, not unlucky


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
        self.unheard: Tensor | None = None  # on an accelerator: bad steps of replayed CUDA graphs

    def refuse(self, groups: list[dict[str, Any]], name: str) -> None:
        """Raise for gradients that the engine has no right answer for."""
        for group in groups:
            for p in live(group):
                if p.grad is not None and p.grad.layout is not torch.strided:
                    raise RuntimeError(
                        f"{name} does not support sparse gradients; call .to_dense() or use torch.optim.SparseAdam."
                    )
                if hasattr(p, "to_local"):
                    raise RuntimeError(
                        f"{name} does not support sharded (DTensor) parameters yet; keep this model replicated (DDP)."
                    )

    def check(self, chunks: list[Chunk], groups: list[dict[str, Any]], echo: Echo) -> bool | Tensor:
        """True, False, or on an accelerator a 0-d bool tensor: the device knows and the host does not wait."""
        rest = _at_rest(groups)
        if not chunks or (self.policy == "ignore" and not rest):
            return bool(chunks)
        device = chunks[0].p[0].device
        heights = torch.cat([chunk.route.soundness().to(device) for chunk in chunks])
        finite = heights.isfinite() if self.policy != "ignore" else torch.ones_like(heights, dtype=torch.bool)
        fit = finite.all()
        if rest:
            fit = fit & torch.stack([g.any().to(device) for chunk in chunks for g in chunk.gradients()]).any()
        if device.type != "cpu" and self._unheard(device, finite):
            return fit
        echo.tell(
            torch.stack([finite.all().long(), finite.long().argmin()]), lambda said: self._hear(said, chunks, groups)
        )
        if self.policy == "raise":
            echo.listen(wait=True)
        return bool(fit) if device.type == "cpu" else fit

    def _unheard(self, device: torch.device, finite: Tensor) -> bool:
        """Whether a CUDA graph is captured: then the device counts bad steps itself, and nobody hears of them yet."""
        if not capturing(device):
            self.unheard = torch.zeros((), dtype=torch.long, device=device) if self.unheard is None else self.unheard
            return False
        if self.policy == "raise" or self.unheard is None:
            raise RuntimeError(
                "on_nonfinite='raise' asks the device in every step, which a CUDA graph cannot. Use 'skip' or 'ignore'."
            )
        self.unheard.add_(~finite.all())
        return True

    def catch_up(self, groups: list[dict[str, Any]]) -> None:
        """Count what CUDA graphs have skipped. Waits for the device."""
        missed = 0 if self.unheard is None else int(self.unheard)
        for group in groups if missed else ():
            group["skipped"] += missed
        if self.unheard is not None:
            self.unheard.zero_()

    def _hear(self, said: list[int], chunks: list[Chunk], groups: list[dict[str, Any]]) -> None:
        finite, index = said
        for group in groups:
            group["skipped"] += 1 - finite
            group["skipped_in_a_row"] = 0 if finite else group["skipped_in_a_row"] + 1
        if not finite:
            self._complain(
                _name([p for chunk in chunks for p in chunk.owners][index], groups), groups[0]["skipped_in_a_row"]
            )

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


def _depth() -> int:
    """How many calls lie between the caller and the code that called `step`, which is where a warning belongs."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("fallline", "torch"):
        depth, frame = depth + 1, frame.f_back
    return depth


def _at_rest(groups: list[dict[str, Any]]) -> bool:
    """Whether every learning rate is exactly zero; one on an accelerator is not asked, as nobody zeroes it there."""
    rates = [group["lr"] for group in groups]
    return not any((isinstance(lr, Tensor) and lr.device.type != "cpu") or lr != 0 for lr in rates)


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
