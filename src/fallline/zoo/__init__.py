"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .dion import Dion, Dion2
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .htmuon import HTMuon
from .lion import Lion
from .muon import Muon
from .sgd import SGD
from .softmuon import MuCon, SoftMuon

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Dion",
    "Dion2",
    "Freon",
    "HTMuon",
    "Kaon",
    "Lion",
    "MuCon",
    "Muon",
    "SoftMuon",
    "gap_adam",
    "gap_sgd",
]
