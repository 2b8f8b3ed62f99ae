"""One optimizer on two routes: the one that it takes, and the readable one, and how near they stay to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fallline import Descent
from fallline.core.chunk import Readable
from kit import owned, readable, stream, walk, weights

SHAPES = ((), (7,), (300, 40), (2, 3, 4))
# rtol, atol; of bfloat16 two roundings of a weight, and one of what a small weight was some steps before
NEAR = {torch.float32: (1e-5, 1e-6), torch.float64: (1e-12, 1e-13), torch.bfloat16: (2.0**-7, 2.0**-12)}

Build = Callable[..., Descent]


def routes(opt: Descent) -> list[Any]:
    """How its chunks walk."""
    assert opt._plan is not None
    return [chunk.route for chunk in opt._plan.chunks]


def kinds(opt: Descent) -> set[type]:
    """The sorts of routes on which they do."""
    return {type(route) for route in routes(opt)}


def moving(opt: Descent) -> Any:
    """What moves the parameters of its only chunk."""
    (route,) = routes(opt)
    return route.passes[route.tail].run


def pair(build: Build, dtype: torch.dtype = torch.float32, shapes: Any = SHAPES) -> tuple[Descent, Descent]:
    """The optimizer on the route that it takes, and on the readable one."""
    return build(weights(shapes, dtype)), build(readable(weights(shapes, dtype)))


def assert_near(opt: Descent, other: Descent, dtype: torch.dtype = torch.float32) -> None:
    """Parameters, memory and choices agree; memory is at least float32 whatever the weights."""
    for p, q in zip(owned(opt), owned(other), strict=True):
        rtol, atol = NEAR[dtype]
        torch.testing.assert_close(p.detach(), q.detach(), rtol=rtol, atol=atol)
        assert opt.state[p].keys() == other.state[q].keys()
        rtol, atol = NEAR[torch.promote_types(dtype, torch.float32)]
        for key, x in opt.state[p].items():
            torch.testing.assert_close(x, other.state[q][key], rtol=rtol, atol=atol)
    for a, b in zip(opt.param_groups, other.param_groups, strict=True):
        for key in a.keys() & {"betas", "momentum", "chosen", "effective_lr"}:
            assert a[key] == pytest.approx(b[key], rel=max(rtol, 1e-9), nan_ok=True)


def agree(build: Build, steps: int = 12, dtype: torch.dtype = torch.float32, shapes: Any = SHAPES) -> Descent:
    """Walk both, and compare."""
    opt, other = pair(build, dtype, shapes)
    gradients = stream(owned(opt), steps)
    walk(opt, gradients)
    walk(other, gradients)
    assert kinds(other) == {Readable}
    assert_near(opt, other, dtype)
    return opt
