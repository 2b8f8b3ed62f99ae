"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .asgo import ASGO, DASGO
from .deva import DeVA
from .greedy import gap_adam, gap_sgd
from .lion import Lion
from .muon import Muon
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .soap import SOAP

__all__ = [
    "ASGO",
    "DASGO",
    "SGD",
    "SOAP",
    "Adam",
    "AdamW",
    "DeVA",
    "KLShampoo",
    "Lion",
    "Muon",
    "Shampoo",
    "gap_adam",
    "gap_sgd",
]
