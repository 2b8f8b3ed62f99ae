"""Programs printed as C: one function over a table of tensors."""

from __future__ import annotations

import torch

from .symbol import ARITHMETIC, Op, Program
from .table import FORMS

REALS = {torch.float32: "float", torch.float64: "double"}
TYPES = {**REALS, torch.bfloat16: "uint16_t"}

PAGE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef {real} real;
static inline real wide(uint16_t x) {{ uint32_t u = (uint32_t)x << 16; float y; memcpy(&y, &u, 4); return y; }}
static inline uint16_t narrow(real x) {{
  float y = x; uint32_t u; memcpy(&u, &y, 4);
  return y != y ? 0x7fc0 : (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}}
void run(const int64_t *const *base, const int64_t *items, int64_t first, int64_t last,
         const double *numbers, int64_t width, double *sums) {{
  for (int64_t i = first; i < last; i++) {{
    const int64_t *item = items + 6 * i, row = item[0], run = item[3];
    const double *c = numbers + row * width;
{numbers}
{totals}
    const int64_t block = item[5] > 1 ? 64 : 4096; // several runs are read side by side
    for (int64_t at = 0; at < run; at += block)
      for (int64_t k = 0; k < item[5]; k++) {{
        const int64_t n = run - at < block ? run - at : block;
        const int64_t whole = item[1] + k * item[4] + at, sample = item[2] + k * run + at;
{pointers}
{partials}
#pragma omp simd{reduction}
        for (int64_t j = 0; j < n; j++) {{
{body}
        }}
{gather}
      }}
{results}
  }}
}}
"""

BODY: dict[str, str] = {
    **ARITHMETIC,
    "sqrt": "sqrt{f}({0})",
    "sign": "(real)({0} > 0) - (real)({0} < 0)",
    "abs": "fabs{f}({0})",
    "reciprocal": "1 / {0}",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",  # NaN is larger than all, as in torch
}


def _operation(program: Program, place: int, op: Op) -> str:
    if op[0] == "load":
        name, dtype = f"p{op[1]}[j]", program.columns[op[1]][1]
        return f"const real x{place} = {name if dtype in REALS else f'wide({name})'};"
    if op[0] == "cast":
        through = f"wide(narrow(x{op[1]}))" if op[2] is torch.bfloat16 else f"({TYPES[op[2]]})x{op[1]}"
        return f"const real x{place} = {through};"
    f = "" if program.dtype is torch.float64 else "f"
    return f"const real x{place} = {BODY[op[0]].format(*(f'x{x}' for x in op[1:]), f=f)};"


def _store(program: Program, column: int, ref: int) -> str:
    return f"p{column}[j] = {f'x{ref}' if program.columns[column][1] in REALS else f'narrow(x{ref})'};"


def _pointer(column: int, dtype: torch.dtype, sampled: bool) -> str:
    kind = f"{TYPES[dtype]} *restrict"
    return f"{kind} p{column} = ({TYPES[dtype]} *)base[{column}][row] + {'sample' if sampled else 'whole'};"


def text(program: Program) -> str:
    """The program as a C function over a table of tensors."""
    numbers = {i: op for i, op in enumerate(program.ops) if op[0] == "number"}
    sums = range(len(program.sums))
    at = {i: f"{op[1]} * 3 + {FORMS.index(op[2])}" for i, op in numbers.items()}
    body = [_operation(program, i, op) for i, op in enumerate(program.ops) if i not in numbers]
    body += [_store(program, *store) for store in program.stores] + [f"s{k} += x{program.sums[k]};" for k in sums]
    return PAGE.format(
        real=REALS[program.dtype],
        numbers="\n".join(f"    const real x{i} = c[{slot}];" for i, slot in at.items()),
        totals="\n".join(f"    double t{k} = 0;" for k in sums),
        pointers="\n".join(f"        {_pointer(i, c[1], c[2])}" for i, c in enumerate(program.columns)),
        partials="\n".join(f"        real s{k} = 0;" for k in sums),
        reduction=f" reduction(+:{','.join(f's{k}' for k in sums)})" if sums else "",
        body="\n".join(f"          {line}" for line in body),
        gather="\n".join(f"        t{k} += s{k};" for k in sums),
        results="\n".join(f"    sums[{len(sums)} * i + {k}] = t{k};" for k in sums),
    )
