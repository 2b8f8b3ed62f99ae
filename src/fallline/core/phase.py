"""Phase: the stretches of a step by name, for torch.profiler."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch.autograd import profiler

QUIET = nullcontext()


def phase(name: str) -> AbstractContextManager[Any]:
    """A range `fallline.<name>` in the profile that is being taken, if one is; what each range cost is read there.

    The parts of a rule have no ranges of their own: a kernel runs all of them in one pass over memory.

    >>> with phase("decide"):
    ...     pass
    """
    return profiler.record_function(f"fallline.{name}") if profiler._is_profiler_enabled else QUIET
