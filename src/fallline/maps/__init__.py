"""Small transformations before or after the metric."""

from ..core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
