"""Transcripts printed as C: formulas on single numbers without Python and without PyTorch between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

from .record import Constant, Operation, Transcript, View

TYPES = {torch.float64: "double", torch.float32: "float", torch.int64: "int64_t", torch.bool: "uint8_t"}
HEAD = "#include <float.h>\n#include <math.h>\n#include <stdint.h>\n"

# What an operation makes of the numbers in the same place of its operands.
ELEMENTWISE: dict[str, str] = {
    "_to_copy.default": "{0}",
    "abs.default": "fabs({0})",
    "add.Tensor": "{0} + {1}",
    "bitwise_and.Tensor": "{0} && {1}",
    "clone.default": "{0}",
    "copy.default": "{1}",
    "div.Tensor": "{0} / {1}",
    "eq.Scalar": "{0} == {1}",
    "eq.Tensor": "{0} == {1}",
    "exp.default": "exp({0})",
    "fill.Scalar": "{1}",
    "floor.default": "floor({0})",
    "full.default": "{0}",
    "full_like.default": "{1}",
    "ge.Scalar": "{0} >= {1}",
    "ge.Tensor": "{0} >= {1}",
    "gt.Scalar": "{0} > {1}",
    "gt.Tensor": "{0} > {1}",
    "le.Scalar": "{0} <= {1}",
    "le.Tensor": "{0} <= {1}",
    "lerp.Scalar": "{0} + {2} * ({1} - {0})",
    "lerp.Tensor": "{0} + {2} * ({1} - {0})",
    "log.default": "log({0})",
    "lt.Scalar": "{0} < {1}",
    "lt.Tensor": "{0} < {1}",
    "mul.Tensor": "{0} * {1}",
    "nan_to_num.default": "{0} != {0} ? 0 : {0} > DBL_MAX ? DBL_MAX : {0} < -DBL_MAX ? -DBL_MAX : {0}",
    "ne.Scalar": "{0} != {1}",
    "ne.Tensor": "{0} != {1}",
    "neg.default": "-{0}",
    "ones_like.default": "1",
    "pow.Scalar": "pow({0}, {1})",
    "pow.Tensor_Scalar": "pow({0}, {1})",
    "pow.Tensor_Tensor": "pow({0}, {1})",
    "reciprocal.default": "1 / {0}",
    "rsqrt.default": "1 / sqrt({0})",
    "rsub.Scalar": "{1} - {0}",
    "scalar_tensor.default": "{0}",
    "sqrt.default": "sqrt({0})",
    "sub.Tensor": "{0} - {1}",
    "where.self": "{0} ? {1} : {2}",
    "zeros.default": "0",
    "zeros_like.default": "0",
}
COMPARISONS = ("eq", "ge", "gt", "le", "lt", "ne", "where", "bitwise_and")
SILENT = ("empty.memory_format", "squeeze_.dim")  # they make room, or look at the same numbers otherwise


def loop(sizes: Sequence[int], body: str, letter: str = "i") -> str:
    """body for every place of a shape."""
    heads = [f"for (int {letter}{d} = 0; {letter}{d} < {n}; {letter}{d}++)" for d, n in enumerate(sizes) if n != 1]
    return f"{' '.join(heads)} {{ {body} }}"


def place(x: View, index: Sequence[str]) -> str:
    """The number of a view at an index; missing leading dimensions and those of size 1 are repeated."""
    index = list(index)[len(index) - len(x.sizes) :]
    terms = [f"({i}) * {s}" for i, n, s in zip(index, x.sizes, x.strides, strict=True) if n != 1]
    return f"(({TYPES[x.dtype]} *)base[{x.storage}])[{' + '.join([str(x.offset), *terms])}]"


def indices(sizes: Sequence[int], letter: str = "i") -> list[str]:
    """The loops' variables over a shape."""
    return [f"{letter}{d}" if n != 1 else "0" for d, n in enumerate(sizes)]


def _read(x: Any, index: Sequence[str], kind: str = "double") -> str:
    """An operand as a number of this kind."""
    if isinstance(x, View):
        return f"({kind}){place(x, index)}"
    return f"({kind})constants[{x.place}]" if isinstance(x, Constant) else f"({kind}){x:d}"


def elementwise(op: Operation, text: str) -> str:
    """The same formula in every place."""
    (out,) = op.out
    index = indices(out.sizes)
    narrow = out.dtype is torch.float32 and not op.name.startswith(COMPARISONS)
    operands = [x for x in op.operands if isinstance(x, (View, Constant, int))]
    limits = [_read(x, index) for _, x in op.named]
    found = [*(_read(x, index, "float" if narrow else "double") for x in operands), *limits]
    return loop(out.sizes, f"{place(out, index)} = {text.format(*found)};")


def clamp(op: Operation) -> str:
    """Not below a smallest number and not above a largest; NaN stays."""
    (out,) = op.out
    index = indices(out.sizes)
    limits = dict(zip(("min", "max"), op.operands[1:], strict=False)) | dict(op.named)
    kept = _read(op.operands[0], index)
    for sign, limit in (("<", limits.get("min")), (">", limits.get("max"))):
        bound = None if limit is None else _read(limit, index)
        kept = kept if bound is None else f"({kept} {sign} {bound} ? {bound} : {kept})"
    return loop(out.sizes, f"{place(out, index)} = {kept};")


def _dims(op: Operation, rank: int) -> list[int]:
    given = op.operands[1] if len(op.operands) > 1 else ()
    return sorted(d % rank for d in (given if isinstance(given, tuple) else (given,))) or list(range(rank))


