"""Ear: hears the gradients of a model, whatever trains it."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import final

from torch import Tensor, nn
from torch.optim import Optimizer

from . import habit, turn
from .advice import Recommendation
from .column import BLOCK
from .curvature import Curvature, curvature
from .desk import Desk, Row
from .estimate import Heard
from .hearing import heard
from .hook import hooked
from .recommend import advised
from .record import Record, gathered, taken
from .sharpness import Sharpness, sharpness
from .spot import spots

MOVES = 4  # blocks of which one has its last step measured
KEPT = 4096  # blocks for alarms that are remembered


@final
class Ear:
    """Hears every step of the optimizers that hold the model's parameters, while the `with` lasts.

        with fallline.listen(model) as ear:
            train()                                 any loop, any torch optimizer, closures, GradScaler, DDP, FSDP2
        ear.estimates().total.noise_scale           an Estimate; under torch.distributed all processes ask together

    window: the largest lag. every: k > 1 hears 2 window steps in a row out of each 2 window k, since lags need
    neighbours. batch: samples of a step, which makes of the noise scale a critical batch size. Without a `with`, call
    `observe()` after each backward; `microbatch()` after that of each part of an accumulated batch. Gradients are
    heard as the optimizer gets them: summed, clipped, unscaled. Nothing is written to the model, and its
    parameters are held weakly. Memory: `ear.bytes`.

    >>> import fallline, torch
    >>> net = torch.nn.Linear(3, 2)
    >>> opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    >>> with fallline.listen(net, window=4) as ear:
    ...     for _ in range(40):
    ...         opt.zero_grad()
    ...         net(torch.randn(5, 3)).square().sum().backward()
    ...         _ = opt.step()
    >>> ear.estimates().steps, ear.estimates().roles["head"].momentum
    (40, 0.5)
    """

    def __init__(self, model: nn.Module, every: int = 1, window: int = 64, batch: float | None = None) -> None:
        if every < 1 or window < 1:
            raise ValueError(f"every and window are counts of steps, at least 1, but got {every!r} and {window!r}.")
        self.every, self.window, self.batch = every, window, batch
        self.model = weakref.ref(model)
        self.desk = Desk(spots(model), window)
        self.turns = turn.Turns(self.desk.spots)
        self.everyone = frozenset(range(len(self.desk.spots)))
        self.steps = self.time = 0  # steps of training, rows heard
        self._mine: weakref.WeakKeyDictionary[Optimizer, tuple[int, frozenset[int]]] = weakref.WeakKeyDictionary()
        self.habits = habit.Habits(self.desk.index)
        self._row, self._told = Row(), set[int]()  # of the step in progress, and whose gradients it has
        self._observed = False
        self._before: dict[Optimizer, Row] = {}
        self._crossed, self._moved = 0, False
        # Micro-batches so far: how many, their squares' sums, their sum.
        self._parts: tuple[int, Row, Row] | None = None
        self.recent: deque[tuple[int, Row]] = deque(maxlen=KEPT)
        self._stack: ExitStack | None = None

    def __enter__(self) -> Ear:
        if self._stack is None:
            self._stack = hooked(self._holds, self._begin, self._fresh, self._end)
        return self

    def __exit__(self, *error: object) -> None:
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    # --- what a loop may call ---------------------------------------------------------------------------------------

    def observe(self) -> None:
        """Hear the gradients that are there now as those of one step; a step's hooks will not hear them again."""
        self._finish()
        self._hear(self.everyone, None)
        self._observed = True

    def microbatch(self) -> None:
        """Call after the backward of each part of an accumulated batch: p.grad holds their sum so far.

        Products of different parts hold no noise, so that signal and noise are told apart without extrapolation. Parts
        must be equally large. Under DDP the parts of a process are heard where they are summed without communication.
        """
        if self._awake():
            grads, blank = self.desk.gradients(self.everyone), self.desk.blank()
            m, squares, total = self._parts or (0, blank, blank)
            squares = [s + (g - t).square() for s, g, t in zip(squares, grads, total, strict=True)]
            self._parts = (m + 1, squares, grads)

    def estimates(self, level: float = 0.95, parameters: bool = True) -> Heard:
        """What has been heard so far, in whole blocks of 8 steps. Under torch.distributed all processes must ask."""
        return heard(gathered(self.record()), level, self.batch, parameters)

    def report(self, path: str | Path) -> Path:
        """Write what was heard and advised as one HTML page. Under torch.distributed all must ask; one writes."""
        from .outcome import page

        return page(self, Path(path))

    def sharpness(self, loss: Callable[[], Tensor]) -> Sharpness:
        """Batch sharpness along the update against 2 / lr: one Hessian-vector product of a batch's `loss()`."""
        return sharpness(self._model(), loss, list(self._mine))

    def curvature(self, loss: Callable[[], Tensor], draws: int = 8) -> Curvature:
        """What the best step along each family's direction gains; `loss()` draws a new batch at each of many calls."""
        return curvature(self._model(), loss, list(self._mine), draws)

    def recommend(
        self, loss: Callable[[], Tensor] | None = None, level: float = 0.95, draws: int = 8
    ) -> Recommendation:
        """What to change, why, with what effect, how sure; in a share 1 - level of runs something is advised by chance.

        loss: draws a new batch at each call; with it curvature speaks, too, at the price of some hundred gradients.
        """
        sharp = [] if loss is None else [self.sharpness(loss) for _ in range(draws)]
        bent = None if loss is None else self.curvature(loss, draws)
        return advised(self.estimates(parameters=False), level, sharp, bent)

    @property
    def bytes(self) -> int:
        """Memory."""
        return self.desk.bytes

    def record(self) -> Record:
        """All that was summed, on the CPU: of what this process speaks for."""
        self._finish()
        return taken(self)

    def _model(self) -> nn.Module:
        model = self.model()
        if model is None:
            raise RuntimeError("The model is gone: the ear holds it weakly.")
        return model

    # --- a step -----------------------------------------------------------------------------------------------------

    def _holds(self, opt: Optimizer) -> bool:
        size = sum(len(group["params"]) for group in opt.param_groups)
        known = self._mine.get(opt)
        if known is None or known[0] != size:
            found = {self.desk.index.get(id(p), -1) for group in opt.param_groups for p in group["params"]} - {-1}
            self._mine[opt] = known = size, frozenset(i for i in found if self.desk.spots[i].p is not None)
        return bool(known[1])

    def _begin(self, opt: Optimizer) -> None:
        """Before a step: the weights, where this is the last step of a fourth block."""
        if not self._observed and self._told & self._mine[opt][1]:
            self._finish()
        if self._awake() and (self.time + 1) % (MOVES * BLOCK) == 0:
            self._before[opt] = self.desk.weights(self._mine[opt][1])

    def _fresh(self, opt: Optimizer) -> None:
        if not self._observed:
            self._hear(self._mine[opt][1], opt)

    def _end(self, opt: Optimizer) -> None:
        before = self._before.pop(opt, None)
        if before is not None:
            after = self.desk.weights(self._mine[opt][1])
            for w, x, y in zip(self.desk.windows, before, after, strict=True):
                w.move(x, y)
            self._moved = True
        if len(self._told) == len(self.everyone):
            self._finish()

    def _awake(self) -> bool:
        """Whether this step is heard."""
        long = 2 * self.window
        return self.steps % (long * self.every) < long

    def _hear(self, who: frozenset[int], opt: Optimizer | None) -> None:
        """Take in the gradients of some parameters."""
        if self._awake():
            if not self._told:
                self._resume()
            scale = getattr(opt, "grad_scale", None)  # a fused step unscales by itself
            grads = self.desk.gradients(who, None if self._row else self.time)
            grads = grads if scale is None else [g / scale.to(g.device) for g in grads]
            self._row = [row + g for row, g in zip(self._row, grads, strict=True)] if self._row else grads
            if opt is not None and self.time % turn.EVERY == 0:
                self.turns.take(opt, who)
        self._told |= who

    def _resume(self) -> None:
        """After steps that were not heard: rows from before them shall meet no later ones."""
        if self.every > 1 and self.steps % (2 * self.window * self.every) == 0:
            for w in self.desk.windows:
                w.forget(self.time)

    def _finish(self) -> None:
        """The step is over: keep its row, and count."""
        if not self._told:
            return
        if self._awake():
            self._keep()
        self.steps += 1
        self._told, self._row, self._observed, self._parts = set(), [], False, None

    def _keep(self) -> None:
        for w, row in zip(self.desk.windows, self._row, strict=True):
            w.push(row, self.time)
        if self._parts and self._parts[0] > 1:
            for w, squares, total in zip(self.desk.windows, *self._parts[1:], strict=True):
                w.cross(squares, total, self._parts[0])
            self._crossed += 1
        self.time += 1
        if self.time % BLOCK == 0:
            self._close()

    def _close(self) -> None:
        groups = [group for opt in self._mine for group in opt.param_groups]
        beta = next((b for group in groups if (b := habit.plain(habit.momentum(group)))), 0.9)
        for w in self.desk.windows:
            w.close(self.time, beta, self._crossed, int(self._moved))
        self.recent.append((self.steps + 1, self.desk.recent()))
        self.habits.note(self._mine)
        self._crossed, self._moved = 0, False
