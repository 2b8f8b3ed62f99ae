"""The library's own choice of a polar factor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from ...core.pile import SMALL
from .factor import Polar
from .halley import QDWH, GramQDWH
from .newton import GramNewtonSchulz, NewtonSchulz
from .spectrum import SVD, Vector
from .start import SchattenStart

EXPRESS, SCHATTEN = "polar-express", SchattenStart()
HALF = NewtonSchulz(EXPRESS, SCHATTEN, steps=5, safety=1.02, dtype=torch.bfloat16)
HALF_LONG = GramNewtonSchulz(EXPRESS, SCHATTEN, steps=5, safety=1.02, dtype=torch.bfloat16, rebuild=2)
SINGLE = NewtonSchulz(EXPRESS, SCHATTEN, steps=5, safety=1.01)
DOUBLE = NewtonSchulz(EXPRESS, SCHATTEN, steps=12)
HALLEY_SMALL = QDWH(2e-4, steps=3, cholesky=float("inf"))
HALLEY, HALLEY_LONG = QDWH(2e-4, steps=2, cholesky=float("inf")), GramQDWH(1e-3, steps=2)
WORTH = 128  # from this short side on bfloat16 is worth its conversions on a CPU with tiles for it


@final
@dataclass(frozen=True)
class Auto(Polar):
    """What is fastest here and no less accurate than Muon's own five steps: `choose` says which, docs/polar.md why.

    A vector is normalised; float64 gets the exact factor; a GPU, or a CPU with bfloat16 tiles (AMX), Polar Express in
    bfloat16; any other CPU Halley's steps in float32: three where the short side is 64 or less, which are exact for
    singular values from 2e-4 on, else two. Matrices twice as long as wide get the form that works on the short side.
    Nothing but device, dtype and shape decides. To have another way, say it: Spectral(SVD()).
    """

    def __call__(self, x: Tensor) -> Tensor:
        return self.choice(x)(x)

    def choice(self, x: Tensor) -> Polar:
        """The way taken for this matrix."""
        short, long = sorted(x.shape[-2:])
        return choose(x.device.type, x.dtype is torch.float64, short, long, fast_bfloat16(x.device))


AUTO = Auto()


@lru_cache(maxsize=1024)
def choose(device: str, double: bool, short: int, long: int, bfloat16: bool) -> Polar:
    """The way for matrices of short x long, where bfloat16 is fast or not.

    >>> print(choose("cpu", False, 768, 768, bfloat16=True))
    NewtonSchulz('polar-express', start=SchattenStart(4), steps=5, safety=1.02, dtype=torch.bfloat16)
    """
    if short == 1:
        return Vector()
    if double:
        return SVD() if device == "cpu" else DOUBLE  # elsewhere a decomposition makes the host wait
    if bfloat16 and (device != "cpu" or short >= WORTH):
        return HALF_LONG if long >= 2 * short else HALF
    if device != "cpu":
        return SINGLE
    if short <= SMALL:
        return HALLEY_SMALL
    return HALLEY_LONG if long >= 2 * short else HALLEY


@lru_cache(maxsize=16)
def fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32 here: Ampere or newer, or a CPU with tiles (AMX)."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    asked = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private: it may go, and then the answer is no
    return device.type == "cpu" and asked is not None and bool(asked())
