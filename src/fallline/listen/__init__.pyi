from .advice import Advice, Recommendation
from .alarm import Jumper
from .ear import Ear
from .estimate import Change, Curve, Estimate, Heard, Pay, Reading, Shape
from .hearing import heard
from .record import Record
from .sharpness import Sharpness

__all__ = [
    "Advice",
    "Change",
    "Curve",
    "Ear",
    "Estimate",
    "Heard",
    "Jumper",
    "Pay",
    "Reading",
    "Recommendation",
    "Record",
    "Shape",
    "Sharpness",
    "heard",
]
