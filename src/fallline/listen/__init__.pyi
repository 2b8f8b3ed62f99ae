from .advice import Advice, Recommendation
from .alarm import Jumper
from .attach import Attached, attached
from .case import Case, Counsel
from .counsel import TABLE
from .curvature import Curvature
from .ear import Ear
from .estimate import Change, Curve, Estimate, Evidence, Heard, Pay, Reading, Shape
from .hearing import heard
from .live import Live
from .outcome import Outcome, told
from .recommend import advised
from .record import Record
from .report import document, page, write
from .row import log, rows
from .sharpness import Sharpness
from .shown import tables

__all__ = [
    "TABLE",
    "Advice",
    "Attached",
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
    "Live",
    "Outcome",
    "Pay",
    "Reading",
    "Recommendation",
    "Record",
    "Shape",
    "Sharpness",
    "advised",
    "attached",
    "document",
    "heard",
    "log",
    "page",
    "rows",
    "tables",
    "told",
    "write",
]
