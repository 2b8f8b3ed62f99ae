"""SANIA: Polyak's target for Newton's model, in a metric that need not know the features' units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..combines import Decoupled
from ..core.part import Metric
from ..core.rule import Rule
from ..filters import Identity
from ..metrics import Euclid, SecondMoment, SquareMoment, SquareSum
from ..steps import QuadraticModel
from .walking import Walker, Walking

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SANIA(Walker):
    """Newton's step with a preconditioner B as curvature, shortened to where the model says that the loss is lb.

        n = <g, B^-1 g>,   theta <- theta - lr (1 - sqrt(1 - 2 (f - lb) / n)) B^-1 g,   the whole step if 2 (f - lb) > n

    preconditioner: "adam-sqr", "adagrad-sqr" (squares without a root: scaling a feature changes nothing but eps),
    "adam", "identity", or a metric. Wants a model that can fit every batch. `opt.step(closure)` or
    `opt.step(loss=loss)`. Reference: Abdukhakimov et al., arXiv 2312.17369; its code clamps B at .1 instead of eps.

    >>> import torch
    >>> opt = SANIA([torch.nn.Parameter(torch.ones(3))])
    >>> print(opt.sentence(opt.param_groups[0]).step)
    QuadraticModel(0.0)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        preconditioner: str | Metric = "adam-sqr",
        beta: float = 0.999,
        eps: float = 1e-8,
        lb: float = 0.0,
        weight_decay: float = 0.0,
        **how: Unpack[Walking],
    ) -> None:
        self.preconditioner = preconditioner
        super().__init__(params, lr, {"beta": beta, "eps": eps, "lb": lb, "weight_decay": weight_decay}, **how)

    def sentence(self, group: dict[str, Any]) -> Rule:
        """Gradient, B, the root."""
        decay = Decoupled(group["weight_decay"])
        return Rule(Identity(), self.metric(group), QuadraticModel(group["lb"]), decay, **self.precision(group))

    def metric(self, group: dict[str, Any]) -> Metric:
        """B."""
        beta, eps, word = group["beta"], group["eps"], self.preconditioner
        known: dict[Any, Metric] = {"adam-sqr": SquareMoment(beta, eps), "adagrad-sqr": SquareSum(eps)}
        known |= {"adam": SecondMoment(beta, eps), "identity": Euclid()}
        if isinstance(word, Metric):
            return word
        if word not in known:
            raise ValueError(f"Invalid preconditioner: {word!r}; choose one of {', '.join(known)}, or give a metric.")
        return known[word]
