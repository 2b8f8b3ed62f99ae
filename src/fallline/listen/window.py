"""Window: the last steps' sampled gradients of one device, and their products at all lags."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .column import BETAS, Columns
from .spot import RUN, Spot
from .tally import Tally

BLOCK = 8  # steps whose products are taken together: one call of bmm, and nothing waits for it
DECAY = 0.99  # of the second moment by which the diagonal metric weighs
TINY = 1e-30


class Window:
    """A ring [window + BLOCK, R, RUN] of float32 rows, one for each step, and a tally of what they say.

    Every BLOCK steps their products with all rows up to `window` steps older enter the tally. A row that is not finite
    counts for nothing. Memory: 4 (window + BLOCK + 3) R RUN bytes, and the tally's.
    """

    def __init__(self, spots: Sequence[Spot], device: torch.device, window: int) -> None:
        self.spots, self.columns, self.length = list(spots), Columns(window), window + BLOCK
        heads = [i for i, s in enumerate(self.spots) for _ in range(s.runs.rows)]
        tails = [i for i, s in enumerate(self.spots) if s.tail]
        self.full = len(heads)
        self.hurry = [(s, s.strides, s.plain, s.size, (s.runs.stride, 1), s.runs.start, s.tail) for s in self.spots]
        self.owner = torch.tensor(heads + tails, dtype=torch.int64, device=device)
        rests = [torch.arange(self.spots[i].tail) + k * RUN for k, i in enumerate(tails)]
        self.rests = torch.cat(rests).to(device) if rests else None
        weights = torch.tensor([s.weight for s in self.spots], device=device)
        self.weight = weights[self.owner] if len(self.owner) else weights[:0]
        self.ring = torch.zeros(self.length, len(self.owner), RUN, device=device)
        self.sound = torch.zeros(self.length, device=device)
        self.v, self.seen = torch.zeros(len(self.owner), RUN, device=device), torch.zeros((), device=device)
        self.tally = Tally(len(self.spots), self.owner, self.columns.total)
        self.recent: Tensor | None = None  # the last block's |g|^2 and <g_n, g_{n-1}> of every tensor, [T, 2]
        self.extra = torch.zeros(len(self.owner), 4, device=device)  # cross and moves since the last block

    def pick(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """The sampled coordinates of one tensor for each spot, [R, RUN]; None counts as zeros."""
        blank = self.ring.new_zeros(())
        heads, rests = [], []
        # In a hurry, since this is done for each tensor in each step: no attribute is asked for twice.
        for (s, strides, plain, size, steps, start, tail), x in zip(self.hurry, tensors, strict=True):
            if x is None:
                heads.append(blank.expand(size))
                rests.append(blank.expand(tail))
                continue
            if not plain or x.stride() != strides or x.is_sparse:
                x = s.laid(x)
            at = x.storage_offset()
            if size[0]:
                heads.append(x.as_strided(size, steps, at + start))
            if tail:
                rests.append(x.as_strided((tail,), (1,), at + s.here - tail))
        out = torch.zeros_like(self.ring[0]) if self.rests is not None else torch.empty_like(self.ring[0])
        if heads:
            torch.cat(heads, out=out[: self.full])
        if self.rests is not None:
            out[self.full :].view(-1).index_copy_(0, self.rests, torch.cat(rests).float())
        return out

    def push(self, row: Tensor, time: int) -> None:
        """Keep the row of a step."""
        sound = torch.isfinite(row).all()
        self.ring[time % self.length] = torch.where(sound, row, 0.0)
        self.sound[time % self.length] = sound

    def close(self, time: int, start: int, beta: float, crossed: int, moved: int) -> None:
        """Enter the products of the BLOCK steps that end before `time`; rows before `start` are too old.

        beta: the momentum in use; crossed, moved: in how many of the steps micro-batches and weights were seen.
        """
        steps = torch.arange(time - BLOCK, time, device=self.ring.device)
        self._weigh(steps)
        cost = ((self.v / (1 - DECAY**self.seen).clamp(min=TINY)).sqrt() + TINY).reciprocal()
        cost = torch.where(self.v > 0, cost, 0.0)
        ages = torch.arange(self.length, device=self.ring.device)
        known = (ages < time - start) * self.sound[(time - 1 - ages) % self.length]
        past = self.ring.index_select(0, (time - 1 - ages) % self.length).transpose(0, 1)
        past = past * known[:, None]  # [R, length, RUN], the newest first
        new = past[:, :BLOCK]
        euclid, diagonal = self._products(torch.cat([new, new * cost[:, None]], 1), past)
        pairs = torch.stack([known[: self.columns.window + 1 + a][a:] * known[a] for a in range(BLOCK)]).sum(0)
        scores, live = self._scores(time, start, beta, cost)
        values = torch.cat([euclid, diagonal, scores, self.extra], 1).mul_(self.weight[:, None])
        one = live.expand(scores.shape[1])
        extra = pairs.new_tensor([crossed] * 2 + [moved] * 2)
        self.tally.add(values, torch.cat([pairs, pairs, one, extra]))
        self.recent = values.new_zeros(len(self.spots), 2).index_add_(0, self.owner, values[:, :2])
        self.extra.zero_()

    def _weigh(self, steps: Tensor) -> None:
        """v <- DECAY v + (1 - DECAY) g^2, step by step."""
        rows, sound = self.ring[steps % self.length], self.sound[steps % self.length]
        age = sound.flip(0).cumsum(0).flip(0) - sound  # sound steps that come after this one
        weights = (1 - DECAY) * DECAY**age * sound
        self.v.mul_(DECAY ** sound.sum()).add_(torch.einsum("b,brc->rc", weights, rows.square()))
        self.seen.add_(sound.sum())

    def _products(self, new: Tensor, past: Tensor) -> tuple[Tensor, ...]:
        """sum over a block of <g_n, D g_{n-j}> for every run and lag, [R, lags], for each block in new."""
        products, lags = torch.bmm(new, past.mT).unflatten(1, (-1, BLOCK)), self.columns.window + 1
        total = products[:, :, 0, :lags].clone()
        for age in range(1, BLOCK):  # lag j of the row of this age stands at age + j
            total += products[:, :, age, age : age + lags]
        return total.unbind(1)

    def _scores(self, time: int, start: int, beta: float, cost: Tensor) -> tuple[Tensor, Tensor]:
        """What sign directions of all momenta earn at the newest step, and elementwise families at the momentum in use;
        [R, 2 betas + powers], and 1 if this step counts."""
        last = (time - 1) % self.length
        age = (time - 1 - torch.arange(self.length, device=self.ring.device)) % self.length
        known = (age < min(time - start, self.columns.window + 1)) * self.sound
        tried = self.ring.new_tensor([*BETAS, beta])[:, None]
        taps = torch.where(age > 0, tried ** (age - 1).clamp(min=0), 0.0) * known
        g = self.ring[last]
        m = torch.tensordot(taps, self.ring, 1)  # sums of earlier gradients, [betas + 1, R, RUN]
        both = torch.stack([m[:-1] * tried[:-1, :, None] + g, m[:-1]]).sign_().flatten(0, 1)
        signs = torch.bmm(both.transpose(0, 1), g[:, :, None])[..., 0]
        m = m[-1]
        d, s = m * cost, m.sign()
        return torch.cat([signs, *map(_inner, (g, m, g, s, g, d, g), (m, m, s, s, d, d, g))], 1), self.sound[last]

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
        return self.tally.bytes + sum(x.nbytes for x in (self.ring, self.v, self.owner, self.weight, self.extra))


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """<x, y> of every run, [R, 1]; bmm, for sums of eight numbers are slow."""
    return torch.bmm(x[:, None], y[:, :, None])[..., 0]
