"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from .diagonal import SecondMoment
from .euclid import Euclid
from .sign import Sign

__all__ = ["Euclid", "SecondMoment", "Sign"]
