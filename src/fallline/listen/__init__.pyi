from .alarm import Jumper
from .ear import Ear
from .estimate import Change, Curve, Estimate, Heard, Pay, Reading, Shape
from .hearing import heard
from .record import Record
from .sharpness import Sharpness

__all__ = [
    "Change",
    "Curve",
    "Ear",
    "Estimate",
    "Heard",
    "Jumper",
    "Pay",
    "Reading",
    "Record",
    "Shape",
    "Sharpness",
    "heard",
]