def _folded(op: Operation) -> tuple[View, list[int], list[str], list[str]]:
    """The operand of a reduction, its reduced dimensions, and the indices of operand and result."""
    x: View = op.operands[0]
    dims = _dims(op, len(x.sizes))
    outer = [name if d not in dims else "0" for d, name in enumerate(indices(x.sizes))]
    kept = len(op.out[0].sizes) == len(x.sizes)
    return x, dims, indices(x.sizes), outer if kept else [i for d, i in enumerate(outer) if d not in dims]


def fold(start: str, text: str) -> Callable[[Operation], str]:
    """A reduction: {0} what was found so far, {1} the next number."""

    def printed(op: Operation) -> str:
        x, dims, index, at = _folded(op)
        first = [i if d not in dims else "0" for d, i in enumerate(index)]
        found = place(op.out[0], at)
        begin = loop([1 if d in dims else n for d, n in enumerate(x.sizes)], f"{found} = {start or _read(x, first)};")
        return begin + "\n  " + loop(x.sizes, f"{found} = {text.format(found, _read(x, index))};")

    return printed


def largest(op: Operation) -> str:
    """The largest number along a dimension, and where it is first; NaN is larger than all."""
    x, (dim,), index, at = _folded(op)
    found, where = (place(out, at) for out in op.out)
    first = [i if d != dim else "0" for d, i in enumerate(index)]
    begin = loop([1 if d == dim else n for d, n in enumerate(x.sizes)], f"{found} = {place(x, first)}; {where} = 0;")
    seen = place(x, index)
    better = f"{seen} > {found} || ({seen} != {seen} && {found} == {found})"
    return f"{begin}\n  {loop(x.sizes, f'if ({better}) {{ {found} = {seen}; {where} = {index[dim]}; }}')}"


def product(op: Operation) -> str:
    """A matrix times a matrix, a matrix times a vector, two vectors, or stacks of them."""
    a, b = op.operands[:2]
    (out,) = op.out
    rows = indices(out.sizes)
    inner = a.sizes[-1]
    left = [*rows[: len(a.sizes) - 1], "k"]
    right = ["k"] if len(b.sizes) == 1 else [*rows[: len(b.sizes) - 2], "k", rows[-1]]
    sum_ = f"s += {_read(a, left)} * {_read(b, right)};"
    return loop(out.sizes, f"double s = 0; for (int k = 0; k < {inner}; k++) {sum_} {place(out, rows)} = s;")


def gather(op: Operation) -> str:
    """Numbers of the first operand where the third one says, along a dimension."""
    x, dim, where = op.operands[:3]
    index = indices(where.sizes)
    source = [place(where, index) if d == dim % len(x.sizes) else i for d, i in enumerate(index)]
    return loop(where.sizes, f"{place(op.out[0], index)} = {place(x, source)};")


def take(op: Operation) -> str:
    """Rows of the first operand, by number."""
    x, (rows,) = op.operands
    if len(rows.sizes) > 1 or rows.dtype is not torch.int64:
        raise NotImplementedError("an index of that shape")
    (out,) = op.out
    index = indices(out.sizes)
    source = [place(rows, index[: len(rows.sizes)]), *index[len(rows.sizes) :]]
    return loop(out.sizes, f"{place(out, index)} = {place(x, source)};")


def join(op: Operation, new: bool) -> str:
    """Tensors side by side, along a dimension of theirs or a new one."""
    tensors, dim = op.operands[0], op.operands[1] if len(op.operands) > 1 else 0
    (out,) = op.out
    dim %= len(out.sizes)
    lines, start = [], 0
    for x in tensors:
        sizes = [*x.sizes[:dim], 1, *x.sizes[dim:]] if new else list(x.sizes)
        index = indices(sizes)
        at = [f"{i} + {start}" if d == dim else i for d, i in enumerate(index)]
        source = [i for d, i in enumerate(index) if not (new and d == dim)]
        lines.append(loop(sizes, f"{place(out, at)} = {_read(x, source)};"))
        start += sizes[dim]
    return "\n  ".join(lines)


OTHERS: dict[str, Callable[[Operation], str]] = {
    "all.dim": fold("1", "{0} && {1} != 0"),
    "amax.default": fold("", "({1} > {0} || {1} != {1}) ? {1} : {0}"),
    "any.dim": fold("0", "{0} || {1} != 0"),
    "bmm.default": product,
    "cat.default": lambda op: join(op, new=False),
    "clamp.default": clamp,
    "dot.default": product,
    "gather.default": gather,
    "index.Tensor": take,
    "max.dim": largest,
    "mm.default": product,
    "mv.default": product,
    "stack.default": lambda op: join(op, new=True),
    "sum.default": fold("0", "{0} + {1}"),
    "sum.dim_IntList": fold("0", "{0} + {1}"),
}


def statement(op: Operation) -> str:
    """One operation in C."""
    stem, _, overload = op.name.partition(".")
    name = f"{stem.removesuffix('_') if not stem.startswith('_') else stem}.{overload}"
    if op.name in SILENT or not prod(op.out[0].sizes):
        return ""
    if any(x.dtype not in TYPES for x in op.out) or dict(op.named).get("alpha", 1) != 1:
        raise NotImplementedError(f"{op.name} of this kind")
    if name in ELEMENTWISE:
        return elementwise(op, ELEMENTWISE[name])
    if name not in OTHERS:
        raise NotImplementedError(f"{op.name} on single numbers")
    return OTHERS[name](op)


def text(transcript: Transcript) -> str:
    """The transcript as C functions part0, part1 ... of a table of storages and the constants."""
    functions = [
        f"void part{k}(char *const *base, const double *constants) {{\n  "
        + "\n  ".join(filter(None, map(statement, part)))
        + "\n}\n"
        for k, part in enumerate(transcript.parts)
    ]
    return HEAD + "\n".join(functions)
