"""How far: step rules."""

from .constant import Constant

__all__ = ["Constant"]
