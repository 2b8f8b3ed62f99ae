"""Fallline: optimizers that choose their own hyperparameters while they train, and show why."""

from .combines import (
    Anchor,
    Coupled,
    Decoupled,
    FixedNorm,
    FrankWolfe,
    FrobeniusSphere,
    LowRankPair,
    ObliqueSphere,
    Retract,
    SpectralSphere,
    Transport,
    TwoSided,
)
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
from .steps import Constant, Radius
from .writes import Kahan, Nearest, Stochastic
from .zoo import LMOIGT, SGD, Adam, AdamW, Hyperball, IntrinsicMuon, Lion, Macro, Muon, Pion, Soda, gap_adam, gap_sgd

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "LMOIGT",
    "SGD",
    "SVD",
    "Adam",
    "AdamW",
    "AgreementError",
    "Anchor",
    "Bank",
    "CheckpointError",
    "Cone",
    "Constant",
    "Coupled",
    "Decoupled",
    "Descent",
    "Euclid",
    "Fixed",
    "FixedNorm",
    "FrankWolfe",
    "FrobeniusSphere",
    "GainOf",
    "Greedy",
    "HeavyBall",
    "Hyperball",
    "Identity",
    "IntrinsicMuon",
    "Kahan",
    "Keller",
    "Lion",
    "LowRankPair",
    "Macro",
    "MatchRMS",
    "Muon",
    "Nearest",
    "Nesterov",
    "NewtonSchulz",
    "NonFiniteError",
    "ObliqueSphere",
    "OwnershipError",
    "Pion",
    "Probe",
    "QuasiHyperbolic",
    "Radius",
    "Replay",
    "Retract",
    "Role",
    "Rule",
    "SecondMoment",
    "Sign",
    "SlotError",
    "Soda",
    "Span",
    "Spectral",
    "SpectralSphere",
    "Stochastic",
    "Transport",
    "TwoSided",
    "Undamped",
    "UnitGain",
    "UnitPower",
    "View",
    "gap_adam",
    "gap_sgd",
    "roles",
]
