"""torch's own fused kernels, for programs that say the same as they do.

A program is written out as a formula, # for its numbers; where FORMULAS has it, torch's kernel is called, with
arguments that make its numbers these. A momentum that moves enters so: Adam's kernel divides m by 1 - beta^n where the
program multiplies with c, so the kernel's learning rate is lr c (1 - beta^n). This serves where nothing compiles the
rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..chunk import Chunk, Fit
from .printed import Fields, Run
from .reading import numbers, write
from .symbol import Program
from .table import Items

SAID = {"add": "({} + {})", "mul": "({} * {})", "lerp": "lerp({}, {}, {})", "neg": "-{}", "reciprocal": "1/{}"}
SAID["maximum"] = "maximum({}, {})"
NAMES = {"filter.m": "m", "filter.b": "m", "metric.v": "v", "metric.peak": "w"}
GRADIENTS = ("g", "-g", "(g + (p * #))", "(-g + (p * #))")


class Found(NamedTuple):
    """A formula, and the slots and forms of its numbers in the order in which it names them."""

    text: str
    numbers: tuple[tuple[int, str], ...] = ()


def formula(program: Program, ref: int, gradient: int = -1) -> Found:
    """An operation written out, the operation `gradient` as G."""
    name, *operands = program.ops[ref]
    if ref == gradient:
        return Found("G")
    if name == "number":
        return Found("#", ((operands[0], operands[1]),))
    if name == "load":
        column = program.columns[operands[0]][0]
        return Found(NAMES.get(column, column))
    parts = [formula(program, x, gradient) for x in (operands[:3] if name == "lerp" else operands)]
    told = SAID.get(name, name + "({})").format(*(part.text for part in parts))
    return Found(told, tuple(number for part in parts for number in part.numbers))


def adam(shrink: Any, fresh1: Any, c: Any, fresh2: Any, c2: Any, eps: Any, size: Any, t: Any) -> dict[str, Any]:
    """Adam's arguments from p <- shrink p + size (c m) / (sqrt(c2 v) + eps)."""
    lr = -size * c * (1 - (1 - fresh1) ** t)
    decay = {"weight_decay": (1 - shrink) / lr} if shrink != 1 and lr else {}
    return {"lr": lr, "beta1": 1 - fresh1, "beta2": 1 - fresh2, "eps": eps, **decay}


def sgd(mu: Any, share: Any, size: Any, nesterov: bool = False) -> dict[str, Any]:
    """SGD's arguments from m <- mu m + share g, p <- p + size m (Nesterov: size (g + mu m))."""
    return {"lr": -size, "momentum": mu, "dampening": 1 - share, "nesterov": nesterov}


NEARLY_0 = 1e-300  # torch's SGD leaves the average alone where its momentum is exactly 0
MEAN, SQUARES = "lerp(m, G, #)", "lerp(v, (G * G), #)"
PEAK = f"maximum(w, {SQUARES})"
STEP, STEP_OF_PEAK = (f"((({MEAN} * #) * 1/(sqrt(({squares} * #)) + #)) * #)" for squares in (SQUARES, PEAK))
OF_ADAM: dict[str, Callable[..., dict[str, Any]]] = {
    **{f"((p * #) + {step})": adam for step in (STEP, STEP_OF_PEAK)},
    **{f"(p + {step})": partial(adam, 1.0) for step in (STEP, STEP_OF_PEAK)},
}
FORMULAS: dict[str, Callable[..., dict[str, Any]]] = {
    **OF_ADAM,
    "(p + (((m * #) + G) * #))": lambda mu, size, t: sgd(mu, 1.0, size),
    "(p + (((m * #) + (G * #)) * #))": lambda mu, share, size, t: sgd(mu, share, size),
    "(p + ((G + (((m * #) + G) * #)) * #))": lambda mu, _, size, t: sgd(mu, 1.0, size, nesterov=True),
    f"(p + (({MEAN} * #) * #))": lambda fresh, c, size, t: sgd(max(1 - fresh, NEARLY_0), fresh, size * c),
    "(p + (G * #))": lambda size, t: sgd(0.0, 1.0, size),
}


class Match(NamedTuple):
    """What torch's kernel is told: how to find its arguments, and the sign and decay of the gradient."""

    arguments: Callable[..., dict[str, Any]]
    numbers: tuple[tuple[int, str], ...]
    maximize: bool
    decay: tuple[tuple[int, str], ...]

    def unbiased(self, slots: list[float], t: float) -> bool:
        """Whether squares are divided by 1 - beta2^t, as torch's kernel does."""
        if self.arguments not in OF_ADAM.values():
            return True
        fresh2, c2 = (FORMS[form](slots[slot]) for slot, form in self.numbers[-4:-2])
        return math.isclose(c2 * (1 - (1 - fresh2) ** t), 1.0, rel_tol=1e-9)

    def told(self, slots: list[float], t: float) -> dict[str, Any]:
        """The kernel's arguments from the program's numbers at age t."""
        found = [FORMS[form](slots[slot]) for slot, form in self.numbers]
        decay = sum(slots[slot] for slot, _ in self.decay)  # one, or none
        return {"weight_decay": decay, **self.arguments(*found, t=t), "maximize": self.maximize}


