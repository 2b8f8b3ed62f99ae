"""Which way is steepest: norms with their dual maps, and learned preconditioners."""

from ..core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
