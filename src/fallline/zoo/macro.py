"""MACRO: Muon on spheres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import FrobeniusSphere, ObliqueSphere, Retract, SolvedSphere, SpectralSphere, Sphere, Stiefel
from ..core.rule import Rule
from ..metrics import NewtonSchulz, Spectral
from ..metrics.polar import Polar
from .choice import Momentum
from .routed import REST, Engine, Group, Routed

if TYPE_CHECKING:
    from typing_extensions import Unpack

SPHERES: dict[str, Sphere] = {
    "frobenius": FrobeniusSphere(),
    "spectral": SpectralSphere(),
    "rows": ObliqueSphere(-1),
    "columns": ObliqueSphere(-2),
    "solved": SolvedSphere(),
}


class Macro(Routed):
    """Muon for hidden matrices that keep their first norm R; AdamW for the rest.

        m <- b m + (1 - b) g,   D = polar(tangent(m)),   W <- W - lr R D / norm(D),   W <- R W / norm(W)

    sphere: which norm, "frobenius", "spectral" (power iteration), "rows" or "columns" (oblique), or
    "solved": SSO, the spectral one with steps that are tangent, arXiv 2601.08393. lr: the relative step
    of matrices, and AdamW's. Decay would do nothing on a sphere; `weight_decay` is AdamW's. The polar factor of a
    tangent matrix is not quite tangent, which all but SSO accept. Reference: arXiv 2605.04418, from a digest: the order
    of normalisation and retraction was not read.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Macro(net, lr=0.01, sphere="spectral")
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        sphere: str | Sphere = "frobenius",
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        if isinstance(sphere, str) and sphere not in SPHERES:
            raise ValueError(f"Invalid sphere: {sphere!r}; choose one of {', '.join(map(repr, SPHERES))}.")
        self.sphere = SPHERES[sphere] if isinstance(sphere, str) else sphere
        self.metric = Spectral(polar or NewtonSchulz())
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, tangent, polar factor, retraction."""
        return self.rule_of(self.average(group), self.metric, group, combine=Retract(self.sphere))


class Spel(Routed):
    """Muon for hidden matrices with orthonormal columns (or rows, if wider); AdamW for the rest.

        m <- b m + (1 - b) g,    W <- polar(W - lr polar(m - W sym(W^T m)))

    The first step makes the weights orthonormal, whatever they were. lr: a spectral length, and AdamW's.
    `weight_decay` is AdamW's. Reference: SPEL, arXiv 2601.21487, from a digest; momentum as in Muon is our reading.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> opt = Spel(net, lr=0.01)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        momentum: Momentum = 0.95,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        polar: Polar | None = None,
        **engine: Unpack[Engine],
    ) -> None:
        self.metric = Spectral(polar or NewtonSchulz())
        numbers = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, lr, numbers | REST, **engine)

    def matrix(self, group: Group) -> Rule:
        """Average, tangent, polar factor, polar retraction."""
        return self.rule_of(self.average(group), self.metric, group, combine=Stiefel())
