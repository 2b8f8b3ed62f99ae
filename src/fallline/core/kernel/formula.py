"""Formulas on single numbers: written with tensors, performed by C where there is a compiler."""

from __future__ import annotations

import ctypes
from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from .compiler import library
from .record import Body, Cut, Numbers, Transcript, View, record
from .scalar import text

ROOM = 64  # bytes at whose multiples a storage begins
MOST = 512  # formulas whose transcripts are kept


class Formula:
    """A formula that is evaluated in every step, over the same tensors each time.

    body: from named tensors, some of which it may write to, to tensors. The order of its operations must not depend on
    their numbers, and whatever else it does (printing, counting in Python) it may do once instead of in every step.
    key: bodies with equal keys, given tensors of equal shapes, are the same.
    """

    def __init__(self, key: Hashable, body: Body, given: dict[str, Any]) -> None:
        self.body, self.given = body, given
        self.bound = self._bind(key) if all(map(_near, given.values())) else None

    def _bind(self, key: Hashable) -> Bound | None:
        shapes = tuple((name, x.shape, x.dtype) for name, x in self.given.items())
        with at_home():
            found = _prepared((key, shapes), self.body, self.given)
            return Bound(*found, self.given) if found else None

    def __call__(self, cut: Cut | None = None) -> list[Tensor]:
        """Evaluate; `cut` stands in the middle, where the body asks for it: a kernel's numbers in, its sums out."""
        if self.bound is not None:
            return self.bound(cut)
        return list(self.body(self.given, cut or _nowhere))


def at_home() -> AbstractContextManager[Any]:
    """On the host, whatever the user's default device is; where that is the host, without a word to every operation."""
    here = torch.get_default_device().type == "cpu"
    return nullcontext() if here else torch.device("cpu")


def _near(x: Any) -> bool:
    """Whether C finds the numbers at x's address; a subclass of tensors may have none."""
    return type(x) in (Tensor, Parameter) and x.device.type == "cpu" and x.is_contiguous()


def _nowhere(numbers: Tensor) -> Tensor:
    raise TypeError("a formula with a kernel in its middle was called without one")


_known: dict[Hashable, tuple[Transcript, Any] | None] = {}


def _prepared(key: Hashable, body: Body, given: Numbers) -> tuple[Transcript, Any] | None:
    """The transcript and its library; None where the body has none, or nothing can compile it."""
    if key not in _known:
        while len(_known) >= MOST:
            _known.pop(next(iter(_known)))
        try:
            transcript = record(body, given)
            page = library(text(transcript))
        except Exception:  # whatever a body does with stand-ins that it would not do with its numbers
            page = None
        _known[key] = (transcript, page) if page is not None else None
    return _known[key]


class Bound:
    """A transcript over tensors: the numbers that it works with, and where they lie."""

    def __init__(self, transcript: Transcript, page: Any, given: Numbers) -> None:
        sizes = [-(-x // ROOM) * ROOM if isinstance(x, int) else 0 for x in transcript.storages]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        desk = torch.zeros(sum(sizes), dtype=torch.uint8)
        self.tensors = [
            given[x] if isinstance(x, str) else _whole(x) if isinstance(x, Tensor) else desk[start : start + x]
            for x, start in zip(transcript.storages, starts, strict=True)
        ]
        self.base = (ctypes.c_void_p * len(sizes))(*(x.data_ptr() for x in self.tensors))
        self.constants = (ctypes.c_double * len(transcript.constants))(*transcript.constants)
        self.parts = [getattr(page, f"part{k}") for k in range(len(transcript.parts))]
        for part in self.parts:
            part.argtypes, part.restype = [ctypes.c_void_p, ctypes.c_void_p], None
        self.cuts = [self._tensor(view) for view in transcript.cuts]
        self.told = [self._tensor(view) for view in transcript.told]

    def _tensor(self, view: View) -> Tensor:
        x = self.tensors[view.storage]
        x = x if x.dtype is view.dtype else x.view(view.dtype)
        return x.as_strided(view.sizes, view.strides, x.storage_offset() + view.offset)

    def __call__(self, cut: Cut | None) -> list[Tensor]:
        """Evaluate; what is told are the same tensors each time."""
        first, *others = self.parts
        first(self.base, self.constants)
        for numbers, part in zip(self.cuts, others, strict=True):
            assert cut is not None
            cut(numbers)
            part(self.base, self.constants)
        return self.told


def _whole(x: Tensor) -> Tensor:
    """All of the storage that a tensor is a view of."""
    return x.as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
