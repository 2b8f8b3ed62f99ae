"""What the estimates of a stream should say, in closed form: sums over its autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.oracle import oracle
from benchmarks.stream import LR, TRIED, WEIGHTS, Stream
from fallline.listen import Estimate, Reading
from fallline.listen.column import BETAS
from fallline.listen.pay import GRID
from fallline.listen.signal import peak
from fallline.theory import noisy

FAR = 2000  # lags of a stream, at least of those that are not almost constant
FLAT = 0.01  # pay of noise alone, as simulated
Read = Callable[[Reading], Estimate | None]
TRIED_BETAS = torch.tensor(BETAS, dtype=torch.float64)


def truth(stream: Stream, steps: int, window: int) -> dict[str, float]:
    """Of each estimate in READ, nan where there is none."""
    told, ratio = oracle(stream, steps, window), float(stream.scales.mean())  # of mean and root mean square
    return {
        **closed(stream, window),
        **_linear("diagonal", _longer(told.r, stream.rho), told.head),
        **_pays("sign", TRIED_BETAS, told.same, told.held),
        "family euclid": earlier(stream, window),
        "family diagonal": told.diagonal * ratio,
        "family sign": told.sign * ratio,
        "update": LR * math.sqrt(buffer(stream)) / WEIGHTS,
    }


def closed(stream: Stream, window: int) -> dict[str, float]:
    """What no simulation is needed for: powers, lags, and pay without a metric."""
    a, b, rho, n = stream.a, stream.b, stream.rho, stream.numel
    return {
        "power": n * (a + b),
        "signal": n * b,
        "noise": n * a,
        "noise scale": a / b if b else math.inf,
        "lag 1": b * rho / (a + b),
        "lag 8": b * rho**8 / (a + b),
        "last lag": b * rho**window / (a + b),
        "persistence": rho if b else math.nan,
        **_linear("Euclid", noisy(a, b, rho, FAR), b),
    }


def _longer(r: Tensor, rho: float) -> Tensor:
    """Lags that nobody heard: as the last one goes on."""
    return torch.cat([r, r[-1] * rho ** torch.arange(1, FAR - len(r)).double()])


def _linear(metric: str, r: Tensor, head: float) -> dict[str, float]:
    """Of a metric in which directions are linear in gradients, from its autocorrelation."""
    k = torch.arange(len(r)).double()
    same = (1 - GRID.square()).sqrt() * (GRID[:, None] ** k @ r)
    clean = same + (1 - GRID.square()).sqrt() * (head - r[0])
    return _pays(metric, GRID, same / r[0], clean / r[0] if head else torch.zeros_like(same))


def _pays(metric: str, betas: Tensor, same: Tensor, clean: Tensor) -> dict[str, float]:
    """Of curves of pay; nan where there is nothing to choose."""
    depth, now, found = -(1 - betas).log10(), int((betas - TRIED).abs().argmin()), {}
    for name, y in (("", same), (", clean", clean)):
        flat = float(y.abs().max()) < FLAT
        gain = math.inf if y[now] <= 0 else float(y.max() / y[now]) - 1
        found[f"{metric}, {name[2:]} pay at .9".replace(",  ", ", ")] = float(y[now])
        found[f"{metric}, best momentum{name}"] = math.nan if flat else float(1 - 10 ** -peak(depth, y))
        found[f"{metric}, margin{name}"] = math.nan if flat else gain
    return found


def earlier(stream: Stream, window: int) -> float:
    """Correlation of g_n and sum_{1 <= j <= window} TRIED^j g_{n-j}."""
    r, j = noisy(stream.a, stream.b, stream.rho, window + 1), torch.arange(1, window + 1)
    q = TRIED ** j.double()
    return float(q @ r[j] / (r[0] * (q @ r[(j - j[:, None]).abs()] @ q)).sqrt())


def buffer(stream: Stream) -> float:
    """Mean square of a coordinate of the momentum buffer."""
    j = torch.arange(400)
    q = TRIED ** j.double()
    return float(q @ noisy(stream.a, stream.b, stream.rho, 400)[(j - j[:, None]).abs()] @ q)


def _read(metric: str) -> dict[str, Read]:
    name = metric.lower()
    nine = int((GRID - TRIED).abs().argmin()) if name != "sign" else BETAS.index(TRIED)
    return {
        f"{metric}, pay at .9": lambda x: x.pay[name].same[nine],
        f"{metric}, clean pay at .9": lambda x: x.pay[name].clean[nine],
        f"{metric}, best momentum": lambda x: x.pay[name].best,
        f"{metric}, best momentum, clean": lambda x: x.pay[name].best_clean,
        f"{metric}, margin": lambda x: x.pay[name].margin,
        f"{metric}, margin, clean": lambda x: x.pay[name].margin_clean,
    }


READ: dict[str, Read] = {
    "power": lambda x: x.power,
    "signal": lambda x: x.signal,
    "noise": lambda x: x.noise,
    "noise scale": lambda x: x.noise_scale,
    "lag 1": lambda x: x.autocorrelation[1],
    "lag 8": lambda x: x.autocorrelation[8],
    "last lag": lambda x: x.autocorrelation[len(x.autocorrelation) - 1],
    "persistence": lambda x: x.persistence,
    **_read("Euclid"),
    **_read("diagonal"),
    **_read("sign"),
    "family euclid": lambda x: x.families["euclid"],
    "family diagonal": lambda x: x.families["diagonal"],
    "family sign": lambda x: x.families["sign"],
    "update": lambda x: x.update,
}
