"""For timm: names under which `create_optimizer_v2(model, opt="fallline")` finds the optimizers of Fallline."""

from __future__ import annotations

from typing import Any

from timm.optim import OptimInfo
from timm.optim._optim_factory import default_registry

from ..zoo import SGD, Adam, AdamW, Lion, Muon

MOMENTUM: dict[str, Any] = {"has_momentum": True, "has_eps": False}
BETAS: dict[str, Any] = {"has_betas": True}
MUON: dict[str, Any] = {"momentum": 0.95}  # not timm's .9
AUTO: dict[str, Any] = BETAS | {"defaults": {"betas": ("auto", 0.999)}}

# timm takes what stands behind the last underscore of a name for the optimizer, so there are hyphens here.
INFOS = (
    OptimInfo("fallline", AdamW, "AdamW that chooses its first beta", **AUTO),
    OptimInfo("fallline-sgd", SGD, "torch's SGD; momentum='auto' chooses it", **MOMENTUM),
    OptimInfo("fallline-sgd-auto", SGD, "SGD that chooses its momentum", **MOMENTUM, defaults={"momentum": "auto"}),
    OptimInfo("fallline-adam", Adam, "torch's Adam; betas=('auto', .999) choose the first", **BETAS),
    OptimInfo("fallline-adamw", AdamW, "torch's AdamW; betas=('auto', .999) choose the first", **BETAS),
    OptimInfo("fallline-adamw-auto", AdamW, "AdamW that chooses its first beta", **AUTO),
    OptimInfo("fallline-lion", Lion, "Lion; betas=('auto', .99) choose the first", **BETAS, has_eps=False),
    OptimInfo("fallline-muon", Muon, "Muon for hidden matrices, AdamW for the rest", **MOMENTUM, defaults=MUON),
    OptimInfo("fallline-muon-auto", Muon, "Muon that chooses its momentum", **MOMENTUM, defaults={"momentum": "auto"}),
)


def register() -> tuple[str, ...]:
    """Tell timm of all of them, and return their names. A second call changes nothing."""
    for info in INFOS:
        if info.name not in default_registry.list_optimizers():
            default_registry.register(info)
    return tuple(info.name for info in INFOS)
