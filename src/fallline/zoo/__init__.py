"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .greedy import gap_adam, gap_sgd
from .lion import Lion
from .muon import Muon
from .sgd import SGD
from .share import shares
from .trust import TrustRegion

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Lion",
    "Muon",
    "TrustRegion",
    "gap_adam",
    "gap_sgd",
    "shares",
]
