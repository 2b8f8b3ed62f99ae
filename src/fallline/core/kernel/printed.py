"""The printed route: every reading of the rule is one pass over memory, over a table of addresses."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..chunk import Chunk, Fit, Readable
from ..echo import capturing
from ..field import tensors_of
from ..memory import kept_unless
from .reading import Sight, columns, write
from .symbol import Number, Program
from .table import Items
from .tape import Reader

ALIGNED = 16  # bytes at whose multiples a tensor must begin to be read in wide loads


class Run(Protocol):
    """A program that a backend made: numbers in, sums [items, sums] out."""

    numberless: bool  # True if it knows the numbers already

    def __call__(self, given: list[Number], fit: Fit) -> Tensor:
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
        self.weights: Tensor | None = None
        if reading != "look" and all(part.scope == "global" for part in chunk.rule.choosers.values()):
            self.weights = (self.counts[0] / self.counts[1])[None]
            self.counts = (self.counts[0].sum()[None],) * 2
        dtype = chunk.p.dtype
        self.columns, self.dtype = columns(chunk.rule, dtype), chunk.rule.computes_in(dtype)
        program, self.places = write(chunk.rule, reading, dtype, bool(chunk.group["maximize"]))
        bound = (backend.bind(program, fields, items) for backend in backends)
        self.run = next((run for run in bound if run is not None), None)

    def __call__(self, fit: Fit) -> dict[str, Tensor]:
        """Perform the reading; what the rule measured, by slot.

        A row for each tensor; or if all decide together one row, in which a sample's sums stand for the whole tensors.
        """

        def run(numbers: list[Number]) -> Tensor:
            assert self.run is not None
            sums = self.items.gather(self.run(numbers, fit), len(self.chunk.owners))
            return sums if self.weights is None or not sums.shape[1] else self.weights @ sums

        if self.run is not None and self.run.numberless:
            run([])
            return {}
        tape = Reader(self.columns, self.dtype, self.counts, self.places, run)
        told = self.sight(tape).perform(self.reading)
        sums = tape.finish()
        return self.sight(Reader(self.columns, self.dtype, self.counts, [], run, sums)).answer() if tape.early else told

    def sight(self, tape: Reader) -> Sight:
        """What the rule sees with this tape."""
        chunk = self.chunk
        numbers = {key: chunk.entry(key) for key in self.layout.numbers}
        maximize = bool(chunk.group["maximize"])
        return Sight(chunk.rule, tape, self.layout.fields, numbers, chunk.t, chunk.rate(), maximize)


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
