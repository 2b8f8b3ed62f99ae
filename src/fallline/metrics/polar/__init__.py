"""Ways to compute a polar factor: the orthogonal matrix nearest to a matrix."""

import torch

from .auto import AUTO, Auto
from .coefficient import SETS
from .factor import Polar
from .halley import QDWH, GramQDWH
from .newton import GramNewtonSchulz, NewtonSchulz
from .spectrum import SVD, GramEigen, Vector
from .start import AOL, FrobeniusStart, SchattenStart, Start

TORCH = NewtonSchulz("keller", dtype=torch.bfloat16, pile=False)  # bit for bit what torch.optim.Muon computes

__all__ = [
    "AOL",
    "AUTO",
    "QDWH",
    "SETS",
    "SVD",
    "TORCH",
    "Auto",
    "FrobeniusStart",
    "GramEigen",
    "GramNewtonSchulz",
    "GramQDWH",
    "NewtonSchulz",
    "Polar",
    "SchattenStart",
    "Start",
    "Vector",
]
