"""Records: what a formula does to single numbers, operation by operation, so that it can be done again without Python.

A step that chooses performs a hundred operations on tensors of a few numbers, each of which costs more than all the
arithmetic in it. Their order never depends on the numbers. So it is listened to once, through PyTorch's dispatcher:
it names every operation, and every tensor is a view of some storage. `scalar` prints that as C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Numbers = dict[str, Tensor]
Cut = Callable[[Tensor], Tensor]  # the middle of a formula: numbers of a kernel in, its sums out
Body = Callable[[Numbers, Cut], Iterable[Tensor]]


class View(NamedTuple):
    """Where the numbers of a tensor lie: in which storage, from where on, how many and how far apart."""

    storage: int
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class Constant(NamedTuple):
    """A number of the formula's own: its place among the constants."""

    place: int


class Operation(NamedTuple):
    """An operation by torch's name: operands are views, tuples of them, constants, or whole numbers."""

    name: str
    operands: tuple[Any, ...]
    out: tuple[View, ...]
    named: tuple[tuple[str, Any], ...]


class Transcript(NamedTuple):
    """What is to be performed: parts of operations, between which a kernel runs.

    cuts: what the kernel is told after each part but the last. told: the result. storages: the name of what is given, a
    tensor that never changes, or the bytes of a place to work in.
    """

    parts: tuple[tuple[Operation, ...], ...]
    cuts: tuple[View, ...]
    told: tuple[View, ...]
    storages: tuple[str | Tensor | int, ...]
    constants: tuple[float, ...]

    def same(self, other: Transcript) -> bool:
        """Whether two transcripts are one; constant tensors must be the very same."""
        pairs = list(zip(self.storages, other.storages, strict=False))
        alike = all(a is b or (type(a) is type(b) and not isinstance(a, Tensor) and a == b) for a, b in pairs)
        return alike and self[:3] == other[:3] and self.constants == other.constants


def record(body: Body, given: Numbers) -> Transcript:
    """The formula's transcript. NotImplementedError where it has none, or another one each time."""
    before = _listen(body, given)
    for _ in range(2):  # the first time others may have filled their caches
        found = _listen(body, given)
        if found.same(before):
            return found
        before = found
    raise NotImplementedError("a formula that is another one each time")


def _listen(body: Body, given: Numbers) -> Transcript:
    with Recorder(given) as recorder:
        told = list(body(recorder.given, recorder.cut))
    return recorder.transcript(told)


class Recorder(TorchDispatchMode):
    """Listens to operations while they happen to stand-ins of the given numbers."""

    def __init__(self, given: Numbers) -> None:
        super().__init__()
        self.given = {name: x.clone() for name, x in given.items()}
        self.storages: list[str | Tensor | int] = []
        self.places: dict[int, int] = {}
        self.alive: list[Tensor] = []  # else the address of a storage would be used again
        self.constants: dict[float, int] = {}
        self.parts: list[list[Operation]] = [[]]
        self.cuts: list[View] = []
        for name, x in self.given.items():
            self.view(x, name)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operands = self._operand(args)
        named = tuple((name, self._operand(kwargs[name])) for name in ("alpha", "min", "max") if name in kwargs)
        result = func(*args, **kwargs)
        outs = result if isinstance(result, (tuple, list)) else (result,)
        if not self._looks(func, outs):
            name = f"{func._schema.name.removeprefix('aten::')}.{func._overloadname or 'default'}"
            self.parts[-1].append(Operation(name, operands, tuple(map(self.view, outs)), named))
        self.alive.extend(outs)
        return result

    def _looks(self, func: Any, outs: Iterable[Any]) -> bool:
        """Whether the operation only looks at the same numbers otherwise."""
        known = all(isinstance(x, Tensor) and x.untyped_storage().data_ptr() in self.places for x in outs)
        return known and not func._schema.is_mutable

    def _operand(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            return self.view(x, x)
        if isinstance(x, (list, tuple)):
            return tuple(map(self._operand, x))
        return Constant(self.constants.setdefault(x, len(self.constants))) if type(x) is float else x

    def view(self, x: Any, origin: str | Tensor | None = None) -> View:
        """Where a tensor's numbers lie; origin: what its storage is if nobody has seen it yet, None if it was made."""
        if not isinstance(x, Tensor) or x.device.type != "cpu" or x.layout is not torch.strided:
            raise NotImplementedError("an operation whose result is no tensor of numbers on the host")
        storage = x.untyped_storage()
        place = self.places.setdefault(storage.data_ptr(), len(self.storages))
        if place == len(self.storages):
            self.storages.append(storage.nbytes() if origin is None else origin)
            self.alive.append(x)
        return View(place, int(x.storage_offset()), tuple(x.shape), x.stride(), x.dtype)

    def cut(self, numbers: Tensor) -> Tensor:
        """The middle of the formula: a kernel takes these numbers and leaves its sums in what is given as such."""
        self.cuts.append(self.view(numbers))
        self.parts.append([])
        return self.given["sums"]

    def transcript(self, told: Iterable[Tensor]) -> Transcript:
        """What was heard."""
        parts = tuple(map(tuple, self.parts))
        if any(isinstance(self.storages[out.storage], Tensor) for part in parts for op in part for out in op.out):
            raise NotImplementedError("a constant that changes")
        return Transcript(
            parts, tuple(self.cuts), tuple(map(self.view, told)), tuple(self.storages), tuple(self.constants)
        )
