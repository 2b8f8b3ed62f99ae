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
from .around import Averages, Lookahead, Mechanic
from .asgo import ASGO, DASGO
from .auon import AuON
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
from .routed import BY_SHAPE
from .sania import SANIA
from .scion import Scion
from .sgd import SGD
from .shampoo import KLShampoo, Shampoo
from .smb import SMB
from .soap import SOAP
from .softmuon import MuCon, SoftMuon
from .subset import SNSM, AdamWSN
from .transported import LMOIGT
from .trust import TrustRegion
from .turbo import TurboMuon
from .udog import UDoG, UniXGrad
from .wrapped import Hyperball, Soda


@dataclass(frozen=True)
class Entry:
    """One optimizer: where it comes from, what it says, and `build(params)`."""

    name: str
    paper: str
    sentence: str
    build: Callable[[Any], Descent]


def _cast(kind: Callable[..., Descent], lr: float, **numbers: Any) -> Callable[[Any], Descent]:
    """A recipe that takes parameters without a model: those of two axes or more are matrices."""
    return partial(kind, lr=lr, **numbers, roles=BY_SHAPE)


def _of_adamw(
    params: Any, kind: Callable[..., Descent], lr: float, weight_decay: float = 0.01, **numbers: Any
) -> Descent:
    """A recipe of what goes around AdamW."""
    return kind(AdamW(params, lr, weight_decay=weight_decay), **numbers)


_CHOOSES = "Lee & Lee, arXiv 2512.06370"

