from .average import EMA, Primed, QuasiHyperbolic
from .bank import Bank
from .heavy import HeavyBall, Nesterov
from .identity import Identity
from .late import Late
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
    "Late",
    "LowRankEF",
    "Nesterov",
    "Primed",
    "Probe",
    "QuasiHyperbolic",
    "SliceEF",
    "Undamped",
    "UnitGain",
    "UnitPower",
]
