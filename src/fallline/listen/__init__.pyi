from .advice import Advice, Recommendation
from .alarm import Jumper
from .case import Case, Counsel
from .counsel import TABLE
from .curvature import Curvature
from .ear import Ear
from .estimate import Change, Curve, Estimate, Evidence, Heard, Pay, Reading, Shape
from .hearing import heard
from .recommend import advised
from .record import Record
from .sharpness import Sharpness

__all__ = [
    "TABLE",
    "Advice",
    "Case",
    "Change",
    "Counsel",
    "Curvature",
    "Curve",
    "Ear",
    "Estimate",
    "Evidence",
    "Heard",
    "Jumper",
    "Pay",
    "Reading",
    "Recommendation",
    "Record",
    "Shape",
    "Sharpness",
    "advised",
    "heard",
]
