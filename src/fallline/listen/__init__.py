"""Listen: hear any training run's gradients, with any optimizer, and estimate what they say, with error bars.

    with fallline.listen(model) as ear:        # hooks of torch's optimizers; the loop stays as it is
        train(model)
    heard = ear.estimates()                    # -> Heard: .total, .roles["hidden"], .parameters["0.weight"], .changes

A `Reading` says of one scope (a parameter, a role, all) what was estimated, each number an `Estimate(value, low, high,
level)` and each function a `Curve`. Nothing is written to the model, and torch's random numbers are left alone.

How it hears: of every tensor a few runs of coordinates (`spot`, `reach`), of which a ring keeps the last steps
(`window`); every eight steps their products at all lags enter sums over stretches of steps (`tally`); whole matrices
are looked at in turn, rarely (`look`, `turn`). What is made of it: replicates of the sums (`replicate`; `neighbour`),
from which come the `signal` under the noise, `pay` as a function of momentum, the power of families of directions
(`family`), and alarms (`alarm`).

What a person sees: a page (`report`, of `section`s and `scope`s, with `chart`s drawn by `figure` in the page's `ink`),
and tables in the terminal (`shown`); for programs a document (`report.document`, `schema`).
"""

import sys
from types import ModuleType
from typing import Any

from ..core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)


class _Room(ModuleType):
    """This folder, which may be called: `fallline.listen(model)` is `fallline.listen.Ear(model)`."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.Ear(*given, **named)


sys.modules[__name__].__class__ = _Room
