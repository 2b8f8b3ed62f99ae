"""Who takes part: optimizers with the sweeps they are given, and without any. One table, at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fallline.race.suite.ablation import CHANGES, changed

Words = dict[str, Any]
Maker = Callable[[nn.Module, Words], list[Optimizer]]
CONSTANT: tuple[str, ...] = ("constant",)
BOTH = ("constant", "cosine")


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The weights that are not frozen."""
    return [p for p in model.parameters() if p.requires_grad]


def adamw(model: nn.Module, words: Words) -> list[Optimizer]:
    """torch's."""
    return [torch.optim.AdamW(trainable(model), **words)]


def sgd(model: nn.Module, words: Words) -> list[Optimizer]:
    """torch's; for it the first beta is the momentum."""
    numbers = {name: value for name, value in words.items() if name != "betas"}
    return [
        torch.optim.SGD(trainable(model), **numbers | ({"momentum": words["betas"][0]} if "betas" in words else {}))
    ]


def muon(model: nn.Module, words: Words) -> list[Optimizer]:
    """torch's Muon for hidden weights of two axes (roles say which), torch's AdamW for the rest, one lr for both."""
    import fallline

    hidden = {
        id(p)
        for (_, p), entry in zip(model.named_parameters(), fallline.roles(model), strict=True)
        if entry.role.matrix and p.dim() == 2
    }
    first = [p for p in trainable(model) if id(p) in hidden]
    rest = [p for p in trainable(model) if id(p) not in hidden]
    pair: list[Optimizer] = [torch.optim.Muon(first, adjust_lr_fn="match_rms_adamw", **words)] if first else []
    return pair + ([torch.optim.AdamW(rest, **words)] if rest else [])


@dataclass(frozen=True)
class Ours:
    """A named optimizer of Fallline with its own defaults, but for `numbers`; `whole`: it takes the model.

    loss: its step wants to be told the loss. around: what is put around it, such as "Averages". change: of `ablation`.
    """

    name: str
    whole: bool = False
    loss: bool = False
    around: str = ""
    numbers: tuple[tuple[str, Any], ...] = ()
    change: str = ""

    @property
    def kind(self) -> Any:
        """The class, or None while there is none."""
        import fallline

        return getattr(fallline, self.name, None) if hasattr(fallline, self.around or self.name) else None

    def __call__(self, model: nn.Module, words: Words) -> list[Optimizer]:
        """The optimizer of a model."""
        import fallline

        numbers = dict(self.numbers) | (changed(self.change) if self.change else {}) | words
        optimizer = self.kind(model if self.whole else trainable(model), **numbers)
        return [getattr(fallline, self.around)(optimizer) if self.around else optimizer]


MAKERS: dict[str, Maker] = {
    "torch.AdamW": adamw,
    "torch.SGD": sgd,
    "torch.Muon": muon,
    "Lion": Ours("Lion"),
    "ScheduleFreeAdamW": Ours("ScheduleFreeAdamW"),
    "Prodigy": Ours("Prodigy"),
    "DoG": Ours("DoG"),
    "DoG averaged": Ours("DoG", around="Averages"),
    "Auto": Ours("Auto", whole=True),
    **{
        f"Auto {name}": Ours("Auto", whole=True, change=name, around="ScheduleFree" if name == "schedule-free" else "")
        for name in CHANGES
    },
}


@dataclass(frozen=True)
class Point:
    """One configuration; None leaves the optimizer's own default."""

    lr: float | None = None
    beta: float | None = None
    schedule: str = "constant"


@dataclass(frozen=True)
class Entrant:
    """An optimizer and its sweep: every lr with every first beta (momentum) and schedule; without `lrs` its defaults.

    numbers: arguments that are not swept. quick: what is left of the grid under --quick.
    """

    name: str
    maker: str
    lrs: tuple[float, ...] = ()
    betas: tuple[float, ...] = ()
    schedules: tuple[str, ...] = CONSTANT
    numbers: tuple[tuple[str, Any], ...] = ()

    @property
    def missing(self) -> str | None:
        """Why it cannot run, or None."""
        make = MAKERS[self.maker]
        lacks = isinstance(make, Ours) and make.kind is None
        return f"fallline has no {self.maker} yet" if lacks else None

    def points(self, quick: bool) -> list[Point]:
        """The sweep; under `quick` every other lr and the last beta."""
        lrs: tuple[float | None, ...] = self.lrs or (None,)
        betas: tuple[float | None, ...] = self.betas or (None,)
        if quick and self.lrs:
            lrs, betas = lrs[1::2], betas[-1:]
        return [Point(lr, beta, schedule) for lr, beta, schedule in product(lrs, betas, self.schedules)]


# Decay is a statement about a problem, not a way to go down: it is left out of sweeps, and defaults keep their own.
PLAIN = (("weight_decay", 0.0),)
TABLE = (
    Entrant("adamw", "torch.AdamW", (1e-3, 3e-3, 1e-2, 3e-2), (0.8, 0.95), BOTH, PLAIN),
    Entrant("adamw-default", "torch.AdamW"),
    Entrant("sgd", "torch.SGD", (0.03, 0.1, 0.3), (0.5, 0.9), BOTH),
    Entrant("sgd-default", "torch.SGD"),
    Entrant("muon", "torch.Muon", (3e-3, 1e-2, 3e-2), (), BOTH, PLAIN),
    Entrant("muon-default", "torch.Muon"),
    Entrant("lion", "Lion", (3e-4, 1e-3, 3e-3), (), BOTH),
    Entrant("lion-default", "Lion"),
    Entrant("schedule-free", "ScheduleFreeAdamW", (3e-3, 1e-2, 3e-2), (0.8, 0.95), CONSTANT),
    Entrant("schedule-free-default", "ScheduleFreeAdamW"),
    Entrant("prodigy-default", "Prodigy"),
    Entrant("prodigy-cosine", "Prodigy", schedules=("cosine",)),
    Entrant("dog-default", "DoG"),
    Entrant("dog-averaged", "DoG averaged"),
    Entrant("auto", "Auto"),
)
ABLATION = tuple(Entrant(f"auto {name}", f"Auto {name}") for name in CHANGES)
ENTRANTS: dict[str, Entrant] = {entrant.name: entrant for entrant in (*TABLE, *ABLATION)}
YARDSTICK = "adamw"  # sets the targets, so it always runs


def entered(names: tuple[str, ...]) -> list[Entrant]:
    """The entrants of these names and the yardstick; without names all, but for ablations."""
    if unknown := [name for name in names if name not in ENTRANTS]:
        raise ValueError(f"--entrants is {', '.join(unknown)}; known are {', '.join(ENTRANTS)}.")
    return [
        entrant for entrant in ENTRANTS.values() if entrant.name in (YARDSTICK, *(names or [e.name for e in TABLE]))
    ]
