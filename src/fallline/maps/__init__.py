"""Small transformations before or after the metric."""

from .chain import Chain
from .clamp import Clamp
from .cosh import Cosh
from .moment import ElementMoment, RowMoment
from .rms import Rms
from .scale import GramScale, RowColScale
from .through import Through

__all__ = [
    "Chain",
    "Clamp",
    "Cosh",
    "ElementMoment",
    "GramScale",
    "Rms",
    "RowColScale",
    "RowMoment",
    "Through",
]
