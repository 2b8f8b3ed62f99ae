"""Fields: one symbol of the maths, be it one tensor or many that walk together.

The only file that names `torch._foreach`: a formula written once for a Tensor runs unchanged, and bit for bit equal,
on a `Bundle` of tensors. Between fields use operators; with a number or a 0-d tensor use `.mul(c)`, `.div(c)`,
`.add(c)`, because Dynamo cannot trace an overloaded operator of a list type whose other side is a 0-d tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import torch
from torch import Tensor

from .place import Runs as Runs  # parts name fields and their coordinates in one breath


class Bundle(tuple):  # type: ignore[type-arg]
    """Several tensors that walk through the maths as one symbol.

    Speaks the part of Tensor's vocabulary that works element by element. Shapes may differ, device and dtype may not.
    A factor is a number, a 0-d tensor for all, or a Bundle with one factor for each tensor.

    >>> Bundle([torch.ones(2), torch.ones(3)]).mul(2.0)[1]
    tensor([2., 2., 2.])
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Bundle:
        return self._map(torch._foreach_add, other)

    def __sub__(self, other: Any) -> Bundle:
        return self._map(torch._foreach_sub, other)

    def __mul__(self, other: Any) -> Bundle:
        return self._map(torch._foreach_mul, other)

    def __truediv__(self, other: Any) -> Bundle:
        return self._map(torch._foreach_div, other)

    def __neg__(self) -> Bundle:
        return self.neg()

    def __radd__(self, other: Any) -> Bundle:
        raise TypeError(f"{type(other).__name__} + Bundle is not defined; write bundle.add(c) or bundle + bundle.")

    def __rmul__(self, other: Any) -> Bundle:
        raise TypeError(f"{type(other).__name__} * Bundle is not defined; write bundle.mul(c) or bundle * bundle.")

    def add(self, c: Any) -> Bundle:
        return self._map(torch._foreach_add, c)

    def mul(self, c: Any) -> Bundle:
        return self._map(torch._foreach_mul, c)

    def div(self, c: Any) -> Bundle:
        return self._map(torch._foreach_div, c)

    def to(self, dtype: torch.dtype) -> Bundle:
        return self if dtype == self.dtype else self._like(x.to(dtype) for x in self)

    def neg(self) -> Bundle:
        return self._map(torch._foreach_neg)

    def sqrt(self) -> Bundle:
        return self._map(torch._foreach_sqrt)

    def sign(self) -> Bundle:
        return self._map(torch._foreach_sign)

    def abs(self) -> Bundle:
        return self._map(torch._foreach_abs)

    def reciprocal(self) -> Bundle:
        return self._map(torch._foreach_reciprocal)

    def square(self) -> Bundle:
        return self * self

    def maximum(self, other: Any) -> Bundle:
        return self._map(torch._foreach_maximum, other)

    def lerp(self, end: Bundle, weight: Any) -> Bundle:
        return self._map(torch._foreach_lerp, end, self._weights(weight))

    def lerp_(self, end: Bundle, weight: Any) -> Bundle:
        return self._do(torch._foreach_lerp_, end, self._weights(weight))

    def add_(self, other: Any) -> Bundle:
        return self._do(torch._foreach_add_, other)

    def mul_(self, c: Any) -> Bundle:
        return self._do(torch._foreach_mul_, c)

    def copy_(self, source: Bundle) -> Bundle:
        return self._do(torch._foreach_copy_, source)

    @property
    def dtype(self) -> torch.dtype:
        return cast(torch.dtype, self[0].dtype)

    def _map(self, op: Callable[..., Sequence[Tensor]], *others: Any) -> Bundle:
        return self._like(op(list(self), *map(_plain, others)))

    def _like(self, tensors: Iterable[Tensor]) -> Bundle:
        return Bundle(tensors)

    def _do(self, op: Callable[..., Any], *others: Any) -> Bundle:
        op(list(self), *map(_plain, others))
        return self

    def _weights(self, weight: Any) -> Any:
        # torch's foreach lerp takes a number or one tensor for each tensor, of the tensors' own dtype
        if isinstance(weight, Tensor):
            return [weight.to(self[0].dtype)] * len(self)
        return [w.to(x.dtype) for w, x in zip(weight, self, strict=True)] if isinstance(weight, Bundle) else weight


class Shards(Bundle):
    """A bundle of tensors of which other processes hold the rest, each with its place in the whole.

    Sums of it are shares of the whole's: they add up over the processes.
    """

    places: tuple[Any, ...]

    @property
    def counts(self) -> list[float]:
        """How many coordinates each of them stands for."""
        return [place.count for place in self.places]

    def _like(self, tensors: Iterable[Tensor]) -> Shards:
        return shards(tensors, self.places)

    def sample(self, runs: Callable[[int], Runs]) -> Shards:
        """The same field on the coordinates that `runs` names for a whole tensor of so many."""
        places = [place.sampled(runs(place.size)) for place in self.places]
        return shards([place.pick(x) for place, x in zip(places, self, strict=True)], places)


