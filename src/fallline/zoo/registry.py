"""The registry: every named optimizer with its paper, its sentence and a recipe that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.descent import Descent
from ..metrics import NewtonSchulz, Spectral
from .adago import AdaGO
from .adam import Adam, AdamW
from .adamuon import AdaMuon
from .asgo import ASGO, DASGO
from .auon import AuON
from .deva import DeVA, DeVAEuclid
from .dion import Dion, Dion2, NorDion2
from .egd import EGD
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .htmuon import HTMuon
from .intrinsic import IntrinsicMuon
from .lion import Lion
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
from .routed import BY_SHAPE
from .scion import Scion
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon
from .wrapped import Hyperball, Soda


@dataclass(frozen=True)
class Entry:
    """One optimizer: where it comes from, what it says, and `build(params)`."""

    name: str
    paper: str
    sentence: str
    build: Callable[[Any], Descent]


_CHOOSES = "Lee & Lee, arXiv 2512.06370"

ENTRIES = (
    Entry("sgd", "Polyak 1964; torch.optim.SGD", "heavy ball → Euclid", partial(SGD, lr=0.05, momentum=0.9)),
    Entry("nesterov", "Nesterov 1983", "Nesterov → Euclid", partial(SGD, lr=0.05, momentum=0.9, nesterov=True)),
    Entry("adam", "Kingma & Ba, arXiv 1412.6980", "EMA → second moment", partial(Adam, lr=0.01)),
    Entry("adamw", "Loshchilov & Hutter, arXiv 1711.05101", "EMA → second moment, decay", partial(AdamW, lr=0.01)),
    Entry("lion", "Chen et al., arXiv 2302.06675", "quasi-hyperbolic → sign, decay", partial(Lion, lr=0.003)),
    Entry("sgd-auto", _CHOOSES, "probe, greedy → Euclid", partial(SGD, lr=0.05, momentum="auto")),
    Entry("adamw-auto", _CHOOSES, "probe, greedy → second moment", partial(AdamW, lr=0.01, betas=("auto", 0.999))),
    Entry("lion-auto", _CHOOSES, "probe, greedy → sign", partial(Lion, lr=0.003, betas=((0.5, 0.9), 0.99))),
    Entry(
        "muon",
        "K. Jordan 2024; torch.optim.Muon",
        "Nesterov average → spectral",
        partial(Muon, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("muon-auto", _CHOOSES, "probe, greedy → spectral", partial(Muon, lr=0.01, momentum="auto", roles=BY_SHAPE)),
    Entry("trust-region", "Kovalev, arXiv 2503.12645", "average → any norm", partial(TrustRegion, roles=BY_SHAPE)),
    Entry(
        "asgo",
        "An et al., arXiv 2503.20762",
        "EMA → root of the shorter side's Gram, exact size",
        partial(ASGO, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "dasgo",
        "An et al., arXiv 2503.20762",
        "EMA → moments of the shorter side, exact size",
        partial(DASGO, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "deva",
        "Song et al., arXiv 2602.06880",
        "Nesterov average → spectral, varied in the eigenbasis",
        partial(DeVA, lr=0.003, roles=BY_SHAPE),
    ),
    Entry(
        "deva-euclid",
        "Song et al., arXiv 2602.06880",
        "EMA → its variance, decay",
        partial(DeVAEuclid, lr=0.01),
    ),
    Entry(
        "shampoo",
        "Gupta et al., arXiv 1802.09568",
        "EMA → both Gram roots, grafted",
        partial(Shampoo, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "kl-shampoo",
        "Lin et al., arXiv 2509.03378",
        "EMA → both sides fitted together",
        partial(KLShampoo, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("soap", "Vyas et al., arXiv 2409.11321", "EMA → rotated moment", partial(SOAP, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "trust-region",
        "Kovalev, arXiv 2503.12645",
        "primed average → any norm, here spectral and sign",
        partial(TrustRegion, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("gap-sgd", _CHOOSES, "bank, greedy → Euclid", partial(gap_sgd, lr=0.02, momenta=(0.5, 0.9))),
    Entry("gap-adam", _CHOOSES, "bank, greedy → second moment", partial(gap_adam, lr=0.01)),
    Entry("dion", "Ahn et al., arXiv 2504.05295", "low rank, feedback", partial(Dion, lr=0.01, roles=BY_SHAPE)),
    Entry("dion2", "arXiv 2512.16928", "slices, feedback → spectral", partial(Dion2, lr=0.01, roles=BY_SHAPE)),
    Entry("htmuon", "Pang et al., arXiv 2603.10067", "average → power", partial(HTMuon, lr=0.02, roles=BY_SHAPE)),
    Entry(
        "normuon",
        "Li et al., arXiv 2510.05491",
        "Nesterov average → spectral → row moment",
        partial(NorMuon, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "adamuon",
        "Si et al., arXiv 2507.11005",
        "Nesterov average → sign → spectral → moment",
        partial(AdaMuon, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "adago", "arXiv 2509.02981", "average → spectral, AdaGrad-norm's step", partial(AdaGO, lr=0.05, roles=BY_SHAPE)
    ),
    Entry(
        "namo",
        "arXiv 2602.17080",
        "Nesterov average → spectral, ratio of norms",
        partial(NAMO, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "namo-d",
        "arXiv 2602.17080",
        "Nesterov average → spectral, ratio by column",
        partial(NAMOD, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("muoneq", "arXiv 2603.28254", "Nesterov → row scale → spectral", partial(MuonEq, lr=0.01, roles=BY_SHAPE)),
    Entry("reg", "arXiv 2510.03691", "average → row and column scale", partial(REG, lr=0.01, roles=BY_SHAPE)),
    Entry("root", "arXiv 2511.20626", "Nesterov → clamp → spectral", partial(ROOT, lr=0.01, roles=BY_SHAPE)),
    Entry("auon", "ryyzn9/AuON", "Nesterov average → Euclid: SGD in disguise", partial(AuON, lr=0.05, roles=BY_SHAPE)),
    Entry(
        "auon-hybrid",
        "ryyzn9/AuON",
        "Nesterov average → spectral: Muon in disguise",
        partial(AuON, lr=0.01, metric=Spectral(NewtonSchulz()), roles=BY_SHAPE),
    ),
    Entry("egd", "arXiv 2510.04930", "gradient → spectral", partial(EGD, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "polar-adamw",
        "arXiv 2605.07067",
        "EMA → second moment → spectral",
        partial(PolarAdamW, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("olion", "arXiv 2602.01105", "Nesterov average → spectral → sign", partial(OLion, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "turbo-muon",
        "arXiv 2512.04632",
        "Nesterov average → spectral, AOL start",
        partial(TurboMuon, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "polargrad",
        "arXiv 2505.21799",
        "average → spectral, own nuclear norm",
        partial(PolarGrad, lr=0.01, roles=BY_SHAPE),
    ),
    Entry("soda", "arXiv 2605.11172", "AdamW, anchored at W_0", lambda params: Soda(AdamW(params, lr=0.01))),
    Entry(
        "hyperball", "published code", "AdamW, matrices of one norm", lambda params: Hyperball(AdamW(params, lr=0.01))
    ),
    Entry("macro", "arXiv 2605.04418", "average → spectral on a sphere", partial(Macro, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "sso",
        "arXiv 2601.08393",
        "average → spectral, tangent to a sphere",
        partial(Macro, lr=0.01, sphere="solved", roles=BY_SHAPE),
    ),
    Entry("spel", "arXiv 2601.21487", "average → spectral, orthonormal", partial(Spel, lr=0.01, roles=BY_SHAPE)),
    Entry("lmo_igt", "arXiv 2605.05577", "average → spectral, transport", partial(LMOIGT, lr=0.01, roles=BY_SHAPE)),
    Entry("pion", "arXiv 2605.12492", "Adam on rotations of both sides", partial(Pion, lr=0.01, roles=BY_SHAPE)),
    Entry("intrinsic_muon", "arXiv 2605.09238", "spectral, of B A", partial(IntrinsicMuon, lr=0.01, roles=BY_SHAPE)),
    Entry("scion", "arXiv 2502.07529", "average → norm by role, in balls", partial(Scion, lr=2e-3, roles=BY_SHAPE)),
    Entry(
        "uscion",
        "arXiv 2502.07529",
        "average → norm by role",
        partial(Scion, lr=2e-3, constrained=False, roles=BY_SHAPE),
    ),
    Entry("dion", "arXiv 2504.05295", "low rank, error feedback → sqrt(m / n)", partial(Dion, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "dion2",
        "arXiv 2512.16928",
        "heaviest slices, error feedback → spectral",
        partial(Dion2, lr=0.01, roles=BY_SHAPE),
    ),
    Entry(
        "htmuon", "arXiv 2603.10067", "Nesterov average → spectrum to a power", partial(HTMuon, lr=0.02, roles=BY_SHAPE)
    ),
    Entry("freon", "arXiv 2605.11181", "average → Schatten and beyond", partial(Freon, lr=0.01, roles=BY_SHAPE)),
    Entry("kaon", "arXiv 2605.11181", "a control: average → chaotic spectrum", partial(Kaon, lr=0.01, roles=BY_SHAPE)),
    Entry(
        "softmuon", "arXiv 2605.31371", "Nesterov average → soft spectrum", partial(SoftMuon, lr=0.02, roles=BY_SHAPE)
    ),
    Entry(
        "nordion2", "microsoft/dion", "slices, feedback → spectral → rows", partial(NorDion2, lr=0.01, roles=BY_SHAPE)
    ),
    Entry("mucon", "arXiv 2605.26459", "Nesterov average → clipped spectrum", partial(MuCon, lr=0.02, roles=BY_SHAPE)),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
