from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .asgo import ASGO, DASGO
from .auon import AuON
from .auto import Auto
from .cautious import CautiousAdamW, CautiousLion, GramsAdamW, MGUPAdamW
from .chance import RandomSGD
from .deva import DeVA, DeVAEuclid
from .dion import Dion, Dion2, NorDion2
from .dog import DoG, DoWG, LDoG
from .egd import EGD
from .free import ScheduleFreeAdamW, ScheduleFreeSGD
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .htmuon import HTMuon
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro, Spel
from .mixture import AdEMAMix, AggMo
from .muon import Muon
from .muoneq import MuonEq
from .namo import NAMO, NAMOD
from .normuon import NorMuon
from .olion import OLion
from .optimistic import NIGT, OptAMSGrad
from .pion import Pion
from .polar_adamw import PolarAdamW
from .polargrad import PolarGrad
from .prodigy import Prodigy
from .quasi import QHM, QHAdam
from .reg import REG
from .relative import AdaBelief, AdaMax, NAdam, RAdam
from .root import ROOT
from .scion import Scion
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .share import shares
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .subset import SNSM, AdamWSN
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon
from .wrapped import Hyperball, Soda

__all__ = [
    "ASGO",
    "DASGO",
    "EGD",
    "LMOIGT",
    "NAMO",
    "NAMOD",
    "NIGT",
    "QHM",
    "REG",
    "ROOT",
    "SGD",
    "SNSM",
    "SOAP",
    "AdEMAMix",
    "AdaBelief",
    "AdaGO",
    "AdaMax",
    "AdaMuon",
    "Adam",
    "AdamW",
    "AdamWSN",
    "AggMo",
    "AuON",
    "Auto",
    "CautiousAdamW",
    "CautiousLion",
    "DeVA",
    "DeVAEuclid",
    "Dion",
    "Dion2",
    "DoG",
    "DoWG",
    "Freon",
    "GramsAdamW",
    "HTMuon",
    "Hyperball",
    "IntrinsicMuon",
    "KLShampoo",
    "Kaon",
    "LDoG",
    "Lion",
    "MGUPAdamW",
    "Macro",
    "MuCon",
    "Muon",
    "MuonEq",
    "NAdam",
    "NorDion2",
    "NorMuon",
    "OLion",
    "OptAMSGrad",
    "Pion",
    "PolarAdamW",
    "PolarGrad",
    "Prodigy",
    "QHAdam",
    "RAdam",
    "RandomSGD",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Scion",
    "Shampoo",
    "Soda",
    "SoftMuon",
    "Spel",
    "TrustRegion",
    "TurboMuon",
    "gap_adam",
    "gap_sgd",
    "shares",
]
