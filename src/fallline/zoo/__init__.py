"""Named optimizers: sentences made of parts."""

from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .asgo import ASGO, DASGO
from .auon import AuON
from .deva import DeVA, DeVAEuclid
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
from .shampoo import KLShampoo, Shampoo
from .soap import SOAP
from .turbo import TurboMuon

__all__ = [
    "ASGO",
    "DASGO",
    "EGD",
    "NAMO",
    "NAMOD",
    "REG",
    "ROOT",
    "SGD",
    "SOAP",
    "AdaGO",
    "AdaMuon",
    "Adam",
    "AdamW",
    "AuON",
    "DeVA",
    "DeVAEuclid",
    "KLShampoo",
    "Lion",
    "Muon",
    "MuonEq",
    "NorMuon",
    "OLion",
    "PolarAdamW",
    "PolarGrad",
    "Shampoo",
    "TurboMuon",
    "gap_adam",
    "gap_sgd",
]
