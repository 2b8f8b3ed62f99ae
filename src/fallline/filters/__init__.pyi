from .average import EMA, Primed, QuasiHyperbolic
from .bank import Bank
from .heavy import HeavyBall, Nesterov
from .identity import Identity
from .late import Late
from .lowrank import LowRankEF
from .mixture import HeavyBalls, TwoAverages
from .probe import Probe
from .quasi import NesterovEMA, QuasiEMA
from .scale import GainOf, Undamped, UnitGain, UnitPower
from .slice import SliceEF
from .subspace import SubspaceMomentum

__all__ = [
    "EMA",
    "Bank",
    "GainOf",
    "HeavyBall",
    "HeavyBalls",
    "Identity",
    "Late",
    "LowRankEF",
    "Nesterov",
    "NesterovEMA",
    "Primed",
    "Probe",
    "QuasiEMA",
    "QuasiHyperbolic",
    "SliceEF",
    "SubspaceMomentum",
    "TwoAverages",
    "Undamped",
    "UnitGain",
    "UnitPower",
]
