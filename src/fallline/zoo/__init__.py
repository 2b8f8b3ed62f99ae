"""Named optimizers: sentences made of parts."""

from .adago import AdaGO
from .adam import Adam, AdamW
from .asgo import ASGO, DASGO
from .deva import DeVA
from .adamuon import AdaMuon
from .auon import AuON
from .egd import EGD
from .greedy import gap_adam, gap_sgd
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro
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

__all__ = [
    "ASGO",
    "DASGO",
    "SGD",
    "SOAP",
    "Adam",
    "AdamW",
    "DeVA",
    "KLShampoo",
    "Lion",
    "Muon",
    "Shampoo",
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
    "TurboMuon",
from .pion import Pion
from .scion import Scion
from .sgd import SGD
from .transported import LMOIGT
from .wrapped import Hyperball, Soda

__all__ = [
    "LMOIGT",
    "SGD",
    "Adam",
    "AdamW",
    "Hyperball",
    "IntrinsicMuon",
    "Lion",
    "Macro",
    "Muon",
    "Pion",
    "Scion",
    "Soda",
    "gap_adam",
    "gap_sgd",
]
