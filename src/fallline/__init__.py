"""Fallline: optimizers that choose their own hyperparameters while they train, and show why."""

from .combines import Coupled, Decoupled
from .core.descent import Descent
from .core.error import AgreementError, CheckpointError, NonFiniteError, OwnershipError, SlotError
from .core.rule import Rule
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
from .metrics import Euclid, SecondMoment, Sign
from .selectors import Cone, Fixed, Greedy, Replay, Span
from .steps import Constant
from .writes import Kahan, Nearest, Stochastic
from .zoo import SGD, Adam, AdamW, Lion, gap_adam, gap_sgd

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "SGD",
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
    "Lion",
    "Nearest",
    "Nesterov",
    "NonFiniteError",
    "OwnershipError",
    "Probe",
    "QuasiHyperbolic",
    "Replay",
    "Rule",
    "SecondMoment",
    "Sign",
    "SlotError",
    "Span",
    "Stochastic",
    "Undamped",
    "UnitGain",
    "UnitPower",
    "gap_adam",
    "gap_sgd",
]
