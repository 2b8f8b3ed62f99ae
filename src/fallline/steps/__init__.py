"""How far: step rules."""

from .constant import Constant
from .radius import Radius

__all__ = ["Constant", "Radius"]
