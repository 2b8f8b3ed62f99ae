"""The registry: every named optimizer with its paper, its sentence and a recipe that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.descent import Descent
from .adam import Adam, AdamW
from .greedy import gap_adam, gap_sgd
from .intrinsic import IntrinsicMuon
from .lion import Lion
from .macro import Macro, Spel
from .muon import Muon
from .pion import Pion
from .routed import BY_SHAPE
from .scion import Scion
from .sgd import SGD
from .transported import LMOIGT
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
    Entry("gap-sgd", _CHOOSES, "bank, greedy → Euclid", partial(gap_sgd, lr=0.02, momenta=(0.5, 0.9))),
    Entry("gap-adam", _CHOOSES, "bank, greedy → second moment", partial(gap_adam, lr=0.01)),
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
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
