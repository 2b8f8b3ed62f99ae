"""Those of the registry that treat all weights alike, and what goes around them."""

from __future__ import annotations

from functools import partial

from .adam import Adam, AdamW
from .around import Averages, Lookahead, Mechanic
from .cautious import CautiousAdamW, CautiousLion, GramsAdamW, MGUPAdamW
from .chance import RandomSGD
from .dadapt import DAdaptAdam, DAdaptSGD
from .deva import DeVAEuclid
from .dog import DoG, DoWG, LDoG
from .energy import AEGD, AEGDM, AEGDW, AEPG
from .entry import CHOOSES, Entry, of_adamw
from .free import ScheduleFreeAdamW, ScheduleFreeSGD
from .greedy import gap_adam, gap_sgd
from .hilladam import HillAdam
from .hypergradient import SGDHD, AdamHD
from .induced import InducedMetric
from .lion import Lion
from .mixture import AdEMAMix, AggMo
from .momo import MoMo, MoMoAdam
from .normalized import AdaGradNormSGD, NormalizedSGD
from .o2nc import O2NC, DoubleO2NC
from .oasis import OASIS, AdGD
from .optimistic import NIGT, OptAMSGrad
from .polyak import ALRHB, ALRSMAG, SPS, AliG, MomSPS
from .prodigy import Prodigy
from .quasi import QHM, QHAdam
from .relative import AdaBelief, AdaMax, NAdam, RAdam
from .sania import SANIA
from .sgd import SGD
from .smb import SMB
from .udog import UDoG, UniXGrad
from .wrapped import Hyperball, Soda

VECTORS = (
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
        "quasi-hyperbolic average → quasi-hyperbolic moment",
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
    Entry("lion", "Chen et al., arXiv 2302.06675", "quasi-hyperbolic → sign, decay", partial(Lion, lr=0.003)),
    Entry("sgd-auto", CHOOSES, "probe, greedy → Euclid", partial(SGD, lr=0.05, momentum="auto")),
    Entry("adamw-auto", CHOOSES, "probe, greedy → second moment", partial(AdamW, lr=0.01, betas=("auto", 0.999))),
    Entry("lion-auto", CHOOSES, "probe, greedy → sign", partial(Lion, lr=0.003, betas=((0.5, 0.9), 0.99))),
    Entry("gap-sgd", CHOOSES, "bank, greedy → Euclid", partial(gap_sgd, lr=0.02, momenta=(0.5, 0.9))),
    Entry("gap-adam", CHOOSES, "bank, greedy → second moment", partial(gap_adam, lr=0.01)),
    Entry("deva-euclid", "Song et al., arXiv 2602.06880", "EMA → its variance, decay", partial(DeVAEuclid, lr=0.01)),
    Entry("soda", "arXiv 2605.11172", "AdamW, anchored at W_0", partial(of_adamw, kind=Soda, lr=0.01)),
    Entry("hyperball", "published code", "AdamW, matrices of one norm", partial(of_adamw, kind=Hyperball, lr=0.01)),
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
    Entry("averages", "Polyak & Juditsky 1992", "AdamW, averages beside", partial(of_adamw, kind=Averages, lr=0.01)),
    Entry(
        "lookahead",
        "Zhang et al., arXiv 1907.08610",
        "AdamW, slow weights",
        partial(of_adamw, kind=Lookahead, lr=0.01),
    ),
    Entry(
        "mechanic",
        "Cutkosky et al., arXiv 2306.00144",
        "AdamW, its scale found",
        partial(of_adamw, kind=Mechanic, lr=1.0, s_init=1e-4),
    ),
    Entry("dog", "Ivgi et al., arXiv 2302.12022", "gradient → Euclid, distance over gradients", DoG),
    Entry("l-dog", "Ivgi et al., arXiv 2302.12022", "gradient → Euclid, each tensor's own distance", LDoG),
    Entry("dowg", "Khaled et al., arXiv 2305.16284", "gradient → Euclid, distance over weighted gradients", DoWG),
    Entry("dadapt-sgd", "Defazio & Mishchenko, arXiv 2301.07733", "gradient → Euclid, a distance found", DAdaptSGD),
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
    Entry(
        "momsps",
        "Oikonomou & Loizou, arXiv 2406.04142",
        "gradient → Euclid, Polyak's step, damped inertia",
        partial(MomSPS, lr=2.0),
    ),
    Entry("momo", "Schaipp et al., arXiv 2305.07583", "average → Euclid, truncated model", partial(MoMo, lr=1.0)),
    Entry(
        "momo-adam",
        "Schaipp et al., arXiv 2305.07583",
        "EMA → second moment, truncated model",
        partial(MoMoAdam, lr=0.01),
    ),
    Entry(
        "sania",
        "Abdukhakimov et al., arXiv 2312.17369",
        "gradient → squares, Newton's model to Polyak's target",
        partial(SANIA, lr=1.0),
    ),
    Entry("aegd", "Liu & Tian, arXiv 2010.05109", "gradient → Euclid, each coordinate's energy", partial(AEGD, lr=0.1)),
    Entry(
        "aegdm",
        "Liu & Tian, arXiv 2203.12191",
        "heavy ball → Euclid, each coordinate's energy",
        partial(AEGDM, lr=0.02),
    ),
    Entry("aegdw", "Liu & Tian, arXiv 2010.05109", "AEGD, decay by lr", partial(AEGDW, lr=0.7)),
    Entry("aepg", "Liu et al., arXiv 2310.06733", "gradient → second moment, one energy", partial(AEPG, lr=0.01)),
    Entry("induced", "published code", "EMA → Euclid, along the loss's graph", partial(InducedMetric, lr=0.1)),
    Entry(
        "induced-log",
        "published code",
        "EMA → Euclid, along the graph of log loss",
        partial(InducedMetric, lr=0.1, form="log"),
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
        "normalized-sgd",
        "Chen et al., arXiv 2303.02854",
        "gradient → Euclid, a power of the norm",
        partial(NormalizedSGD, lr=0.05),
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
