"""The printed route: every reading of the rule is one pass over memory, over a table of addresses."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..chunk import Chunk, Fit, Readable
from ..echo import capturing
from ..field import tensors_of
from ..memory import kept_unless
from .formula import Formula
from .reading import Sight, columns, write
from .record import Cut, Numbers
from .symbol import Number, Program
from .table import Items, pack
from .tape import Reader

NOTHING = torch.zeros(1, 0, dtype=torch.float64)
ALIGNED = 16  # bytes at whose multiples a tensor must begin to be read in wide loads


class Run(Protocol):
    """A program that a backend made: numbers [1 or tensors, 3 numbers] in, sums [items, sums] out."""

    numberless: bool  # True if it knows the numbers already
    sums: Tensor  # where it leaves them, always the same

    def __call__(self, numbers: Tensor, fit: Fit) -> Tensor:
        """Walk over all items of the table; store nothing where `fit` is false."""


class Backend(Protocol):
    """Who turns a program into something that runs."""

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """The program over these tensors; None where this backend cannot."""


class Fields:
    """The tensors of a chunk by column, and where they lie."""

    def __init__(self, chunk: Chunk) -> None:
        self.device = chunk.owners[0].device
        self.columns = {"p": tensors_of(chunk.p), "g": tensors_of(chunk.p)}
        for key in chunk.layout.fields:
            self.columns[key] = tensors_of(chunk.entry(key))
        self.addresses = {name: self._table([x.data_ptr() for x in held]) for name, held in self.columns.items()}
        self.even = False  # whether all gradients begin at multiples of 16 bytes
        self._last: list[int] = []
        self._spare, self._captured = [self._room()], list[Tensor]()

    def _room(self) -> Tensor:
        """A place on the host from which a device copies while the host goes on."""
        far = self.device.type == "cuda"
        return torch.empty(len(self.columns["p"]), dtype=torch.int64, device="cpu", pin_memory=far)

    def _table(self, addresses: list[int], room: Tensor | None = None) -> Tensor:
        room = self._room() if room is None else room
        return room.copy_(torch.tensor(addresses, device="cpu")).to(self.device, non_blocking=True)

    def gather(self, gradients: list[Tensor], addresses: list[int]) -> None:
        """This step's gradients; the table changes only when one of them moved."""
        self.columns["g"] = gradients
        if addresses == self._last:
            return
        self.even = all(address % ALIGNED == 0 for address in addresses)
        self._last = addresses
        if self.device.type == "cpu":
            self.addresses["g"].copy_(self._table(addresses))  # where C looks it up
        elif capturing(self.device):
            self._capture(addresses)
        else:
            self.addresses["g"] = self._table(addresses)
            self._spare = self._spare or [self._room()]

    def _capture(self, addresses: list[int]) -> None:
        """A CUDA graph fills a table of its own in every replay, from memory that nobody writes to again."""
        self._captured.append(self._spare.pop() if self._spare else self._room())
        self.addresses["g"], self._last = self._table(addresses, self._captured[-1]), []


class Work(NamedTuple):
    """What passes walk over: all coordinates, the same in an order for reading alone, and a scout's sample."""

    everything: Items
    stripes: Items
    sample: Items

    def items(self, reading: str) -> Items:
        """What a reading walks over."""
        return {"look": self.stripes, "scout": self.sample}.get(reading, self.everything)


