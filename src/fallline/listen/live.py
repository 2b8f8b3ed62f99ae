"""Live: a panel in the terminal that shows, while a model trains, what is heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, final

from torch.optim.optimizer import register_optimizer_step_post_hook

from .attach import Attached
from .ear import Ear
from .estimate import Estimate, Heard
from .hearing import heard

PAUSE = 0.5  # seconds between two looks of the panel
SHARE = 0.05  # of the time goes into estimates at most
FEW = 32  # steps before the first estimate


@final
class Live:
    """Shows what an ear hears, or all ears of `attached()`, while the `with` lasts; nothing where there is no terminal.

        with fallline.listen(model) as ear, fallline.listen.Live(ear):
            train()

    It looks after steps of torch's optimizers, twice a second at most; a loop that has none calls `look()`. Numbers
    are those of the whole, and of this process where there are several. Estimates are asked so rarely that they take a
    twentieth of the time.
    """

    def __init__(self, heeded: Ear | Attached, console: Any = None) -> None:
        self.heeded, self.console = heeded, console
        self._said: dict[str, Heard] = {}  # by name: the last estimate
        self._due: dict[str, float] = {}  # and when it is time for the next one
        self._pace: dict[str, tuple[float, int]] = {}  # by name: when, and at which step, it began
        self._next = 0.0
        self._panel: Any = None
        self._remove: Callable[[], None] = lambda: None

    def __enter__(self) -> Live:
        try:
            from rich.console import Console
            from rich.live import Live as Panel
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'The live panel needs {error.name}, which is not installed. Run: pip install "fallline[listen]"'
            ) from error
        self.console = self.console or Console()
        if self.console.is_terminal:
            self._panel = Panel(console=self.console, auto_refresh=False)
            self._panel.start()
            self._remove = register_optimizer_step_post_hook(lambda *_: self.look()).remove
        return self

    def __exit__(self, *error: object) -> None:
        self._remove()
        if self._panel is not None:
            self._panel.update(self._table(), refresh=True)
            self._panel.stop()
            self._panel = None

    def look(self) -> None:
        """Show what is known now, if the last look is long enough ago."""
        now = time.monotonic()
        if self._panel is None or now < self._next:
            return
        for name, ear in self._ears():
            self._ask(name, ear, now)
        self._panel.update(self._table(), refresh=True)
        self._next = time.monotonic() + PAUSE

    def _ears(self) -> list[tuple[str, Ear]]:
        return [("", self.heeded)] if isinstance(self.heeded, Ear) else list(self.heeded.ears.items())

    def _ask(self, name: str, ear: Ear, now: float) -> None:
        """A new estimate, if it is due, and no step is half over: to ask ends a step."""
        if ear.time < FEW or now < self._due.get(name, 0.0) or not _between(ear):
            return
        try:
            self._said[name] = heard(ear.record(), 0.95, ear.batch, parameters=False)
        except Exception:  # training must not end because somebody looks; the report will say what is wrong
            self._said.pop(name, None)
        self._due[name] = time.monotonic() + (time.monotonic() - now) / SHARE

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(title="fallline listens", title_justify="left", box=None, header_style="bold", pad_edge=False)
        for column in ("", "step", "steps/s", "noise / signal", "best momentum", "in use", "alarms"):
            table.add_column(column, justify="left" if not column else "right")
        for name, ear in self._ears():
            table.add_row(name, f"{ear.steps:,}", self._speed(name, ear), *_cells(self._said.get(name)))
        return table

    def _speed(self, name: str, ear: Ear) -> str:
        """Steps a second since the last look that was long ago."""
        now = time.monotonic()
        since, step = self._pace.setdefault(name, (now, ear.steps))
        return f"{(ear.steps - step) / (now - since):.1f}" if now > since else "..."


def _between(ear: Ear) -> bool:
    """Whether nobody has stepped since the last whole step, or all have that ever do."""
    return not ear._told or ear._told >= set[int]().union(*(who for _, who in ear._mine.values()))


def _cells(said: Heard | None) -> list[str]:
    """Of the total: noise, momenta (in the metric in use, where one is known), the last alarm."""
    if said is None:
        return ["listening", "", "", ""]
    total = said.total
    known = {total.metric: total.pay[total.metric]} if total.metric in total.pay else total.pay
    best = "  ".join(f"{metric} {pay.best_clean.value:.3g}" for metric, pay in known.items())
    used = "several" if total.momentum is None else f"{total.momentum:.3g}"
    last = [f"{one.statistic} at step {one.step}" for one in said.changes[-1:]]
    return [_short(total.noise_scale), best, used, *(last or ["none"])]


def _short(x: Estimate) -> str:
    return f"{x.value:.3g} [{x.low:.3g}, {x.high:.3g}]"
