"""How a direction enters the weights."""

from .decay import Coupled, Decoupled

__all__ = ["Coupled", "Decoupled"]
