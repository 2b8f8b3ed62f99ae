"""The optimizer as the solution of a convex problem, on small explicit operators: the oracle of everything above."""

from .ball import Ball
from .data import Data
from .diagonal import Diagonal, costs
from .frobenius import Frobenius
from .intersection import Intersection
from .kronecker import Kronecker
from .perturbation import distance, radius, regret, regret_bound, shift_bound, spread_bound
from .product import Product
from .region import Projecting, Region, pairing, rooted
from .spectral import Spectral

__all__ = [
    "Ball",
    "Data",
    "Diagonal",
    "Frobenius",
    "Intersection",
    "Kronecker",
    "Product",
    "Projecting",
    "Region",
    "Spectral",
    "costs",
    "distance",
    "pairing",
    "radius",
    "regret",
    "regret_bound",
    "rooted",
    "shift_bound",
    "spread_bound",
]
