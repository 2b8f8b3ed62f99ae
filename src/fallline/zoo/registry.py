"""The registry: every named optimizer with its paper, its sentence and a recipe that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.descent import Descent
from .adam import Adam, AdamW
from .dion import Dion, Dion2
from .freon import Freon, Kaon
from .greedy import gap_adam, gap_sgd
from .htmuon import HTMuon
from .lion import Lion
from .muon import Muon
from .routed import BY_SHAPE
from .sgd import SGD
from .softmuon import MuCon, SoftMuon


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
    Entry("dion", "Ahn et al., arXiv 2504.05295", "low rank, feedback", partial(Dion, lr=0.01, roles=BY_SHAPE)),
    Entry("dion2", "arXiv 2512.16928", "slices, feedback → spectral", partial(Dion2, lr=0.01, roles=BY_SHAPE)),
    Entry("htmuon", "Pang et al., arXiv 2603.10067", "average → power", partial(HTMuon, lr=0.02, roles=BY_SHAPE)),
    Entry("freon", "arXiv 2605.11181", "average → Schatten and beyond", partial(Freon, lr=0.01, roles=BY_SHAPE)),
    Entry("kaon", "arXiv 2605.11181", "a control: average → chaotic spectrum", partial(Kaon, lr=0.01, roles=BY_SHAPE)),
    Entry("softmuon", "arXiv 2605.31371", "average → soft spectrum", partial(SoftMuon, lr=0.02, roles=BY_SHAPE)),
    Entry("mucon", "Yi, arXiv 2605.26459", "average → clipped spectrum", partial(MuCon, lr=0.02, roles=BY_SHAPE)),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}
