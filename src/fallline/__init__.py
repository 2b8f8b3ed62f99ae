"""Fallline: optimizers that choose their own hyperparameters while they train, and show why."""

from .combines import Coupled, Decoupled, Trailing
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
    Late,
    Nesterov,
    Probe,
    QuasiHyperbolic,
    Undamped,
    UnitGain,
    UnitPower,
)
from .metrics import (
    SVD,
    Euclid,
    Grafted,
    Keller,
    Kronecker,
    MatchRMS,
    NewtonSchulz,
    RotatedMoment,
    SecondMoment,
    SideMoment,
    Sign,
    Spectral,
)
from .selectors import Cone, Fixed, Greedy, Replay, Span
from .steps import Constant, Wait
from .writes import Kahan, Nearest, Stochastic
from .zoo import SGD, SOAP, Adam, AdamW, Lion, Muon, Shampoo, gap_adam, gap_sgd

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "SGD",
    "SOAP",
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
    "Grafted",
    "Greedy",
    "HeavyBall",
    "Identity",
    "Kahan",
    "Keller",
    "Kronecker",
    "Late",
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
    "RotatedMoment",
    "Rule",
    "SecondMoment",
    "Shampoo",
    "SideMoment",
    "Sign",
    "SlotError",
    "Span",
    "Spectral",
    "Stochastic",
    "Trailing",
    "Undamped",
    "UnitGain",
    "UnitPower",
    "View",
    "Wait",
    "gap_adam",
    "gap_sgd",
    "roles",
]