class Pass:
    """One reading of a chunk's rule over all its coordinates, or over its sample."""

    def __init__(self, chunk: Chunk, reading: str, fields: Fields, work: Work, backends: list[Backend]) -> None:
        self.chunk, self.reading, self.layout = chunk, reading, chunk.layout
        self.items = items = work.items(reading)
        self.counts = work.everything.counts(len(chunk.owners)), items.counts(len(chunk.owners))
        dtype, self.maximize = chunk.p.dtype, bool(chunk.group["maximize"])
        self.columns, self.dtype = columns(chunk.rule, dtype), chunk.rule.computes_in(dtype)
        program, self.places = write(chunk.rule, reading, dtype, self.maximize)
        bound = (backend.bind(program, fields, items) for backend in backends)
        self.run = next((run for run in bound if run is not None), None)
        self.weights: Tensor | None = None
        if reading != "look" and all(part.scope == "global" for part in chunk.rule.choosers.values()):
            shares = (self.counts[0] / self.counts[1])[None]
            self.weights = items.scatter(shares, len(self.run.sums)) if self.run else shares
            self.counts = (self.counts[0].sum()[None],) * 2

    def __call__(self, fit: Fit) -> dict[str, Tensor]:
        """Perform the reading; what the rule measured, by slot.

        A row for each tensor; or if all decide together one row, in which a sample's sums stand for the whole tensors.
        """
        run = self.run
        assert run is not None
        if run.numberless:
            run(NOTHING, fit)
            return {}
        self.chunk.rate()
        return dict(zip(self.slots, self.formula(lambda numbers: run(numbers, fit)), strict=True))

    @cached_property
    def slots(self) -> list[str]:
        """Who measures in this reading."""
        if self.reading in ("walk", "second"):
            return []
        asked = [(not x.early, s) for s, x in self.chunk.rule.choosers.items() if x.measures]
        return ["look"] if self.reading == "look" else [s for late in (False, True) for at, s in asked if at is late]

    @cached_property
    def formula(self) -> Formula:
        """What happens to single numbers around the kernel."""
        chunk, run = self.chunk, self.run
        assert run is not None
        entries = {key: chunk.entry(key) for key in self.layout.numbers}
        counts = {"all": self.counts[0], "seen": self.counts[1]}
        weights = {} if self.weights is None else {"weights": self.weights}
        given = {"t": chunk.t, "rate": chunk.rate(), "sums": run.sums, **counts, **weights, **entries}
        rule = None if self.reading == "look" else chunk.rule  # which has no part in looking
        return Formula((rule, self.reading, self.dtype, self.maximize), self._body, given)

    def _body(self, given: Numbers, cut: Cut) -> list[Tensor]:
        def run(numbers: list[Number]) -> Tensor:
            sums = cut(pack(numbers, given["t"].device))
            if self.weights is None:
                return self.items.gather(sums, len(self.chunk.owners))
            return given["weights"] @ sums if sums.shape[1] else sums

        counts = (given["all"], given["seen"])
        tape = Reader(self.columns, self.dtype, counts, self.places, run)
        told = self._sight(tape, given).perform(self.reading)
        sums = tape.finish()
        again = Reader(self.columns, self.dtype, counts, [], run, sums)
        return list((self._sight(again, given).answer() if tape.early else told).values())

    def _sight(self, tape: Reader, given: Numbers) -> Sight:
        """What the rule sees with this tape."""
        numbers = {key: given[key] for key in self.layout.numbers}
        return Sight(self.chunk.rule, tape, self.layout.fields, numbers, given["t"], given["rate"], self.maximize)


def readings(chunk: Chunk, late: bool) -> tuple[str, ...]:
    """The passes of a step: one where nothing is to be decided before the parameters move, else two."""
    if chunk.rule.scouts:
        return ("scout", "walk")
    return ("whole",) if late or not chunk.measures else ("first", "second")


class Printed:
    """The route of a chunk whose rule was printed, or recognised as one that torch has a kernel for."""

    def __init__(self, chunk: Chunk, late: bool, work: Work, backends: list[Backend]) -> None:
        self.chunk, self.fields = chunk, Fields(chunk)
        self.head, *tail = readings(chunk, late)
        self.tail = tail[0] if tail else self.head
        wanted = ("look", self.head, *tail)
        self.passes = {reading: Pass(chunk, reading, self.fields, work, backends) for reading in wanted}
        self.complete = all(self.passes[reading].run is not None for reading in (self.head, *tail))
        self.sees = self.passes["look"].run is not None

    def gather(self, addresses: list[int]) -> None:
        """Where this step's gradients lie."""
        self.fields.gather(self.chunk.gradients, addresses)

    def release(self) -> None:
        """Hold no gradient between steps."""
        self.fields.columns["g"] = []

    def soundness(self) -> Tensor:
        """Sum of 0 g."""
        if not self.sees:
            return Readable(self.chunk).soundness()
        return self.passes["look"](True)["look"]

    def visit(self, fit: Fit, apply: bool) -> dict[str, Tensor]:
        """One pass, or after a scout's pass over the sample one over everything."""
        with kept_unless(fit, self.chunk.numbers):
            self.chunk.tick()
            told = self.passes[self.head](fit)
            if apply and self.head == "scout":
                self.passes[self.tail](fit)
        return told

    def apply(self, fit: Fit) -> None:
        """The rest, after the decision."""
        with kept_unless(fit, self.chunk.numbers):
            self.passes[self.tail](fit)
