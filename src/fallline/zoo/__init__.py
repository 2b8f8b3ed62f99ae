"""Named optimizers: sentences made of parts."""

from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .auon import AuON
from .egd import EGD
from .greedy import gap_adam, gap_sgd
from .lion import Lion
from .muon import Muon
from .muoneq import MuonEq
from .namo import NAMO, NAMOD
from .normuon import NorMuon
from .olion import OLion
from .polar_adamw import PolarAdamW
from .polargrad import PolarGrad
from .reg import REG
from .root import ROOT
from .sgd import SGD
from .share import shares
from .trust import TrustRegion
from .turbo import TurboMuon

__all__ = [
    "EGD",
    "NAMO",
    "NAMOD",
    "REG",
    "ROOT",
    "SGD",
    "AdaGO",
    "AdaMuon",
    "Adam",
    "AdamW",
    "AuON",
    "Lion",
    "Muon",
    "MuonEq",
    "NorMuon",
    "OLion",
    "PolarAdamW",
    "PolarGrad",
    "TrustRegion",
    "TurboMuon",
    "gap_adam",
    "gap_sgd",
    "shares",
]
