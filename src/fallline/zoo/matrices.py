"""Those of the registry that tell hidden matrices from the rest."""

from __future__ import annotations

from ..metrics import NewtonSchulz, Spectral
from .adago import AdaGO
from .adamuon import AdaMuon
from .asgo import ASGO, DASGO
from .auon import AuON
from .auto import Auto
from .deva import DeVA
from .dion import Dion, Dion2, NorDion2
from .egd import EGD
from .entry import CHOOSES, Entry, cast
from .freon import Freon, Kaon
from .htmuon import HTMuon
from .intrinsic import IntrinsicMuon
from .macro import Macro, Spel
from .muon import Muon
from .muoneq import MuonEq
from .namo import NAMO, NAMOD
from .normuon import NorMuon
from .olion import OLion
from .pion import Pion
from .polar_adamw import PolarAdamW
from .polargrad import PolarGrad
from .reg import REG
from .root import ROOT
from .scion import Scion
from .shampoo import KLShampoo, Shampoo
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .subset import SNSM, AdamWSN
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon

MATRICES = (
    Entry("auto", "ours", "average → spectral or second moment, step found, averaged", cast(Auto, 1.0)),
    Entry("adamw-sn", "Nguyen & Nguyen, arXiv 2411.07120", "EMA → subset norm, decay", cast(AdamWSN, 0.03)),
    Entry(
        "snsm",
        "Nguyen & Nguyen, arXiv 2411.07120",
        "momentum in a subspace → subset norm",
        cast(SNSM, 0.03, rank=2, every=5),
    ),
    Entry("muon", "K. Jordan 2024; torch.optim.Muon", "Nesterov average → spectral", cast(Muon, 0.01)),
    Entry("muon-auto", CHOOSES, "probe, greedy → spectral", cast(Muon, 0.01, momentum="auto")),
    Entry(
        "trust-region",
        "Kovalev, arXiv 2503.12645",
        "primed average → any norm, here spectral and sign",
        cast(TrustRegion, 0.01),
    ),
    Entry("asgo", "An et al., arXiv 2503.20762", "EMA → root of the shorter side's Gram, exact size", cast(ASGO, 0.01)),
    Entry("dasgo", "An et al., arXiv 2503.20762", "EMA → moments of the shorter side, exact size", cast(DASGO, 0.01)),
    Entry(
        "deva",
        "Song et al., arXiv 2602.06880",
        "Nesterov average → spectral, varied in the eigenbasis",
        cast(DeVA, 0.003),
    ),
    Entry("shampoo", "Gupta et al., arXiv 1802.09568", "EMA → both Gram roots, grafted", cast(Shampoo, 0.01)),
    Entry("kl-shampoo", "Lin et al., arXiv 2509.03378", "EMA → both sides fitted together", cast(KLShampoo, 0.01)),
    Entry("soap", "Vyas et al., arXiv 2409.11321", "EMA → rotated moment", cast(SOAP, 0.01)),
    Entry("dion", "arXiv 2504.05295", "low rank, error feedback → sqrt(m / n)", cast(Dion, 0.01)),
    Entry("dion2", "arXiv 2512.16928", "heaviest slices, error feedback → spectral", cast(Dion2, 0.01)),
    Entry("htmuon", "arXiv 2603.10067", "Nesterov average → spectrum to a power", cast(HTMuon, 0.02)),
    Entry("normuon", "Li et al., arXiv 2510.05491", "Nesterov average → spectral → row moment", cast(NorMuon, 0.01)),
    Entry("adamuon", "Si et al., arXiv 2507.11005", "Nesterov average → sign → spectral → moment", cast(AdaMuon, 0.01)),
    Entry("adago", "arXiv 2509.02981", "average → spectral, AdaGrad-norm's step", cast(AdaGO, 0.05)),
    Entry("namo", "arXiv 2602.17080", "Nesterov average → spectral, ratio of norms", cast(NAMO, 0.01)),
    Entry("namo-d", "arXiv 2602.17080", "Nesterov average → spectral, ratio by column", cast(NAMOD, 0.01)),
    Entry("muoneq", "arXiv 2603.28254", "Nesterov → row scale → spectral", cast(MuonEq, 0.01)),
    Entry("reg", "arXiv 2510.03691", "average → row and column scale", cast(REG, 0.01)),
    Entry("root", "arXiv 2511.20626", "Nesterov → clamp → spectral", cast(ROOT, 0.01)),
    Entry("auon", "ryyzn9/AuON", "Nesterov average → Euclid: SGD in disguise", cast(AuON, 0.05)),
    Entry(
        "auon-hybrid",
        "ryyzn9/AuON",
        "Nesterov average → spectral: Muon in disguise",
        cast(AuON, 0.01, metric=Spectral(NewtonSchulz())),
    ),
    Entry("egd", "arXiv 2510.04930", "gradient → spectral", cast(EGD, 0.01)),
    Entry("polar-adamw", "arXiv 2605.07067", "EMA → second moment → spectral", cast(PolarAdamW, 0.01)),
    Entry("olion", "arXiv 2602.01105", "Nesterov average → spectral → sign", cast(OLion, 0.01)),
    Entry("turbo-muon", "arXiv 2512.04632", "Nesterov average → spectral, AOL start", cast(TurboMuon, 0.01)),
    Entry("polargrad", "arXiv 2505.21799", "average → spectral, own nuclear norm", cast(PolarGrad, 0.01)),
    Entry("macro", "arXiv 2605.04418", "average → spectral on a sphere", cast(Macro, 0.01)),
    Entry("sso", "arXiv 2601.08393", "average → spectral, tangent to a sphere", cast(Macro, 0.01, sphere="solved")),
    Entry("spel", "arXiv 2601.21487", "average → spectral, orthonormal", cast(Spel, 0.01)),
    Entry("lmo-igt", "arXiv 2605.05577", "average → spectral, transport", cast(LMOIGT, 0.01)),
    Entry("pion", "arXiv 2605.12492", "Adam on rotations of both sides", cast(Pion, 0.01)),
    Entry("intrinsic-muon", "arXiv 2605.09238", "spectral, of B A", cast(IntrinsicMuon, 0.01)),
    Entry("scion", "arXiv 2502.07529", "average → norm by role, in balls", cast(Scion, 2e-3)),
    Entry("uscion", "arXiv 2502.07529", "average → norm by role", cast(Scion, 2e-3, constrained=False)),
    Entry("freon", "arXiv 2605.11181", "average → Schatten and beyond", cast(Freon, 0.01)),
    Entry("kaon", "arXiv 2605.11181", "a control: average → chaotic spectrum", cast(Kaon, 0.01)),
    Entry("softmuon", "arXiv 2605.31371", "Nesterov average → soft spectrum", cast(SoftMuon, 0.02)),
    Entry("nordion2", "microsoft/dion", "slices, feedback → spectral → rows", cast(NorDion2, 0.01)),
    Entry("mucon", "arXiv 2605.26459", "Nesterov average → clipped spectrum", cast(MuCon, 0.02)),
)
