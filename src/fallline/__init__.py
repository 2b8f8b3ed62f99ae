"""Fallline: optimizers that choose their own hyperparameters while they train, and show why."""

from .core.lazy import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
