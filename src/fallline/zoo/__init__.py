"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .greedy import gap_adam, gap_sgd
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro, Spel
from .muon import Muon
from .pion import Pion
from .scion import Scion
from .sgd import SGD
from .transported import LMOIGT
from .wrapped import Hyperball, Soda

__all__ = [
    "LMOIGT",
    "SGD",
    "Adam",
    "AdamW",
    "Hyperball",
    "IntrinsicMuon",
    "Lion",
    "Macro",
    "Muon",
    "Pion",
    "Scion",
    "Soda",
    "Spel",
    "gap_adam",
    "gap_sgd",
]
