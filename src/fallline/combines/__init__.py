"""How a direction enters the weights."""

from .decay import Coupled, Decoupled
from .trailing import Trailing

__all__ = [
    "Coupled",
    "Decoupled",
    "Trailing",
]
