"""The printed route: every reading of the rule is one pass over memory, over a table of addresses."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..chunk import Chunk, Fit
from ..echo import capturing
from ..field import tensors_of
from ..memory import kept_unless
from .reading import Sight, write
from .symbol import Number, Program, Reader
from .table import Items

ALIGNED = 16  # bytes at whose multiples a tensor must begin to be read in wide loads


class Run(Protocol):
    """A program that a backend made: numbers in, sums [items, sums] out."""

    def __call__(self, numbers: list[Number], fit: Fit) -> Tensor:
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
        for key in chunk.rule.layout.fields:
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

    def gather(self, gradients: list[Tensor]) -> None:
        """Look up where this step's gradients lie; a table on a device is made anew only when one of them moved."""
        self.columns["g"] = gradients
        found = [g.data_ptr() for g in gradients]
        if found == self._last:
            return
        self.even = all(address % ALIGNED == 0 for address in found)
        self._last = found
        if self.device.type == "cpu":
            self.addresses["g"].copy_(self._table(found))  # where C looks it up
        elif capturing(self.device):
            self._capture(found)
        else:
            self.addresses["g"] = self._table(found)
            self._spare = self._spare or [self._room()]

    def _capture(self, found: list[int]) -> None:
        """A CUDA graph fills a table of its own in every replay, from memory that nobody writes to again."""
        self._captured.append(self._spare.pop() if self._spare else self._room())
        self.addresses["g"], self._last = self._table(found, self._captured[-1]), []


class Pass:
    """One reading of a chunk's rule over all its coordinates, or over its sample."""

    def __init__(self, chunk: Chunk, reading: str, fields: Fields, items: Items, backends: list[Backend]) -> None:
        self.chunk, self.reading, self.items, self.layout = chunk, reading, items, chunk.rule.layout
        program, self.places = write(chunk.rule, reading, chunk.owners[0].dtype, bool(chunk.group["maximize"]))
        bound = (backend.bind(program, fields, items) for backend in backends)
        self.run = next((run for run in bound if run is not None), None)

    def sums(self, fit: Fit, counts: tuple[Tensor, Tensor]) -> Tensor:
        """Perform the reading; the sums of each tensor, [tensors, sums]."""
        assert self.run is not None
        tape = Reader(counts)
        self.sight(tape).perform(self.reading)
        numbers = [tape.numbers[place] for place in self.places]
        return self.items.gather(self.run(numbers, fit), len(self.chunk.owners))

    def __call__(self, fit: Fit, counts: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Perform the reading; what the rule makes of the sums, by slot."""
        sums = self.sums(fit, counts)
        return self.sight(Reader(counts, sums)).answer() if sums.shape[1] else {}

    def sight(self, tape: Reader) -> Sight:
        """What the rule sees with this tape."""
        chunk, lr = self.chunk, self.chunk.lr
        numbers = {key: chunk.entry(key) for key in self.layout.numbers}
        if isinstance(lr, Tensor) and lr.device == chunk.clock.device:
            rate = lr.double()
        else:
            rate = torch.full_like(chunk.t, float(lr))  # filled in on the device: a copy to it would wait
        return Sight(chunk.rule, tape, self.layout.fields, numbers, chunk.t, rate, bool(chunk.group["maximize"]))


class Printed:
    """The route of a chunk whose rule was printed, or recognised as one that torch has a kernel for."""

    def __init__(self, chunk: Chunk, late: bool, everything: Items, sample: Items, backends: list[Backend]) -> None:
        self.chunk, self.fields = chunk, Fields(chunk)
        self.counts = (everything.counts(len(chunk.owners)), sample.counts(len(chunk.owners)))
        measures, scouts = any(part.measures for part in chunk.rule.choosers.values()), chunk.rule.scouts
        late = late or not measures
        self.head = "scout" if scouts else "whole" if late else "first"
        self.tail = "walk" if scouts else "second"
        wanted = {"look", self.head, *((self.tail,) if scouts or not late else ())}
        self.passes = {
            reading: Pass(chunk, reading, self.fields, sample if reading == "scout" else everything, backends)
            for reading in wanted
        }
        self.complete = all(made.run is not None for made in self.passes.values())

    def gather(self) -> None:
        """Where this step's gradients lie."""
        self.fields.gather(self.chunk.gradients())

    def soundness(self) -> Tensor:
        """Sum of 0 g."""
        return self.passes["look"].sums(True, self.counts)[:, 0]

    def visit(self, fit: Fit, apply: bool) -> dict[str, Tensor]:
        """One pass, or after a scout's pass over the sample one over everything."""
        with kept_unless(fit, self.chunk.numbers):
            self.chunk.clock.add_(1)
            told = self.passes[self.head](fit, self.counts)
            if apply and self.head == "scout":
                self.passes[self.tail](fit, self.counts)
        return told

    def apply(self, fit: Fit) -> None:
        """The rest, after the decision."""
        with kept_unless(fit, self.chunk.numbers):
            self.passes[self.tail](fit, self.counts)
