"""How far: step rules."""

from .constant import Constant
from .wait import Wait

__all__ = [
    "Constant",
    "Wait",
]
