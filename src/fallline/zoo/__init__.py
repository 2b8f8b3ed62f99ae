"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .greedy import gap_adam, gap_sgd
from .lion import Lion
from .muon import Muon
from .sgd import SGD
from .shampoo import Shampoo
from .soap import SOAP

__all__ = [
    "SGD",
    "SOAP",
    "Adam",
    "AdamW",
    "Lion",
    "Muon",
    "Shampoo",
    "gap_adam",
    "gap_sgd",
]
