from .advice import Advice, Recommendation
from .alarm import Jumper
from .attach import Attached, attached
from .ear import Ear
from .estimate import Change, Curve, Estimate, Heard, Pay, Reading, Shape
from .hearing import heard
from .live import Live
from .outcome import Outcome, told
from .record import Record
from .row import log, rows
from .sharpness import Sharpness

__all__ = [
    "Advice",
    "Attached",
    "Change",
    "Curve",
    "Ear",
    "Estimate",
    "Heard",
    "Jumper",
    "Live",
    "Outcome",
    "Pay",
    "Reading",
    "Recommendation",
    "Record",
    "Shape",
    "Sharpness",
    "attached",
    "heard",
    "log",
    "rows",
    "told",
]