def recognise(program: Program) -> Match | None:
    """The kernel of torch's that does the same, if there is one."""
    stored = {program.columns[column][0]: ref for column, ref in program.stores}
    same = {dtype for _, dtype, _ in program.columns} == {program.dtype}
    if "p" not in stored or program.sums or not same:
        return None
    said = [formula(program, ref) for ref in range(len(program.ops))]
    gradients = [ref for ref, found in enumerate(said) if found.text in GRADIENTS]
    if not gradients:
        return None
    gradient = max(gradients, key=lambda ref: len(said[ref].text))
    found = formula(program, stored["p"], gradient)
    arguments = FORMULAS.get(found.text)
    kept = {NAMES.get(name, name): formula(program, ref, gradient).text for name, ref in stored.items() if name != "p"}
    if arguments is None or kept != _keeps(found.text):
        return None
    return Match(arguments, found.numbers, said[gradient].text.find("-") >= 0, said[gradient].numbers)


def _keeps(text: str) -> dict[str, str]:
    """What torch's kernel for a formula remembers."""
    means = [mean for mean in (MEAN, "((m * #) + G)", "((m * #) + (G * #))") if mean in text]
    squares = ({"v": SQUARES} if SQUARES in text else {}) | ({"w": PEAK} if PEAK in text else {})
    return ({"m": means[0]} if means else {}) | squares


FORMS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "inverse": lambda x: 1 / x,
    "complement": lambda x: 1 - x,
}


class Fused:
    """torch._fused_adamw_ and its sisters, called with lists that were made once."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """torch's kernel over these tensors; None where the program is another one, or its numbers are far away."""
        if any(part.scope != "global" for part in self.chunk.rule.choosers.values()):
            return None  # every tensor has numbers of its own
        match = recognise(program)
        if match is None:
            return None
        told = [(self._slots(match, t), t) for t in (1.0, 5.0)]
        fixed = self._fixed([match.told(slots, t) for slots, t in told])
        if not all(match.unbiased(slots, t) for slots, t in told) or (fields.device.type != "cpu" and fixed is None):
            return None
        return Call(self.chunk, match, fixed, fields, torch.zeros(len(items.given), 0, device=fields.device))

    def _slots(self, match: Match, t: float) -> list[float]:
        """The program's numbers at age t, for lr = 1 and decisions drawn at random."""
        rule, dtype = self.chunk.rule, self.chunk.p.dtype
        reading = "walk" if rule.scouts else "whole"
        _, places = write(rule, reading, dtype, match.maximize)
        found = numbers(rule, reading, dtype, t, 1.0)
        return [found[place] for place in places]

    def _fixed(self, told: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The arguments for lr = 1, if nothing but the learning rate moves in them."""
        first, later = told
        if self.chunk.layout.numbers:
            return None
        same = all(math.isclose(x, later[key], rel_tol=1e-13) for key, x in first.items())
        return first | {"lr": round(first["lr"], 13)} if same else None  # 1 lr is lr, 0.9999999999999999 lr is not


class Call:
    """One of torch's fused kernels over the tensors of a chunk."""

    def __init__(self, chunk: Chunk, match: Match, fixed: dict[str, Any] | None, fields: Fields, sums: Tensor) -> None:
        self.chunk, self.match, self.fixed, self.sums = chunk, match, fixed, sums
        self.numberless = fixed is not None
        self.columns = columns = fields.columns
        means: list[Tensor] = columns.get("filter.m") or columns.get("filter.b") or []
        self.state: tuple[Any, ...] = (means,)
        self.kernel: Callable[..., Any] = torch._fused_sgd_
        self.extra = {"is_first_step": False}
        if "metric.v" in columns:
            self.kernel = torch._fused_adam_ if match.decay else torch._fused_adamw_
            peaks: list[Tensor] = columns.get("metric.peak") or []
            self.state = (means, columns["metric.v"], peaks, [chunk.clock] * len(means))
            self.extra = {"amsgrad": bool(peaks)}

    def __call__(self, numbers: Tensor, fit: Fit) -> Tensor:
        """Move the parameters, where `fit` is not false."""
        if self.fixed is not None:
            lr = self.chunk.lr
            told = self.fixed | {"lr": self.fixed["lr"] * (lr if self.far else float(lr))}
        else:
            told = self.match.told(numbers[0, ::3].tolist(), float(self.chunk.clock))
        gate = fit.logical_not().float() if isinstance(fit, Tensor) else None
        columns = self.columns
        self.kernel(columns["p"], columns["g"], *self.state, **self.extra, **told, grad_scale=None, found_inf=gate)
        torch.autograd.graph.increment_version(columns["p"])
        return self.sums

    @property
    def far(self) -> bool:
        """Whether the learning rate lives on an accelerator, where nobody may ask for it."""
        return isinstance(self.chunk.lr, Tensor) and self.chunk.lr.device.type != "cpu"
