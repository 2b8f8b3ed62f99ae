"""How the past is remembered: causal filters from gradients to one field."""

from ..core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
