"""Fallline: optimizers that choose their own hyperparameters while they train, and show why."""

from .combines import Coupled, Decoupled
from .core.descent import Descent
from .core.error import AgreementError, CheckpointError, NonFiniteError, OwnershipError, SlotError
from .core.network import roles
from .core.role import Role
from .core.rule import Rule
from .core.view import View
from .filters import (
    EMA,
    Bank,
    GainOf,
    HeavyBall,
    Identity,
    Nesterov,
    Probe,
    QuasiHyperbolic,
    Undamped,
    UnitGain,
    UnitPower,
)
from .metrics import SVD, Euclid, Keller, MatchRMS, NewtonSchulz, SecondMoment, Sign, Spectral
from .selectors import Cone, Fixed, Greedy, Replay, Span
from .steps import Constant
from .writes import Kahan, Nearest, Stochastic
from .zoo import SGD, Adam, AdamW, Lion, Muon, gap_adam, gap_sgd

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "SGD",
    "SVD",
    "Adam",
    "AdamW",
    "AgreementError",
    "Bank",
    "CheckpointError",
    "Cone",
    "Constant",
    "Coupled",
    "Decoupled",
    "Descent",
    "Euclid",
    "Fixed",
    "GainOf",
    "Greedy",
    "HeavyBall",
    "Identity",
    "Kahan",
    "Keller",
    "Lion",
    "MatchRMS",
    "Muon",
    "Nearest",
    "Nesterov",
    "NewtonSchulz",
    "NonFiniteError",
    "OwnershipError",
    "Probe",
    "QuasiHyperbolic",
    "Replay",
    "Role",
    "Rule",
    "SecondMoment",
    "Sign",
    "SlotError",
    "Span",
    "Spectral",
    "Stochastic",
    "Undamped",
    "UnitGain",
    "UnitPower",
    "View",
    "gap_adam",
    "gap_sgd",
    "roles",
]
