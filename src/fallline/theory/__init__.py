"""The paper's mathematics on small explicit matrices: the oracle of everything else."""

from .autocorrelation import Arma, Autocorrelation, convolve, noisy, recorded, traces
from .ball import Ball
from .bowl import Bowl, course, floor, greedy, lagged
from .curvature import Mode, bend, best, drop, edge, spread, steady
from .data import Data
from .diagonal import Diagonal, costs
from .endpoint import LeastSquares, commutator, complexity, decayed, end, filtered, kernel, switched
from .family import (
    Bank,
    adam,
    best_mix,
    best_momentum,
    fir,
    momentum,
    momentum_pay,
    momentum_rate,
    nesterov,
    nesterov_pay,
    quasi,
    quasi_pay,
)
from .filter import Filter, coordinatewise, pay, scalar
from .frobenius import Frobenius
from .intersection import Intersection
from .kronecker import Kronecker
from .lift import CostBall, EnergyBall, LagBall, OutputBall
from .perturbation import distance, radius, regret, regret_bound, shift_bound, spread_bound
from .product import Product
from .projection import best_ray, cone_mixture, matched, nearest_ray, project, share
from .region import Projecting, Region, pairing, rooted
from .spectral import Spectral
from .stability import (
    agreement,
    bernstein,
    cantelli,
    correlated,
    effective,
    gaps,
    gaussian,
    regret_limit,
    round_limit,
    samples,
    support_limit,
)
from .validation import Score, cross, half_batches, later_batch, noise_power, same_batch

__all__ = [
    "Arma",
    "Autocorrelation",
    "Ball",
    "Bank",
    "Bowl",
    "CostBall",
    "Data",
    "Diagonal",
    "EnergyBall",
    "Filter",
    "Frobenius",
    "Intersection",
    "Kronecker",
    "LagBall",
    "LeastSquares",
    "Mode",
    "OutputBall",
    "Product",
    "Projecting",
    "Region",
    "Score",
    "Spectral",
    "adam",
    "agreement",
    "bend",
    "bernstein",
    "best",
    "best_mix",
    "best_momentum",
    "best_ray",
    "cantelli",
    "commutator",
    "complexity",
    "cone_mixture",
    "convolve",
    "coordinatewise",
    "correlated",
    "costs",
    "course",
    "cross",
    "decayed",
    "distance",
    "drop",
    "edge",
    "effective",
    "end",
    "filtered",
    "fir",
    "floor",
    "gaps",
    "gaussian",
    "greedy",
    "half_batches",
    "kernel",
    "lagged",
    "later_batch",
    "matched",
    "momentum",
    "momentum_pay",
    "momentum_rate",
    "nearest_ray",
    "nesterov",
    "nesterov_pay",
    "noise_power",
    "noisy",
    "pairing",
    "pay",
    "project",
    "quasi",
    "quasi_pay",
    "radius",
    "recorded",
    "regret",
    "regret_bound",
    "regret_limit",
    "rooted",
    "round_limit",
    "same_batch",
    "samples",
    "scalar",
    "share",
    "shift_bound",
    "spread",
    "spread_bound",
    "steady",
    "support_limit",
    "switched",
    "traces",
]