def shards(tensors: Iterable[Tensor], places: Iterable[Any]) -> Any:
    """Tensors and their places, one for each."""
    found = Shards(tensors)
    found.places = tuple(places)
    return found


class Elsewhere:
    """A field whose numbers are not here: it speaks Tensor's vocabulary and answers for its own sums."""

    __slots__ = ()  # and no ABC: isinstance is asked hundreds of times in a step

    def total(self) -> Tensor:
        """Sum over the elements, one number per tensor."""
        raise NotImplementedError

    def count(self) -> Tensor:
        """Number of elements, one number per tensor."""
        raise NotImplementedError

    def sample(self, pick: Callable[[Tensor], Tensor]) -> Elsewhere:
        """The same field on the coordinates that `pick` selects."""
        raise NotImplementedError


if TYPE_CHECKING:
    Field = Tensor  # to the type checker a Bundle is a Tensor: it answers to the same names
else:
    Field = Tensor | Bundle | Elsewhere


def _plain(x: Any) -> Any:
    return list(x) if isinstance(x, Bundle) else x


def as_field(tensors: Iterable[Tensor]) -> Field:
    """One tensor stands for itself, several become a Bundle."""
    bundle = Bundle(tensors)
    return cast(Tensor, bundle[0] if len(bundle) == 1 else bundle)


def tensors_of(x: Field) -> list[Tensor]:
    """The tensors that a field stands for."""
    return list(x) if isinstance(x, Bundle) else [x]


def many(x: Field | float) -> TypeGuard[Field]:
    """Whether x is a field rather than one number for all, 0-d or Python's."""
    return isinstance(x, Bundle) or (isinstance(x, Tensor) and x.dim() > 0)


def each(f: Callable[..., Tensor], *xs: Any) -> Field:
    """f of every tensor, for what Tensor's vocabulary lacks. A lone tensor or number goes with all of a Bundle."""
    n = max((len(x) for x in xs if isinstance(x, Bundle)), default=0)
    if not n:
        return f(*xs)
    columns = [x if isinstance(x, Bundle) else (x,) * n for x in xs]
    return cast(Tensor, Bundle(f(*row) for row in zip(*columns, strict=True)))


def lerp_(x: Field, end: Field, weight: Field | float) -> Field:
    """x <- x + weight (end - x) in place, weight a number, a 0-d tensor of any dtype, or one for each tensor."""
    return x.lerp_(end, weight.to(x.dtype) if isinstance(weight, Tensor) and isinstance(x, Tensor) else weight)


def lerp(x: Field, end: Field, weight: Field | float) -> Field:
    """x + weight (end - x)."""
    return x.lerp(end, weight.to(x.dtype) if isinstance(weight, Tensor) and isinstance(x, Tensor) else weight)


def total(x: Field) -> Tensor:
    """Sum over the elements, one number per tensor: Tensor -> [1], Bundle of k -> [k], float64, still on the device."""
    if isinstance(x, Elsewhere):
        return x.total()
    mine = [place.mine(part) for place, part in zip(x.places, x, strict=True)] if isinstance(x, Shards) else None
    return torch.stack([part.sum() for part in mine or tensors_of(x)]).double()


def inner(a: Field, b: Field) -> Tensor:
    """<a, b>, one number per tensor: Tensor -> [1], Bundle of k -> [k], float64.

    Multiplies and then sums pairwise: `torch.dot` on long float32 vectors is wrong in the third digit.
    """
    return total(a * b)


def count(x: Field) -> Tensor:
    """Number of elements, one number per tensor: [1] or [k], float64. Filled in on the device: a copy would wait."""
    if isinstance(x, Elsewhere):
        return x.count()
    sizes = x.counts if isinstance(x, Shards) else [part.numel() for part in tensors_of(x)]
    return torch.stack(
        [part.new_full((), n, dtype=torch.float64) for n, part in zip(sizes, tensors_of(x), strict=True)]
    )


def over(a: Tensor | float, b: Tensor) -> Tensor:
    """a / b where b > 0, else 0: where there is nothing to divide by there was nothing to share out."""
    return a / b.where(b > 0, torch.inf)


def peaks(x: Field) -> Tensor:
    """max |x|, one number per tensor: [1] or [k], float64; NaN and infinity show in it."""
    return torch.stack([n.double() for n in torch._foreach_norm(tensors_of(x), torch.inf)])
