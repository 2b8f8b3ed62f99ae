"""Desk: the windows of all devices, spoken to as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .ground import ground
from .reach import Reach
from .spot import Spot, real
from .window import Window

Row = list[Tensor]  # sampled coordinates of all parameters, for each device


class Desk:
    """Spots by device, with a window for each device. Parameters are held weakly."""

    @ground()
    def __init__(self, spots: Sequence[Spot], window: int) -> None:
        self.spots = list(spots)
        self.index = {id(p): i for i, s in enumerate(self.spots) if (p := s.p) is not None}
        lies = [real(p).device if (p := s.p) is not None else None for s in self.spots]
        devices = [device for device in dict.fromkeys(lies) if device is not None]
        self.at = [[i for i, d in enumerate(lies) if d == device] for device in devices]
        self.windows = [Window([self.spots[i] for i in at], d, window) for at, d in zip(self.at, devices, strict=True)]
        self.reaches: dict[frozenset[int], list[Reach]] = {}
        self.scopes = [self._scopes(at, d) for at, d in zip(self.at, devices, strict=True)]

    def gradients(self, who: frozenset[int], time: int | None = None) -> Row:
        """Of some parameters; zeros of the others, and where there is none. time: the step whose row they are alone."""
        if time is None or len(who) < len(self.spots):
            return [reach.gradients() for reach in self._reach(who)]
        return [reach.gradients(w.slot(time)) for reach, w in zip(self._reach(who), self.windows, strict=True)]

    def weights(self, who: frozenset[int]) -> Row:
        """The same of the parameters themselves."""
        return [reach.weights() for reach in self._reach(who)]

    def blank(self) -> Row:
        """Zeros."""
        return [torch.zeros_like(w.v) for w in self.windows]

    def recent(self) -> Row:
        """|g|^2 and <g_n, g_{n-1}> over the last block, of all and of each role: [scopes, 2] on each device."""
        return [s @ w.recent for s, w in zip(self.scopes, self.windows, strict=True) if w.recent is not None]

    @ground()
    def sums(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tallies of all devices as one, parameters in the model's order: sums, counts, runs and their owners."""
        pieces = [w.tally.stretches() for w in self.windows]
        sums = torch.zeros(len(pieces[0][0]), len(self.spots), pieces[0][0].shape[2], dtype=torch.float64)
        for (piece, _), at in zip(pieces, self.at, strict=True):
            sums[:, torch.tensor(at)] = piece.cpu()
        owner = torch.cat([torch.tensor(at)[w.owner.cpu()] for w, at in zip(self.windows, self.at, strict=True)])
        return sums, pieces[0][1].cpu(), torch.cat([w.tally.runs.cpu() for w in self.windows]).double(), owner

    @property
    def bytes(self) -> int:
        """Memory."""
        kept = [w.bytes for w in self.windows] + [one.bytes for some in self.reaches.values() for one in some]
        return sum(kept)

    def _reach(self, who: frozenset[int]) -> list[Reach]:
        if who not in self.reaches:
            mine = [[k for k, i in enumerate(at) if i in who] for at in self.at]
            self.reaches[who] = [w.reach(some) for w, some in zip(self.windows, mine, strict=True)]
        return self.reaches[who]

    def _scopes(self, at: Sequence[int], device: torch.device) -> Tensor:
        """1 where a parameter belongs to a scope, total first, then the roles by name: [scopes, T]."""
        names = ["", *sorted({s.role for s in self.spots})]
        rows = [[float(not name or self.spots[i].role == name) for i in at] for name in names]
        return torch.tensor(rows, device=device)
