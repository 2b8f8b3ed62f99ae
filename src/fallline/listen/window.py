"""Window: the last steps' sampled gradients of one device, and their products at all lags."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from . import kernel
from .column import BETAS, BLOCK, GRAM, POWERS, Columns
from .reach import Reach, order
from .spot import RUN, Spot
from .tally import Tally

DECAY = 0.99  # of the second moment by which the diagonal metric weighs
TINY = 1e-30


class Window:
    """A ring [length, R, RUN] of float32 rows, one for each step, the newest first, and a tally of what they say.

    Every BLOCK steps their products with all rows up to `window` steps older enter the tally. A row that is not finite
    counts for nothing. Memory: 4 (window + BLOCK + 2) R RUN bytes, and the tally's.
    """

    def __init__(self, spots: Sequence[Spot], device: torch.device, window: int) -> None:
        self.spots, self.columns = list(spots), Columns(window)
        self.order = order(self.spots)
        owner = [i for i in self.order for _ in range(self.spots[i].rows)]
        self.owner = torch.tensor(owner, dtype=torch.int64, device=device)
        self.weight = torch.tensor([self.spots[i].weight for i in owner], device=device)
        rows, self.length = len(owner), BLOCK * (1 - -window // BLOCK)
        self.ring, self.at = torch.zeros(self.length, rows, RUN, device=device), 0  # where the newest block stands
        self.rows = self.ring.unbind(0)
        self.sound = torch.zeros(self.length, device=device)  # 1 for each row that counts, in the ring's order
        self.v, self.seen = torch.zeros(rows, RUN, device=device), torch.zeros((), device=device)
        self.tally = Tally(len(self.spots), self.owner, self.columns.total)
        self.recent: Tensor | None = None  # the last block's |g|^2 and <g_n, g_{n-1}> of every tensor, [T, 2]
        self.extra = torch.zeros(rows, 4, device=device)  # cross and moves since the last block
        self.slots = torch.arange(self.length, device=device)
        self.beta = math.nan  # the momentum in use,
        self.tried = torch.tensor([*BETAS, self.beta], device=device)  # and those that are tried
        self.taps = torch.zeros(len(self.tried), self.length, device=device)
        self.ones = torch.ones(RUN, device=device)
        powers = [GRAM.index(pair[0]) * len(GRAM) + GRAM.index(pair[1]) for pair in POWERS]
        self.powers = torch.tensor(powers, device=device)
        self.missed = 0  # rows of this block from before a gap
        able = device.type == "cpu" and kernel.page() is not None
        self.block = kernel.Block(self, DECAY, TINY) if able else None

    def reach(self, who: Collection[int]) -> Reach:
        """How some tensors are read."""
        return Reach(self.spots, self.order, self.owner, who)

    def slot(self, time: int) -> Tensor:
        """Where the row of a step is kept; what lies there will not be asked for again."""
        return self.rows[-1 - time % self.length]

    def push(self, row: Tensor, time: int) -> None:
        """Keep the row of a step."""
        if row is not self.slot(time):
            self.slot(time).copy_(row)

    def forget(self, time: int) -> None:
        """Steps were missed: rows from before `time` shall meet no later ones."""
        self.ring.zero_()
        self.sound.zero_()
        self.missed = time % BLOCK

    def close(self, time: int, beta: float, crossed: int, moved: int) -> None:
        """Enter the products of the BLOCK steps that end before `time`.

        beta: the momentum in use; crossed, moved: in how many of the steps micro-batches and weights were seen.
        """
        self.at = -time % self.length
        self._aim(beta)
        self.recent = self.block(crossed, moved) if self.block else self._close(crossed, moved)
        self.extra.zero_()
        self.missed = 0

    def _aim(self, beta: float) -> None:
        """Weights of older rows in the momenta that are tried and the one in use: beta^{age - 1} within the window."""
        if beta != self.beta:
            self.beta, age = beta, self.slots
            self.tried[-1] = beta
            known = (age > 0) & (age <= self.columns.window)
            self.taps.copy_(torch.where(known, self.tried[:, None] ** (age - 1).clamp(min=0), 0.0))

    def _close(self, crossed: int, moved: int) -> Tensor:
        self._weigh(self._checked())
        cost = ((self.v / (1 - DECAY**self.seen).clamp(min=TINY)).sqrt() + TINY).reciprocal()
        cost = torch.where(self.v > 0, cost, 0.0)
        products, pairs = self._products(cost)
        scores = self._scores(cost)
        values = torch.cat([products, scores, self.extra], 1).mul_(self.weight[:, None])
        one, extra = self.sound[self.at].expand(scores.shape[1]), pairs.new_tensor([crossed] * 2 + [moved] * 2)
        self.tally.add(values, torch.cat([pairs, pairs, one, extra]))
        return values.new_zeros(len(self.spots), 2).index_add_(0, self.owner, values[:, :2])

    def _checked(self) -> slice:
        """The newest block, after its rows that do not count were made zeros."""
        here = slice(self.at, self.at + BLOCK)
        sound = (0 * self.ring[here]).sum((1, 2)) == 0  # 0 times what is not finite is nan
        if self.missed:
            sound[-self.missed :] = False
        self.ring[here].masked_fill_(~sound[:, None, None], 0.0)
        self.sound[here] = sound
        return here

    def _weigh(self, here: slice) -> None:
        """v <- DECAY v + (1 - DECAY) g^2, step by step."""
        sound, squares = self.sound[here], self.ring[here].square()
        age = sound.cumsum(0) - sound  # sound steps that come after this one
        weights = (1 - DECAY) * DECAY**age * sound
        self.v.mul_(DECAY ** sound.sum()).add_((weights @ squares.flatten(1)).view_as(self.v))
        self.seen.add_(sound.sum())

    def _products(self, cost: Tensor) -> tuple[Tensor, Tensor]:
        """sum over a block of <g_n, D g_{n-j}> with D = 1 and D = cost, [R, 2 lags], and of how many steps, [lags]."""
        ring, sound = self.ring.transpose(0, 1), self.sound
        past = torch.cat([ring[:, self.at :], ring[:, : self.at]], 1)  # [R, length, RUN], the newest first
        sounds = torch.cat([sound[self.at :], sound[: self.at]])
        new = past[:, :BLOCK]
        both = torch.cat([new, new * cost[:, None]], 1)
        products = torch.bmm(both, past.mT).unflatten(1, (2, BLOCK))
        return self._lags(products).flatten(1), self._lags(sounds[:BLOCK, None] * sounds)

    def _lags(self, products: Tensor) -> Tensor:
        """[..., BLOCK, length] -> [..., lags], sums over the block: lag j of the row of this age stands at age + j."""
        shape = *products.shape[:-1], self.columns.window + 1
        return products.as_strided(shape, (*products.stride()[:-2], self.length + 1, 1)).sum(-2)

    def _scores(self, cost: Tensor) -> Tensor:
        """What sign directions of all momenta earn at the newest step, and elementwise families at the momentum in use;
        [R, 2 betas + powers]."""
        g, taps = self.ring[self.at], self.taps.index_select(1, (self.slots - self.at) % self.length)
        m = (taps @ self.ring.flatten(1)).view(-1, *g.shape)  # sums of earlier gradients, [betas + 1, R, RUN]
        m, now = m[:-1], m[-1]
        signs = torch.stack([m * self.tried[:-1, None, None] + g, m]).sign_().mul_(g)
        earned = (signs.view(-1, RUN) @ self.ones).view(-1, len(g)).T  # so, for sums of eight numbers are slow
        families = torch.stack([g, now, now.sign(), now * cost], 1)
        powers = torch.bmm(families, families.mT).flatten(1).index_select(1, self.powers)
        return torch.cat([earned, powers], 1)

    def cross(self, squares: Tensor, whole: Tensor, parts: int) -> None:
        """Micro-batches of a step: the sum of their squares [R, RUN], their sum, and how many they were.

        sum_{a != b} <g_a, g_b> = |sum_a g_a|^2 - sum_a |g_a|^2,    times m / (m - 1): the signal in |sum_a g_a|^2
        """
        power = whole.square()
        pair = torch.stack([(power - squares).sum(-1) * (parts / (parts - 1)), power.sum(-1)], 1)
        self.extra[:, :2] += torch.where(torch.isfinite(pair).all(), pair, 0.0)

    def move(self, before: Tensor, after: Tensor) -> None:
        """The weights before and after a step; several optimizers may each tell of their own."""
        pair = torch.stack([(after - before).square().sum(-1), before.square().sum(-1)], 1)
        self.extra[:, 2:] += torch.where(torch.isfinite(pair).all(), pair, 0.0)

    @property
    def bytes(self) -> int:
        """Memory."""
        kept = self.ring, self.v, self.owner, self.weight, self.extra
        return self.tally.bytes + sum(x.nbytes for x in kept) + (self.block.bytes if self.block else 0)
