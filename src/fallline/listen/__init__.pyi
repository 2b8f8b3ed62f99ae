from .advice import Advice, Recommendation
from .alarm import Jumper
from .ear import Ear
from .estimate import Change, Curve, Estimate, Heard, Pay, Reading, Shape
from .hearing import heard
from .record import Record
from .report import document, page, write
from .sharpness import Sharpness
from .shown import tables

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
    "document",
    "heard",
    "page",
    "tables",
    "write",
]
