"""Step sizes from dual norms over all layers: steepest descent in products of norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..core.chooser import Aim, Chooser
from ..core.field import Field
from ..core.memory import Memory, number
from ..core.part import Step


@final
@dataclass(frozen=True)
class DualNorm(Step, Chooser):
    """Steepest descent under the largest of the layers' norms: one step size for all, the sum of their dual norms.

        argmin_W  <G, W> + max_l N_l(W_l)^2 / (2 lr)   is   W_l = -lr (sum_k N_k'(G_k)) d_l(G_l)

    All layers with such a step on one device count, whatever their metrics, measured on the filter's output. A layer's
    weight in the maximum is `Weighted`. The step follows the gradient's scale, and so does decoupled decay. Costs every
    metric's dual norm, of `Spectral` all singular values. Memory: the sum, once. Units: lr is length^2 per unit of loss
    (one over the sharpness). With delay=1 the first step has size 0. Reference: Bernstein & Newhouse, arXiv 2409.20325;
    each layer's own norm instead: `OwnDual`.

    >>> print(DualNorm())
    DualNorm()
    """

    elementwise: ClassVar[bool] = False
    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    of_output: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`total`, the sum of the dual norms."""
        return {"total": number(0.0, device)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Each layer's dual norm."""
        return aim.dual()

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """total <- their sum."""
        mem.total.copy_(measured[..., 0])

    def scale(self, mem: Memory) -> Field | float:
        """total."""
        return mem.total


@final
@dataclass(frozen=True)
class LargestDual(Step, Chooser):
    """Steepest descent under the sum of the layers' norms: only the layer with the largest dual norm moves.

        argmin_W  <G, W> + (sum_l N_l(W_l))^2 / (2 lr)   is   W_l = -lr N_l'(G_l) d_l(G_l) for that l, 0 for all others

    All layers with such a step on one device compete, whatever their metrics, with N_l' of `Weighted` divided by its s.
    Memory: `won`, a layer's dual norm, or 0. Units and the filter's part as for `DualNorm`. Block selection by the
    largest gradient; 2510.09827 studies such products of norms, this rule is derived.

    >>> print(LargestDual())
    LargestDual()
    """

    elementwise: ClassVar[bool] = False
    scope: ClassVar[str] = "parameter"  # so that every layer's number arrives, not their sum
    measures: ClassVar[bool] = True
    across: ClassVar[bool] = True
    of_output: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        """`won`, for each layer."""
        return {"won": number(0.0, device)}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        """Each layer's dual norm."""
        return aim.dual()

    def decide(self, measured: Tensor, mem: Memory) -> None:
        """won <- the dual norm for the largest, 0 for all others; the first of several."""
        winner = torch.arange(len(measured), device=measured.device)[:, None] == measured.argmax()
        mem.won.copy_((measured * winner)[..., 0])

    def scale(self, mem: Memory) -> Field | float:
        """won."""
        return mem.won
