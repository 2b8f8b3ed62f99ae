from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .asgo import ASGO, DASGO
from .auon import AuON
from .auto import Auto
from .deva import DeVA, DeVAEuclid
from .dion import Dion, Dion2, NorDion2
from .dog import DoG, DoWG, LDoG
from .egd import EGD
from .free import ScheduleFreeAdamW, ScheduleFreeSGD
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .hilladam import HillAdam
from .htmuon import HTMuon
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro, Spel
from .muon import Muon
from .muoneq import MuonEq
from .namo import NAMO, NAMOD
from .normuon import NorMuon
from .o2nc import O2NC, DoubleO2NC
from .oasis import OASIS, AdGD
from .olion import OLion
from .pion import Pion
from .polar_adamw import PolarAdamW
from .polargrad import PolarGrad
from .prodigy import Prodigy
from .reg import REG
from .root import ROOT
from .scion import Scion
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .share import shares
from .smb import SMB
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon
from .udog import UDoG, UniXGrad
from .wrapped import Hyperball, Soda

__all__ = [
    "ASGO",
    "DASGO",
    "EGD",
    "LMOIGT",
    "NAMO",
    "NAMOD",
    "O2NC",
    "OASIS",
    "REG",
    "ROOT",
    "SGD",
    "SMB",
    "SOAP",
    "AdGD",
    "AdaGO",
    "AdaMuon",
    "Adam",
    "AdamW",
    "AuON",
    "Auto",
    "DeVA",
    "DeVAEuclid",
    "Dion",
    "Dion2",
    "DoG",
    "DoWG",
    "DoubleO2NC",
    "Freon",
    "HTMuon",
    "HillAdam",
    "Hyperball",
    "IntrinsicMuon",
    "KLShampoo",
    "Kaon",
    "LDoG",
    "Lion",
    "Macro",
    "MuCon",
    "Muon",
    "MuonEq",
    "NorDion2",
    "NorMuon",
    "OLion",
    "Pion",
    "PolarAdamW",
    "PolarGrad",
    "Prodigy",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Scion",
    "Shampoo",
    "Soda",
    "SoftMuon",
    "Spel",
    "TrustRegion",
    "TurboMuon",
    "UDoG",
    "UniXGrad",
    "gap_adam",
    "gap_sgd",
    "shares",
]
