"""Streams of whole matrices whose law is known, what an ear hears of them, and what its looks should say of them.

The truth is simulated: other draws of the same law, exact singular values, momentum and second moment written out. It
shares no code with the ear, nor with the optimizer that the ear hears.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import fallline
from benchmarks.stream import alone, each, packed
from benchmarks.truth import Read
from fallline.listen import Estimate, Reading, Record
from fallline.listen.look import TILE
from fallline.listen.turn import EVERY

SIMULATED = 150_000_000  # numbers in all gradients of the truth's draws together


@dataclass(frozen=True)
class Form:
    """Gradients G_n = r c (sqrt(a) E_n + sqrt(b) S_n) of matrices: E white, S an AR(1) with rho, all of unit power.

    rows, columns: of the logarithms of r and c, which are those of each row and column. one: S_n = x_n u v' with fixed
    u and v, and a number x_n that is the AR(1). adam: heard with AdamW, otherwise SGD. momentum: in use. other: another
    matrix of the same model, which takes turns with this one.
    """

    name: str
    a: float = 1.0
    b: float = 1.0
    rho: float = 0.9
    size: tuple[int, int] = (48, 32)
    rows: float = 0.0
    columns: float = 0.0
    one: bool = False
    adam: bool = False
    momentum: float = 0.9
    other: Form | None = None

    @property
    def all(self) -> tuple[Form, ...]:
        """The matrices of the model."""
        return (self,) if self.other is None else (self, *self.other.all)

    def gradients(self, g: torch.Generator, steps: int, many: int) -> Iterator[Tensor]:
        """Many streams side by side, [many, m, n] at each step."""
        scale, keep, s = self._scales(), math.sqrt(1 - self.rho**2), self._fresh(g, many)
        for _ in range(steps):
            noise = torch.randn(many, *self.size, generator=g)
            yield scale * (math.sqrt(self.a) * noise + math.sqrt(self.b) * s)
            s = self.rho * s + keep * self._fresh(g, many)

    def _fresh(self, g: torch.Generator, many: int) -> Tensor:
        if not self.one:
            return torch.randn(many, *self.size, generator=g)
        always = torch.Generator().manual_seed(2)
        u, v = (torch.randn(n, generator=always) for n in self.size)
        pair = torch.outer(u, v)
        return torch.randn(many, 1, 1, generator=g) * pair / pair.square().mean().sqrt()

    def _scales(self) -> Tensor:
        always = torch.Generator().manual_seed(1)
        r, c = ((spread * torch.randn(n, generator=always)).exp() for spread, n in self._spreads())
        scale = torch.outer(r, c)
        return scale / scale.square().mean().sqrt()

    def _spreads(self) -> tuple[tuple[float, int], ...]:
        return (self.rows, self.size[0]), (self.columns, self.size[1])


FORMS = (
    Form("white", b=0.0),
    Form("1 + 1, .9"),
    Form("rank one", b=0.5, one=True),
    Form("rows", rows=1.0),
    Form("columns", columns=1.0),
    Form("Adam", adam=True),
    Form("Adam, rows", rows=1.0, adam=True),
    Form("momentum .99", momentum=0.99),
    Form("slow", rho=0.99),
    Form("large", size=(200, 160)),
    Form("two", other=Form("", b=0.2, size=(24, 40), rows=1.0)),
)


# --- heard --------------------------------------------------------------------------------------------------------


def records(form: Form, seeds: Sequence[int], steps: int, window: int) -> list[Record]:
    """What an ear would hear of each run alone; AT_ONCE of them are matrices of one model."""
    return packed(seeds, lambda some: _together(form, some, steps, window))


def _together(form: Form, seeds: Sequence[int], steps: int, window: int) -> list[Record]:
    runs = len(seeds)
    net = nn.ModuleList(nn.Linear(*one.size[::-1], bias=False) for one in form.all for _ in seeds)
    opt: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=form.momentum)
    if form.adam:
        opt = torch.optim.AdamW(net.parameters(), lr=1e-4, betas=(form.momentum, SECOND))
    streams = [
        one.gradients(torch.Generator().manual_seed(seed + 10**6 * i), steps, 1)
        for i, one in enumerate(form.all)
        for seed in seeds
    ]
    with each(runs), fallline.listen(net, window=window) as ear:
        for gradients in zip(*streams, strict=True):
            for p, g in zip(net.parameters(), gradients, strict=True):
                p.grad = g[0]
            opt.step()
        record = ear.record()
    return [alone(record, range(i, runs * len(form.all), runs)) for i in range(runs)]


# --- true ---------------------------------------------------------------------------------------------------------

SECOND = 0.99  # of the second moment


def truth(form: Form, steps: int, numbers: int = SIMULATED) -> dict[str, float]:
    """Of each estimate in SEEN: the mean over the looks of a run, in expectation; nan where there is none."""
    found: list[Tensor] = []
    for i, one in enumerate(form.all):
        mine = range(EVERY * i, steps, EVERY * len(form.all))
        found += [_seen(one, *at).mean(0) for at in _looks(form, one, steps, set(mine), numbers)]
    x = torch.stack(found)
    return dict(zip(SEEN, x.nanmean(0).tolist(), strict=True))


def _looks(
    form: Form, one: Form, steps: int, at: set[int], numbers: int
) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
    """Gradient, momentum and second moment of the steps before, of many runs, at the steps `at`."""
    g, many = torch.Generator().manual_seed(7), max(1, numbers // (steps * math.prod(one.size)))
    m = v = None
    for n, x in enumerate(one.gradients(g, steps, many)):
        if n in at:
            yield x, m, v
        m = x if m is None else form.momentum * m + x  # a constant factor, such as Adam's, says nothing of a direction
        v = (1 - SECOND) * x.square() if v is None else SECOND * v + (1 - SECOND) * x.square()
        v = v if form.adam else None


def _seen(form: Form, g: Tensor, m: Tensor | None, v: Tensor | None) -> Tensor:
    """What SEEN asks for, of many looks."""
    gone = torch.full((len(g), 1), math.nan)
    buffer = gone.expand(-1, 3) if m is None else _shape(m)
    families = gone.expand(-1, 6) if m is None else _families(*(None if x is None else _tile(x) for x in (g, m, v)))
    return torch.cat([_shape(g), buffer, families], 1)


def _shape(x: Tensor) -> Tensor:
    """Stable rank, row and column imbalance, [many, 3]."""
    power, rows, columns = x.square().sum((1, 2)), x.square().sum(2), x.square().sum(1)
    rank = power / torch.linalg.svdvals(x)[:, 0].square()
    uneven = (one.shape[1] * one.square().sum(1) / power.square() for one in (rows, columns))
    return torch.stack([rank, *uneven], 1)


def _families(g: Tensor | None, m: Tensor | None, v: Tensor | None) -> Tensor:
    """<g, d> / (|g| |d|) of Euclid, diagonal, sign, row, column, spectral."""
    assert g is not None and m is not None
    u, _, w = torch.linalg.svd(m, full_matrices=False)
    none = torch.full_like(m, math.nan)
    ds = m, none if v is None else m / v.sqrt(), m.sign(), _unit(m, 2), _unit(m, 1), u @ w
    return torch.stack([(g * d).sum((1, 2)) / (g.square().sum((1, 2)) * d.square().sum((1, 2))).sqrt() for d in ds], 1)


def _unit(x: Tensor, dim: int) -> Tensor:
    return x / x.square().sum(dim, keepdim=True).sqrt()


def _tile(x: Tensor) -> Tensor:
    rows, columns = (max(0, (n - TILE) // 2) for n in x.shape[1:])
    return x[:, rows : rows + TILE, columns : columns + TILE]


def _read(name: str, which: str) -> Read:
    def read(x: Reading) -> Estimate | None:
        shape = x.gradient if name == "gradient" else x.buffer
        return None if shape is None else getattr(shape, which)

    return read


SEEN: dict[str, Read] = {
    f"{name}, {words}": _read(name, which)
    for name in ("gradient", "buffer")
    for words, which in (("stable rank", "stable_rank"), ("row imbalance", "rows"), ("column imbalance", "columns"))
}
FAMILIES = ("euclid", "diagonal", "sign", "row", "column", "spectral")
SEEN |= {f"family {name}": (lambda x, name=name: x.matrix_families.get(name)) for name in FAMILIES}
