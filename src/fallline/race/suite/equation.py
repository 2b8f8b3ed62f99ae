"""Problems with a formula for the answer: two differential equations, a matrix with holes, two bowls."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from fallline.race.suite.training import Training, seeded

VISCOSITY = 0.05
FLOOR = 0.01
SIZE, CONDITION = 100, 1000.0


def slope(u: Tensor, x: Tensor) -> Tensor:
    """du/dx for a batch of points: each u depends on its own x."""
    return torch.autograd.grad(u.sum(), x, create_graph=True)[0]


def tower(inputs: int, width: int) -> nn.Sequential:
    """Two hidden layers of tanh."""
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))


class Clamped(nn.Module):
    """u(x) = x (1 - x) N(x): zero at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.body = tower(1, 32)

    def forward(self, x: Tensor) -> Tensor:
        """u at points `[N, 1]`."""
        return x * (1 - x) * self.body(2 * x - 1)


def wave(x: Tensor) -> Tensor:
    """What Poisson's equation has for an answer here."""
    return (math.pi * x).sin() + 0.3 * (3 * math.pi * x).sin()


def poisson(seed: int, data: Path | None) -> Training:
    """A network obeys -u'' = f on [0, 1].

    The mean squared residual at 64 random points, in units of f's square; u is known.
    """
    scale = math.pi**2

    def cost(model: nn.Module, source: Generator) -> Tensor:
        x = torch.rand(64, 1, generator=source).requires_grad_()
        f = (math.pi * x).sin() + 2.7 * (3 * math.pi * x).sin()
        return (slope(slope(model(x), x), x) / scale + f.detach()).square().mean()

    with seeded(seed):
        model = Clamped()
    return Training(model, cost, lambda m: off(m, torch.linspace(0, 1, 201)[:, None], wave), seed)


def off(model: nn.Module, points: Tensor, answer: Callable[[Tensor], Tensor]) -> float:
    """Relative error: root mean square of what is wrong over that of the answer; with 1 % that nobody can get below.

    Without that floor, who is ten times nearer at errors that do not matter would decide every comparison.
    """
    right = answer(points)
    return ((model(points) - right).square().mean() / right.square().mean() + FLOOR**2).sqrt().item()


def front(points: Tensor) -> Tensor:
    """A front of Burgers' equation that travels at speed 1/2 from 1 down to 0."""
    x, t = points[:, :1], points[:, 1:]
    return 0.5 - 0.5 * ((x - t / 2) / (4 * VISCOSITY)).tanh()


def burgers(seed: int, data: Path | None) -> Training:
    """A network obeys Burgers' equation u_t + u u_x = v u_xx on [-1, 1] x [0, 1].

    Residual inside, start and both ends as soft conditions.
    """

    def cost(model: nn.Module, source: Generator) -> Tensor:
        draws = torch.rand(96, 2, generator=source)
        x, t = (2 * draws[:64, :1] - 1).requires_grad_(), draws[:64, 1:].requires_grad_()
        u = model(torch.cat([x, t], 1))
        ux = slope(u, x)
        inside = slope(u, t) + u * ux - VISCOSITY * slope(ux, x)
        rim = torch.cat([2 * draws[64:, :1] - 1, draws[64:, 1:]], 1)
        rim[:16, 1], rim[16:24, 0], rim[24:, 0] = 0.0, -1.0, 1.0
        return inside.square().mean() + 5 * (model(rim) - front(rim)).square().mean()

    with seeded(seed):
        model = tower(2, 32)
    grid = torch.cartesian_prod(torch.linspace(-1, 1, 41), torch.linspace(0, 1, 21))
    return Training(model, cost, lambda m: off(m, grid, front), seed)


class Factors(nn.Module):
    """A row of U for each user, a row of V for each thing; an entry is their inner product."""

    def __init__(self, users: int, things: int, rank: int) -> None:
        super().__init__()
        self.user, self.thing = nn.Embedding(users, rank), nn.Embedding(things, rank)
        for table in (self.user, self.thing):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, places: Tensor) -> Tensor:
        """Entries at places `[N, 2]`."""
        return (self.user(places[:, 0]) * self.thing(places[:, 1])).sum(1)


def completion(seed: int, data: Path | None) -> Training:
    """A matrix of rank 4 with noise, 30 % of it seen 128 entries at a time, fitted with rank 6."""
    source = torch.Generator().manual_seed(100 + seed)
    left, right = torch.randn(120, 4, generator=source), torch.randn(80, 4, generator=source)
    matrix = left @ right.T / 2 + 0.3 * torch.randn(120, 80, generator=source)
    places = torch.cartesian_prod(torch.arange(120), torch.arange(80))
    places = places[torch.randperm(len(places), generator=source)]
    seen, unseen = places[: len(places) * 3 // 10], places[len(places) * 3 // 10 :][:2000]

    def cost(model: nn.Module, source: Generator) -> Tensor:
        rows = seen[torch.randint(len(seen), (128,), generator=source)]
        return F.mse_loss(model(rows), matrix[rows[:, 0], rows[:, 1]])

    with seeded(seed):
        model = Factors(120, 80, 6)
    return Training(model, cost, lambda m: F.mse_loss(m(unseen), matrix[unseen[:, 0], unseen[:, 1]]).item(), seed)


class Point(nn.Module):
    """x, and nothing around it."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(x)

    def forward(self) -> Tensor:
        """x."""
        return self.x


def bowl(seed: int, rotation: Tensor, noise: float) -> Training:
    """L = 1/2 x^T R diag(lambda) R^T x, lambda log-spaced from 1/1000 to 1; gradients with noise; L itself measured."""
    root = torch.logspace(-math.log10(CONDITION), 0, SIZE).sqrt()

    def loss(x: Tensor) -> Tensor:
        return (rotation.T @ x).mul(root).square().sum() / 2

    def cost(model: nn.Module, source: Generator) -> Tensor:
        tilt = model() @ torch.randn(SIZE, generator=source).mul(noise)
        return loss(model()) + tilt - tilt.detach()

    start = torch.randn(SIZE, generator=torch.Generator().manual_seed(100 + seed))
    return Training(Point(start), cost, lambda m: loss(m()).item(), seed)


def straight_bowl(seed: int, data: Path | None) -> Training:
    """A quadratic of condition 1000 along the coordinates, noise .1."""
    return bowl(seed, torch.eye(SIZE), 0.1)


def turned_bowl(seed: int, data: Path | None) -> Training:
    """The same turned anywhere, noise .03."""
    turn = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed))).Q
    return bowl(seed, turn, 0.03)
