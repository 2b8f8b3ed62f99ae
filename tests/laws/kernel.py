"""Laws of programs: C says what PyTorch says, operation by operation, and touches nothing that it was not told to."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from fallline import Rule
from fallline.core.field import Bundle
from fallline.core.kernel.eager import Eager
from fallline.core.kernel.native import Native
from fallline.core.kernel.reading import numbers, write
from fallline.core.kernel.symbol import Program
from fallline.core.kernel.table import Items, pack, pieces, samples
from fallline.statistics.sample import runs

SIZES, PIECE = (1, 7, 300, 9001), 5000  # a number, less than a vector, less than a page, two pieces of two pages
CPU = torch.device("cpu")
EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}  # by the arithmetic; C may fuse a product with a sum
SPACING = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.bfloat16: 2.0**-7}

Columns = dict[str, list[Tensor]]


@dataclass(frozen=True)
class Case:
    """A reading of a rule for weights of one dtype."""

    rule: Rule
    reading: str
    dtype: torch.dtype
    maximize: bool = False

    @property
    def written(self) -> tuple[Program, list[int]]:
        return write(self.rule, self.reading, self.dtype, self.maximize)

    @property
    def items(self) -> Items:
        """The work of this reading."""
        return Items(samples([runs(n) for n in SIZES], 64) if self.reading == "scout" else pieces(SIZES, PIECE), CPU)

    def numbers(self, apart: bool) -> Tensor:
        """What fills the slots; apart: each tensor has numbers of its own."""
        told = numbers(self.rule, self.reading, self.dtype, 5.0, 0.43)
        given = [told[place] for place in self.written[1]]
        grow = torch.linspace(0.5, 1.0, len(SIZES), dtype=torch.float64)
        return pack([Bundle((x * grow).unbind()) for x in given] if apart else given, CPU)


def columns(program: Program) -> Columns:
    """Numbers for every column; averages of squares are positive."""
    source, found = torch.Generator().manual_seed(3), {}
    for name, dtype, sampled in program.columns:
        sizes = [found.run * found.rows for found in map(runs, SIZES)] if sampled else SIZES
        drawn = [torch.randn(n, generator=source, dtype=torch.float64) for n in sizes]
        found[name] = [(x.square() + 0.1 if name == "metric.v" else x).to(dtype) for x in drawn]
    return found


def stage(held: Columns) -> Any:
    """Columns as a program's run finds them."""
    places = {name: torch.tensor([x.data_ptr() for x in tensors]) for name, tensors in held.items()}
    return SimpleNamespace(columns=held, addresses=places, device=CPU)


def ran(backend: Any, case: Case, fit: bool = True, apart: bool = False) -> tuple[Columns, Tensor]:
    """What a backend makes of a case: the columns, and the sums of the items."""
    held = columns(case.written[0])
    run = backend.bind(case.written[0], stage({"p": [torch.empty(n) for n in SIZES], **held}), case.items)
    assert run is not None
    return held, run(case.numbers(apart), fit).clone()


def c_says_what_torch_says(case: Case) -> None:
    """Every stored coordinate and every sum, with numbers for all tensors and with numbers for each."""
    for apart in (False, True):
        (ours, sums), (theirs, wanted) = (ran(backend, case, True, apart) for backend in (Native(), Eager(torch.inf)))
        rounding = EXACT[case.written[0].dtype]
        for name, tensors in theirs.items():
            near = max(rounding, 2 * SPACING[tensors[0].dtype]) if tensors[0].is_floating_point() else 0.0
            for x, y in zip(ours[name], tensors, strict=True):
                torch.testing.assert_close(x.double(), y.double(), rtol=near, atol=near)
        sizes = torch.tensor([item[3] * item[5] for item in case.items.given], dtype=torch.float64)[:, None]
        assert bool(((sums - wanted).abs() <= rounding * (sizes + wanted.abs())).all())


def only_what_is_stored_changes(case: Case) -> None:
    """And of that all: a reading that moves parameters moves them everywhere."""
    program = case.written[0]
    stored = {program.columns[column][0] for column, _ in program.stores}
    before, (after, _) = columns(program), ran(Native(), case)
    for name, tensors in before.items():
        moved = [not torch.equal(x, y) for x, y in zip(tensors, after[name], strict=True)]
        assert not any(moved) if name not in stored else all(moved[1:])


def an_unfit_step_stores_nothing(case: Case) -> None:
    """Not a bit, and its sums are 0."""
    after, sums = ran(Native(), case, fit=False)
    before = columns(case.written[0])
    assert all(torch.equal(x, y) for name in before for x, y in zip(before[name], after[name], strict=True))
    assert not sums.any()


def it_is_the_same_twice(case: Case) -> None:
    """To the bit."""
    (a, x), (b, y) = ran(Native(), case), ran(Native(), case)
    assert torch.equal(x, y) and all(torch.equal(u, v) for name in a for u, v in zip(a[name], b[name], strict=True))


LAWS = (
    c_says_what_torch_says,
    only_what_is_stored_changes,
    an_unfit_step_stores_nothing,
    it_is_the_same_twice,
)
