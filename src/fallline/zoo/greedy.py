"""The paper's own optimizers: full bank, asymptotic power, decisions in the same step.

Lee & Lee, arXiv 2512.06370, as far as its README is public: score J_k = <g, u_k> sqrt((1 - b_k^2) / W) for Adam, and
J_k = <g, buf_k> sqrt(1 - mu_k^2) for SGD. Recommended banks there: (0.5, 0.9, 0.99) with one global choice; (0.5, 0.99)
for LoRA of vision transformers and (0.8, 0.99) for LoRA of language models, each parameter choosing for itself
(scope="parameter").
Its arguments whose meaning is not public (lr modulation, soft reset, reset mode) are not
offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.write import Write
from ..filters import Undamped
from ..selectors import Greedy
from .adam import Adam
from .choice import AUTO
from .sgd import SGD


def gap_sgd(
    params: Any,
    lr: float | Tensor = 0.1,
    momenta: Sequence[float] = AUTO,
    weight_decay: float = 0.0,
    *,
    scope: str = "global",
    smoothing: float = 0.0,
    hysteresis: int = 1,
    write: str | Write | None = None,
    state_dtype: torch.dtype = torch.float32,
) -> SGD:
    """SGD with the best-paying of K heavy balls, unscaled: from .5 to .99 the effective learning rate jumps 50-fold.

    >>> import torch
    >>> opt = gap_sgd([torch.nn.Parameter(torch.ones(2))])
    >>> opt.param_groups[0]["candidates"], opt.delay
    ((0.5, 0.9, 0.99), 0)
    """
    selector = Greedy(scope=scope, power="asymptotic", smoothing=smoothing, hysteresis=hysteresis)
    numbers: dict[str, Any] = {"weight_decay": weight_decay, "write": write, "state_dtype": state_dtype}
    return SGD(params, lr, momenta, bank="full", selector=selector, scale=Undamped(), **numbers)


def gap_adam(
    params: Any,
    lr: float | Tensor = 1e-3,
    betas: tuple[Sequence[float], float] = (AUTO, 0.999),
    weight_decay: float = 0.01,
    *,
    decoupled: bool = True,
    scope: str = "global",
    smoothing: float = 0.0,
    hysteresis: int = 1,
    write: str | Write | None = None,
    state_dtype: torch.dtype = torch.float32,
) -> Adam:
    """Adam(W) with the best-paying of K first moments.

    >>> import torch
    >>> opt = gap_adam([torch.nn.Parameter(torch.ones(2))], betas=((0.8, 0.99), 0.999), scope="parameter")
    >>> opt.choice.selector.scope
    'parameter'
    """
    selector = Greedy(scope=scope, power="asymptotic", smoothing=smoothing, hysteresis=hysteresis)
    decay: dict[str, Any] = {"weight_decay": weight_decay, "decoupled_weight_decay": decoupled}
    written: dict[str, Any] = {"write": write, "state_dtype": state_dtype}
    return Adam(params, lr, betas, bank="full", selector=selector, **decay, **written)
