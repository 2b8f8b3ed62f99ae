"""How the past is remembered: causal filters from gradients to one field."""

from .average import EMA, QuasiHyperbolic
from .bank import Bank
from .heavy import HeavyBall, Nesterov
from .identity import Identity
from .lowrank import LowRankEF
from .probe import Probe
from .scale import GainOf, Undamped, UnitGain, UnitPower
from .slice import SliceEF

__all__ = [
    "EMA",
    "Bank",
    "GainOf",
    "HeavyBall",
    "Identity",
    "LowRankEF",
    "Nesterov",
    "Probe",
    "QuasiHyperbolic",
    "SliceEF",
    "Undamped",
    "UnitGain",
    "UnitPower",
]
