from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .around import Averages, Lookahead, Mechanic, ScheduleFree
from .asgo import ASGO, DASGO
from .auon import AuON
from .auto import Auto
from .cautious import CautiousAdamW, CautiousLion, GramsAdamW, MGUPAdamW
from .chance import RandomSGD
from .dadapt import DAdaptAdam, DAdaptSGD
from .deva import DeVA, DeVAEuclid
from .dion import Dion, Dion2, NorDion2
from .dog import DoG, DoWG, LDoG
from .egd import EGD
from .energy import AEGD, AEGDM, AEGDW, AEPG
from .free import ScheduleFreeAdamW, ScheduleFreeSGD
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .hilladam import HillAdam
from .htmuon import HTMuon
from .hypergradient import SGDHD, AdamHD
from .induced import InducedMetric
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro, Spel
from .mixture import AdEMAMix, AggMo
from .momo import MoMo, MoMoAdam
from .muon import Muon
from .muoneq import MuonEq
from .namo import NAMO, NAMOD
from .normalized import AdaGradNormSGD, NormalizedSGD
from .normuon import NorMuon
from .o2nc import O2NC, DoubleO2NC
from .oasis import OASIS, AdGD
from .olion import OLion
from .optimistic import NIGT, OptAMSGrad
from .pion import Pion
from .polar_adamw import PolarAdamW
from .polargrad import PolarGrad
from .polyak import ALRHB, ALRSMAG, SPS, AliG, MomSPS
from .prodigy import Prodigy
from .quasi import QHM, QHAdam
from .reg import REG
from .relative import AdaBelief, AdaMax, NAdam, RAdam
from .root import ROOT
from .sania import SANIA
from .scion import Scion
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .share import shares
from .smb import SMB
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .subset import SNSM, AdamWSN
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon
from .udog import UDoG, UniXGrad
from .wrapped import Hyperball, Soda

__all__ = [
    "AEGD",
    "AEGDM",
    "AEGDW",
    "AEPG",
    "ALRHB",
    "ALRSMAG",
    "ASGO",
    "DASGO",
    "EGD",
    "LMOIGT",
    "NAMO",
    "NAMOD",
    "NIGT",
    "O2NC",
    "OASIS",
    "QHM",
    "REG",
    "ROOT",
    "SANIA",
    "SGD",
    "SGDHD",
    "SMB",
    "SNSM",
    "SOAP",
    "SPS",
    "AdEMAMix",
    "AdGD",
    "AdaBelief",
    "AdaGO",
    "AdaGradNormSGD",
    "AdaMax",
    "AdaMuon",
    "Adam",
    "AdamHD",
    "AdamW",
    "AdamWSN",
    "AggMo",
    "AliG",
    "AuON",
    "Auto",
    "Averages",
    "CautiousAdamW",
    "CautiousLion",
    "DAdaptAdam",
    "DAdaptSGD",
    "DeVA",
    "DeVAEuclid",
    "Dion",
    "Dion2",
    "DoG",
    "DoWG",
    "DoubleO2NC",
    "Freon",
    "GramsAdamW",
    "HTMuon",
    "HillAdam",
    "Hyperball",
    "InducedMetric",
    "IntrinsicMuon",
    "KLShampoo",
    "Kaon",
    "LDoG",
    "Lion",
    "Lookahead",
    "MGUPAdamW",
    "Macro",
    "Mechanic",
    "MoMo",
    "MoMoAdam",
    "MomSPS",
    "MuCon",
    "Muon",
    "MuonEq",
    "NAdam",
    "NorDion2",
    "NorMuon",
    "NormalizedSGD",
    "OLion",
    "OptAMSGrad",
    "Pion",
    "PolarAdamW",
    "PolarGrad",
    "Prodigy",
    "QHAdam",
    "RAdam",
    "RandomSGD",
    "ScheduleFree",
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
