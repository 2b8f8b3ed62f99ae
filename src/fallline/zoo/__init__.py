"""Named optimizers: sentences made of parts."""

from .adam import Adam, AdamW
from .greedy import gap_adam, gap_sgd
from .lion import Lion
from .muon import Muon
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Lion", "Muon", "gap_adam", "gap_sgd"]