ENTRIES = (
    Entry("sgd", "Polyak 1964; torch.optim.SGD", "heavy ball → Euclid", partial(SGD, lr=0.05, momentum=0.9)),
    Entry("nesterov", "Nesterov 1983", "Nesterov → Euclid", partial(SGD, lr=0.05, momentum=0.9, nesterov=True)),
    Entry("adam", "Kingma & Ba, arXiv 1412.6980", "EMA → second moment", partial(Adam, lr=0.01)),
    Entry("adamw", "Loshchilov & Hutter, arXiv 1711.05101", "EMA → second moment, decay", partial(AdamW, lr=0.01)),
    Entry("amsgrad", "Reddi et al., arXiv 1904.09237", "EMA → maximum moment", partial(Adam, lr=0.01, amsgrad=True)),
    Entry("adamax", "Kingma & Ba, arXiv 1412.6980", "EMA → fading peak", partial(AdaMax, lr=0.01)),
    Entry("nadam", "Dozat 2016", "Nesterov's average → second moment", partial(NAdam, lr=0.01)),
    Entry("radam", "Liu et al., arXiv 1908.03265", "EMA → rectified moment", partial(RAdam, lr=0.01)),
    Entry("adabelief", "Zhuang et al., arXiv 2010.07468", "EMA → surprise, decay", partial(AdaBelief, lr=0.01)),
    Entry("qhm", "Ma & Yarats, arXiv 1810.06801", "quasi-hyperbolic → Euclid", partial(QHM, lr=0.5)),
    Entry(
        "qhadam",
        "Ma & Yarats, arXiv 1810.06801",
        "quasi-hyperbolic average → and moment",
        partial(QHAdam, lr=0.01, nus=(0.8, 0.9)),
    ),
    Entry("aggmo", "Lucas et al., arXiv 1804.00325", "heavy balls → Euclid", partial(AggMo, lr=0.01)),
    Entry(
        "ademamix",
        "Pagliardini et al., arXiv 2409.03137",
        "two averages → second moment, decay",
        partial(AdEMAMix, lr=0.003, warmup=20),
    ),
    Entry(
        "cautious-adamw",
        "Liang et al., arXiv 2411.16085",
        "EMA → second moment → mask, decay",
        partial(CautiousAdamW, lr=0.005),
    ),
    Entry(
        "cautious-lion",
        "Liang et al., arXiv 2411.16085",
        "quasi-hyperbolic → sign → mask, decay",
        partial(CautiousLion, lr=0.005),
    ),
    Entry(
        "grams-adamw",
        "Cao et al., arXiv 2412.17107",
        "EMA → second moment → gradient's signs, decay",
        partial(GramsAdamW, lr=0.01),
    ),
    Entry("mgup-adamw", "arXiv 2606.17526", "EMA → second moment → by rank, decay", partial(MGUPAdamW, lr=0.01)),
    Entry("random-sgd", "Zhang & Cutkosky, arXiv 2405.09742", "heavy ball → random step", partial(RandomSGD, lr=0.02)),
    Entry(
        "opt-amsgrad",
        "Wang et al., arXiv 1903.01435",
        "average → maximum moment of surprises, look-ahead",
        partial(OptAMSGrad, lr=0.01),
    ),
    Entry("nigt", "Cutkosky & Mehta, arXiv 2002.03305", "average → Frobenius, transport", partial(NIGT, lr=0.01)),
    Entry("adamw-sn", "arXiv 2411.07120", "EMA → subset norm, decay", _cast(AdamWSN, 0.03)),
    Entry("snsm", "arXiv 2411.07120", "momentum in a subspace → subset norm", _cast(SNSM, 0.03, rank=2, every=5)),
    Entry("lion", "Chen et al., arXiv 2302.06675", "quasi-hyperbolic → sign, decay", partial(Lion, lr=0.003)),
    Entry("sgd-auto", _CHOOSES, "probe, greedy → Euclid", partial(SGD, lr=0.05, momentum="auto")),
    Entry("adamw-auto", _CHOOSES, "probe, greedy → second moment", partial(AdamW, lr=0.01, betas=("auto", 0.999))),
    Entry("lion-auto", _CHOOSES, "probe, greedy → sign", partial(Lion, lr=0.003, betas=((0.5, 0.9), 0.99))),
    Entry("gap-sgd", _CHOOSES, "bank, greedy → Euclid", partial(gap_sgd, lr=0.02, momenta=(0.5, 0.9))),
    Entry("gap-adam", _CHOOSES, "bank, greedy → second moment", partial(gap_adam, lr=0.01)),
    Entry("muon", "K. Jordan 2024; torch.optim.Muon", "Nesterov average → spectral", _cast(Muon, 0.01)),
    Entry("muon-auto", _CHOOSES, "probe, greedy → spectral", _cast(Muon, 0.01, momentum="auto")),
    Entry(
        "trust-region",
        "Kovalev, arXiv 2503.12645",
        "primed average → any norm, here spectral and sign",
        _cast(TrustRegion, 0.01),
    ),
    Entry(
        "asgo", "An et al., arXiv 2503.20762", "EMA → root of the shorter side's Gram, exact size", _cast(ASGO, 0.01)
    ),
    Entry("dasgo", "An et al., arXiv 2503.20762", "EMA → moments of the shorter side, exact size", _cast(DASGO, 0.01)),
    Entry(
        "deva",
        "Song et al., arXiv 2602.06880",
        "Nesterov average → spectral, varied in the eigenbasis",
        _cast(DeVA, 0.003),
    ),
    Entry("deva-euclid", "Song et al., arXiv 2602.06880", "EMA → its variance, decay", partial(DeVAEuclid, lr=0.01)),
    Entry("shampoo", "Gupta et al., arXiv 1802.09568", "EMA → both Gram roots, grafted", _cast(Shampoo, 0.01)),
    Entry("kl-shampoo", "Lin et al., arXiv 2509.03378", "EMA → both sides fitted together", _cast(KLShampoo, 0.01)),
    Entry("soap", "Vyas et al., arXiv 2409.11321", "EMA → rotated moment", _cast(SOAP, 0.01)),
    Entry("dion", "arXiv 2504.05295", "low rank, error feedback → sqrt(m / n)", _cast(Dion, 0.01)),
    Entry("dion2", "arXiv 2512.16928", "heaviest slices, error feedback → spectral", _cast(Dion2, 0.01)),
    Entry("htmuon", "arXiv 2603.10067", "Nesterov average → spectrum to a power", _cast(HTMuon, 0.02)),
    Entry("normuon", "Li et al., arXiv 2510.05491", "Nesterov average → spectral → row moment", _cast(NorMuon, 0.01)),
    Entry(
        "adamuon", "Si et al., arXiv 2507.11005", "Nesterov average → sign → spectral → moment", _cast(AdaMuon, 0.01)
    ),
    Entry("adago", "arXiv 2509.02981", "average → spectral, AdaGrad-norm's step", _cast(AdaGO, 0.05)),
    Entry("namo", "arXiv 2602.17080", "Nesterov average → spectral, ratio of norms", _cast(NAMO, 0.01)),
    Entry("namo-d", "arXiv 2602.17080", "Nesterov average → spectral, ratio by column", _cast(NAMOD, 0.01)),
    Entry("muoneq", "arXiv 2603.28254", "Nesterov → row scale → spectral", _cast(MuonEq, 0.01)),
    Entry("reg", "arXiv 2510.03691", "average → row and column scale", _cast(REG, 0.01)),
    Entry("root", "arXiv 2511.20626", "Nesterov → clamp → spectral", _cast(ROOT, 0.01)),
    Entry("auon", "ryyzn9/AuON", "Nesterov average → Euclid: SGD in disguise", _cast(AuON, 0.05)),
    Entry(
        "auon-hybrid",
        "ryyzn9/AuON",
        "Nesterov average → spectral: Muon in disguise",
        _cast(AuON, 0.01, metric=Spectral(NewtonSchulz())),
    ),
    Entry("egd", "arXiv 2510.04930", "gradient → spectral", _cast(EGD, 0.01)),
    Entry("polar-adamw", "arXiv 2605.07067", "EMA → second moment → spectral", _cast(PolarAdamW, 0.01)),
    Entry("olion", "arXiv 2602.01105", "Nesterov average → spectral → sign", _cast(OLion, 0.01)),
    Entry("turbo-muon", "arXiv 2512.04632", "Nesterov average → spectral, AOL start", _cast(TurboMuon, 0.01)),
    Entry("polargrad", "arXiv 2505.21799", "average → spectral, own nuclear norm", _cast(PolarGrad, 0.01)),
    Entry("soda", "arXiv 2605.11172", "AdamW, anchored at W_0", partial(_of_adamw, kind=Soda, lr=0.01)),
    Entry("hyperball", "published code", "AdamW, matrices of one norm", partial(_of_adamw, kind=Hyperball, lr=0.01)),
    Entry(
        "schedule-free-adamw",
        "Defazio et al., arXiv 2405.15682",
        "second moment, warm-up, average within",
        partial(ScheduleFreeAdamW, lr=0.01, warmup_steps=10),
    ),
    Entry(
        "schedule-free-sgd",
        "Defazio et al., arXiv 2405.15682",
        "Euclid, warm-up, average within",
        partial(ScheduleFreeSGD, lr=0.5, warmup_steps=10),
    ),
    Entry("averages", "Polyak & Juditsky 1992", "AdamW, averages beside", partial(_of_adamw, kind=Averages, lr=0.01)),
    Entry(
        "lookahead",
        "Zhang et al., arXiv 1907.08610",
        "AdamW, slow weights",
        partial(_of_adamw, kind=Lookahead, lr=0.01),
    ),
    Entry(
        "mechanic",
        "Cutkosky et al., arXiv 2306.00144",
        "AdamW, its scale found",
        partial(_of_adamw, kind=Mechanic, lr=1.0, s_init=1e-4),
    ),
    Entry("macro", "arXiv 2605.04418", "average → spectral on a sphere", _cast(Macro, 0.01)),
    Entry("sso", "arXiv 2601.08393", "average → spectral, tangent to a sphere", _cast(Macro, 0.01, sphere="solved")),
    Entry("spel", "arXiv 2601.21487", "average → spectral, orthonormal", _cast(Spel, 0.01)),
    Entry("lmo-igt", "arXiv 2605.05577", "average → spectral, transport", _cast(LMOIGT, 0.01)),
    Entry("pion", "arXiv 2605.12492", "Adam on rotations of both sides", _cast(Pion, 0.01)),
    Entry("intrinsic-muon", "arXiv 2605.09238", "spectral, of B A", _cast(IntrinsicMuon, 0.01)),
    Entry("scion", "arXiv 2502.07529", "average → norm by role, in balls", _cast(Scion, 2e-3)),
    Entry("uscion", "arXiv 2502.07529", "average → norm by role", _cast(Scion, 2e-3, constrained=False)),
    Entry("freon", "arXiv 2605.11181", "average → Schatten and beyond", _cast(Freon, 0.01)),
    Entry("kaon", "arXiv 2605.11181", "a control: average → chaotic spectrum", _cast(Kaon, 0.01)),
    Entry("softmuon", "arXiv 2605.31371", "Nesterov average → soft spectrum", _cast(SoftMuon, 0.02)),
    Entry("nordion2", "microsoft/dion", "slices, feedback → spectral → rows", _cast(NorDion2, 0.01)),
    Entry("mucon", "arXiv 2605.26459", "Nesterov average → clipped spectrum", _cast(MuCon, 0.02)),
    Entry("dog", "Ivgi et al., arXiv 2302.12022", "gradient → Euclid, distance over gradients", DoG),
    Entry("l-dog", "Ivgi et al., arXiv 2302.12022", "gradient → Euclid, each tensor's own distance", LDoG),
    Entry("dowg", "Khaled et al., arXiv 2305.16284", "gradient → Euclid, distance over weighted gradients", DoWG),
    Entry("dadapt-sgd", "Defazio & Mishchenko, arXiv 2301.07733", "average → Euclid, a distance found", DAdaptSGD),
    Entry(
        "dadapt-adam", "Defazio & Mishchenko, arXiv 2301.07733", "average → second moment, a distance found", DAdaptAdam
    ),
    Entry("prodigy", "Mishchenko & Defazio, arXiv 2306.06101", "average → second moment, a distance found", Prodigy),
    Entry("sps", "Loizou et al., arXiv 2002.10542", "gradient → Euclid, Polyak's step, smoothed", partial(SPS, lr=1.0)),
    Entry("alig", "Berrada et al., arXiv 1906.05661", "gradient → Euclid, Polyak's step", partial(AliG, lr=0.5)),
    Entry("alr-smag", "Wang et al., arXiv 2305.12939", "heavy ball → Euclid, Polyak's step", partial(ALRSMAG, lr=0.1)),
    Entry(
        "alr-hb", "Wang et al., arXiv 2305.12939", "gradient → Euclid, Polyak's step, inertia", partial(ALRHB, lr=0.4)
    ),
    Entry("momsps", "arXiv 2406.04142", "gradient → Euclid, Polyak's step, damped inertia", partial(MomSPS, lr=2.0)),
    Entry("momo", "Schaipp et al., arXiv 2305.07583", "average → Euclid, truncated model", partial(MoMo, lr=1.0)),
    Entry(
        "momo-adam",
        "Schaipp et al., arXiv 2305.07583",
        "EMA → second moment, truncated model",
        partial(MoMoAdam, lr=0.01),
    ),
    Entry("sania", "arXiv 2312.17369", "gradient → squares, Newton's model to Polyak's target", partial(SANIA, lr=1.0)),
    Entry("aegd", "Liu & Tian, arXiv 2010.05109", "gradient → Euclid, each coordinate's energy", partial(AEGD, lr=0.1)),
    Entry("aegdm", "Liu & Tian, arXiv 2203.12191", "heavy ball → Euclid, each one's energy", partial(AEGDM, lr=0.02)),
    Entry("aegdw", "Liu & Tian, arXiv 2010.05109", "AEGD, decay by lr", partial(AEGDW, lr=0.7)),
    Entry("aepg", "arXiv 2310.06733", "gradient → second moment, one energy", partial(AEPG, lr=0.01)),
    Entry("induced", "published code", "EMA → Euclid, along the loss's graph", partial(InducedMetric, lr=0.1)),
    Entry(
        "induced-log", "published code", "EMA → Euclid, along log's graph", partial(InducedMetric, lr=0.1, form="log")
    ),
    Entry(
        "induced-rms",
        "published code",
        "EMA → second moment, along the graph",
        partial(InducedMetric, lr=0.01, form="rms"),
    ),
    Entry("sgd-hd", "Baydin et al., arXiv 1703.04782", "gradient → Euclid, lr that learns", partial(SGDHD, lr=0.05)),
    Entry(
        "adam-hd", "Baydin et al., arXiv 1703.04782", "EMA → second moment, lr that learns", partial(AdamHD, lr=0.01)
    ),
    Entry(
        "normalized-sgd", "arXiv 2303.02854", "average → Euclid, a power of the norm", partial(NormalizedSGD, lr=0.05)
    ),
    Entry(
        "adagrad-norm",
        "Ward et al., arXiv 1806.01811",
        "gradient → Euclid, sum of norms",
        partial(AdaGradNormSGD, lr=1.0),
    ),
    Entry("u-dog", "Kreisler et al., arXiv 2404.00666", "extragradient, distance over gradients", UDoG),
    Entry(
        "unixgrad", "Kavis et al., arXiv 1910.13857", "extragradient, a given diameter", partial(UniXGrad, diameter=1.0)
    ),
    Entry("adgd", "Malitsky & Mishchenko, arXiv 1910.09529", "one over the curvature on the way", AdGD),
    Entry("oasis", "Jahani et al., arXiv 2109.05198", "Hutchinson's diagonal, AdGD in its norm", OASIS),
    Entry("smb", "Birbil et al., arXiv 2111.07058", "a trial step, mended by a model", partial(SMB, lr=0.05)),
    Entry("o2nc", "Cutkosky et al., arXiv 2302.03775", "heavy ball, gradients on the way", partial(O2NC, lr=0.01)),
    Entry("o2nc-double", "arXiv 2510.03167", "optimistic steps in a ball", partial(DoubleO2NC, lr=0.01, radius=0.1)),
    Entry("hill-adam", "Hill-ADAM, public code", "Adam that turns round, the best kept", partial(HillAdam, lr=0.01)),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
