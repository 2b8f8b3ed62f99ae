"""How a result is rounded into weights that are narrower than the arithmetic."""

from ..core.write import Nearest
from .kahan import Kahan
from .stochastic import Stochastic

__all__ = ["Kahan", "Nearest", "Stochastic"]
