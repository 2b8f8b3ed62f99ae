"""Small things that many tests share: weights, a gradient stream, optimizers of every kind, comparison by bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from fallline import SGD, AdamW, Cone, Descent, Greedy, Replay, Span, UnitPower
from fallline.core.loss import hears
from fallline.zoo.registry import REGISTRY

SHAPES = ((5, 4), (4,), (2, 3, 2), ())
BANK = ((0.5, 0.9, 0.99), 0.999)
QUICK = Greedy()  # switches whenever something else pays better

Gradients = list[list[Tensor]]
Build = Callable[[Any], Descent]

# Of the named optimizers one for each way through the engine (all of them: tests/zoo), and every way to choose.
NAMED = ["sgd", "nesterov", "adam", "adamw", "lion", "sgd-auto", "adamw-auto", "lion-auto", "gap-sgd", "gap-adam"]
OPTIMIZERS: dict[str, Build] = {
    **{name: REGISTRY[name].build for name in NAMED},
    "full": partial(AdamW, lr=0.01, betas=BANK, bank="full", selector=QUICK),
    "late": partial(AdamW, lr=0.01, betas=BANK, selector=QUICK, delay=1),
    "late-full": partial(SGD, lr=0.01, momentum=(0.5, 0.9), bank="full", selector=QUICK, delay=1),
    "each": partial(AdamW, lr=0.01, betas=BANK, selector=Greedy(scope="parameter")),
    "each-full": partial(SGD, lr=0.01, momentum="auto", nesterov=True, bank="full", selector=Greedy(scope="parameter")),
    "patient": partial(AdamW, lr=0.01, betas=BANK, selector=Greedy(score="held-out", smoothing=0.8, hysteresis=2)),
    "replay": partial(AdamW, lr=0.003, betas=BANK, selector=Replay((0, 2, 1)), scale=UnitPower()),
    "span": partial(AdamW, lr=0.003, betas=BANK, bank="full", selector=Span(smoothing=0.5), scale=UnitPower()),
    "cone": partial(AdamW, lr=0.003, betas=BANK, bank="full", selector=Cone(scope="parameter"), scale=UnitPower()),
}
CHOOSING = [
    name for name, build in OPTIMIZERS.items() if build([Parameter(torch.ones(2))]).param_groups[0]["candidates"]
]
FEW = ["sgd", "adamw", "lion-auto", "gap-sgd", "full", "late", "each", "cone"]  # where one of each sort is enough


def weights(
    shapes: Iterable[Sequence[int]] = SHAPES, dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[Parameter]:
    """Parameters of several shapes, the same for the same seed."""
    source = torch.Generator().manual_seed(seed)
    return [Parameter(torch.randn(shape, generator=source).to(dtype)) for shape in map(tuple, shapes)]


def readable(params: Iterable[Tensor]) -> list[dict[str, Any]]:
    """A group that walks on the readable route, for laws that hold to the last bit there, and nearly elsewhere."""
    return [{"params": list(params), "foreach": True}]


def twins(params: Iterable[Tensor]) -> list[Parameter]:
    """The same numbers in parameters of their own."""
    return [Parameter(p.detach().clone(), requires_grad=p.requires_grad) for p in params]


def stream(params: Iterable[Tensor], steps: int, seed: int = 1) -> Gradients:
    """Gradients that persist, then are noise, then alternate, four steps each: no momentum is the best for long."""
    source = torch.Generator().manual_seed(seed)
    shapes = [(p.shape, p.dtype) for p in params]
    drift = [torch.randn(shape, generator=source) for shape, _ in shapes]
    signal = [(1.0, 0.0, (-1.0) ** n)[n // 4 % 3] for n in range(steps)]
    return [
        [
            (s * d + 0.5 * torch.randn(d.shape, generator=source)).to(dtype)
            for d, (_, dtype) in zip(drift, shapes, strict=True)
        ]
        for s in signal
    ]


def owned(opt: torch.optim.Optimizer) -> list[Tensor]:
    """The optimizer's parameters in order."""
    return [p for group in opt.param_groups for p in group["params"]]


def feed(params: Iterable[Tensor], gradients: Iterable[Tensor | None]) -> None:
    """Set p.grad."""
    for p, g in zip(params, gradients, strict=True):
        p.grad = None if g is None else g.clone()


def told(opt: torch.optim.Optimizer) -> None:
    """One step with the gradients as they are; with a loss for rules that read it: half their squares."""
    if not (isinstance(opt, Descent) and hears(opt._sections())):
        opt.step()
        return
    squares = [p.grad.detach().abs().double().square().sum() for p in owned(opt) if p.grad is not None]
    opt.step(loss=torch.stack(squares).nan_to_num().sum() / 2)


def walk(opt: torch.optim.Optimizer, gradients: Gradients) -> None:
    """One step for each list of gradients."""
    for now in gradients:
        step(opt, now)


def step(opt: Any, now: Sequence[Tensor | None]) -> Any:
    """A step with these gradients; through a closure where several are needed, of a loss that grows along them."""
    if not isinstance(opt, Descent) or all(s.rule.combine.walks == 1 for s in opt._sections()):
        feed(owned(opt), now)
        return told(opt)
    calls = itertools.count()

    def closure() -> Any:
        other = 0.5 ** next(calls)  # the second gradient of a step is another one: half, and a bit of the weights
        params = owned(opt)
        pairs = [(p.detach(), g) for p, g in zip(params, now, strict=True)]
        feed(params, [None if g is None else other * g + (1 - other) * 0.1 * p for p, g in pairs])
        return sum((p.double() * g.double()).sum() for p, g in pairs if g is not None)

    return opt.step(closure)


def trained(name: str, steps: int = 7, dtype: torch.dtype = torch.float32) -> Descent:
    """An optimizer of the table that has walked the stream for some steps."""
    opt = OPTIMIZERS[name](weights(dtype=dtype))
    walk(opt, stream(owned(opt), steps))
    return opt


def snapshot(opt: torch.optim.Optimizer) -> dict[str, Any]:
    """Copies of everything that a step may change: parameters, state and the groups' numbers."""
    state = [{key: deepcopy(x) for key, x in opt.state.get(p, {}).items()} for p in owned(opt)]
    groups = [{key: deepcopy(x) for key, x in group.items() if key != "params"} for group in opt.param_groups]
    return {"params": [p.detach().clone() for p in owned(opt)], "state": state, "groups": groups}


def differences(a: Any, b: Any, at: str = "") -> list[str]:
    """Where two nested things differ in keys, type, dtype, shape or a single bit; empty if nowhere."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return [] if _bits(a) == _bits(b) else [f"{at}: {a} is not {b}"]
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [line for key in a for line in differences(a[key], b[key], f"{at}.{key}")]
    if isinstance(a, list | tuple) and type(a) is type(b) and len(a) == len(b):
        return [line for i, (x, y) in enumerate(zip(a, b, strict=True)) for line in differences(x, y, f"{at}.{i}")]
    return [] if type(a) is type(b) and a == b else [f"{at}: {a!r} is not {b!r}"]


def _bits(x: Tensor) -> tuple[Any, ...]:
    flat = x.detach().resolve_conj().clone(memory_format=torch.contiguous_format).reshape(-1)
    return x.dtype, tuple(x.shape), flat.view(torch.uint8).tolist() if flat.numel() else []
