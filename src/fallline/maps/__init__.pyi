from .awake import Awake
from .chain import Chain
from .clamp import Clamp
from .cosh import Cosh
from .foresight import Foresight
from .hill import Hill
from .mask import Cautious, GradientSign, TopAligned
from .moment import ElementMoment, RowMoment
from .rms import Rms
from .scale import RowColScale
from .through import Through
from .variance import Variance

__all__ = [
    "Awake",
    "Cautious",
    "Chain",
    "Clamp",
    "Cosh",
    "ElementMoment",
    "Foresight",
    "GradientSign",
    "Hill",
    "Rms",
    "RowColScale",
    "RowMoment",
    "Through",
    "TopAligned",
    "Variance",
]
