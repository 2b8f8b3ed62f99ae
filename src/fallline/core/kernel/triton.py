"""Programs as Triton kernels: printed, compiled by Triton at first use, launched once over a table of pieces.

`import triton` happens when the first kernel is wanted on CUDA, or on the host's memory with TRITON_INTERPRET=1, where
Triton's interpreter runs the same text. Without Triton, or with FALLLINE_TRITON=0, the readable rule walks instead.

No atomics: every item writes its partial sums, a second kernel adds them up for each tensor in a fixed order, so that
equal gradients give equal bits. Sums are kept in lanes: each of BLOCK lanes adds PIECE / BLOCK = 16 coordinates in
the program's own dtype, everything after that is float64. Nothing here waits for the device.

BLOCK, PIECE and the warps are reasoned, not measured: 8 coordinates per thread are two 16-byte loads of each float32
column, and 124 M coordinates give 7600 programs for 132 multiprocessors, so that the last wave costs little.
"""

from __future__ import annotations

import hashlib
import os

import torch

from .launch import Launch, language, tried
from .printed import Fields, Run
from .symbol import ARITHMETIC, Op, Program
from .table import FORMS, Items

PIECE = 1 << 14  # coordinates of one program
SAMPLE = 1 << 11  # the same where few coordinates must keep many multiprocessors busy

REALS = {torch.float32: "tl.float32", torch.float64: "tl.float64"}
TYPES = {**REALS, torch.bfloat16: "tl.bfloat16"}

PAGE = """\
@triton.jit(do_not_specialize=["width"])
def {name}(items, numbers, width, fit, sums, {tables}EVEN: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64)
    row = tl.load(items + 6 * i)
    whole = tl.load(items + 6 * i + 1)
    sample = tl.load(items + 6 * i + 2)
    run = tl.load(items + 6 * i + 3).to(tl.int32)
    stride = tl.load(items + 6 * i + 4)
    n = run * tl.load(items + 6 * i + 5).to(tl.int32)
    lane = tl.arange(0, BLOCK)
    fits = tl.zeros([BLOCK], tl.int32) + tl.load(fit).to(tl.int32) != 0
    c = numbers + row * width
{bases}
    if EVEN:
        whole = tl.multiple_of(whole, 16)
        sample = tl.multiple_of(sample, 16)
{aligned}
{begin}
{walk}
{results}
"""

# Pieces without gaps: whole blocks first, since a mask that may end anywhere would forbid wide loads.
SOLID = """\
    full = n // BLOCK * BLOCK
    for at in range(0, full, BLOCK):
        j = at + lane
{wide}
    if full < n:
        j = full + lane
        inside = j < n
{masked}"""

# Runs with gaps between them.
SPREAD = """\
    for at in range(0, n, BLOCK):
        j = at + lane
        inside = j < n
        k = j // run
        far = k.to(tl.int64) * stride + (j - k * run)
{masked}"""

BODY: dict[str, str] = {
    **ARITHMETIC,
    "sign": "({0} > 0).to({real}) - ({0} < 0).to({real})",
    "abs": "tl.abs({0})",
    "maximum": "tl.where(({0} > {1}) | ({0} != {0}), {0}, {1})",
}
EXACT = {
    torch.float32: {"sqrt": "tl.sqrt_rn({0})", "reciprocal": "tl.div_rn(1.0, {0})"},  # as torch rounds, not fast
    torch.float64: {"sqrt": "tl.sqrt({0})", "reciprocal": "1 / {0}"},
}


def _operation(program: Program, place: int, op: Op, far: str, mask: str) -> str:
    real = REALS[program.dtype]
    if op[0] == "load":
        offset = "j" if program.columns[op[1]][2] else far
        return f"x{place} = tl.load(p{op[1]} + {offset}{mask and f', mask={mask}, other=0'}).to({real})"
    if op[0] == "cast":
        return f"x{place} = x{op[1]}.to({TYPES[op[2]]}).to({real})"
    formula = (BODY | EXACT[program.dtype])[op[0]]
    return f"x{place} = {formula.format(*(f'x{x}' for x in op[1:]), real=real)}"


def _body(program: Program, far: str, mask: str) -> str:
    """What happens to one block of coordinates, of which `mask` are inside."""
    lines = [_operation(program, i, op, far, mask) for i, op in enumerate(program.ops) if op[0] != "number"]
    for column, ref in program.stores:
        offset = "j" if program.columns[column][2] else far
        lines.append(f"tl.store(p{column} + {offset}, x{ref}, mask={mask and f'{mask} & '}fits)")
    for k, ref in enumerate(program.sums):
        lines.append(f"s{k} = s{k} + {f'tl.where({mask}, x{ref}, 0)' if mask else f'x{ref}'}")
    return "\n".join(f"        {line}" for line in lines)


def text(program: Program, spread: bool) -> str:
    """The program as a Triton function over a table of pieces, with gaps in them or without."""
    columns, real, width = program.columns, REALS[program.dtype], len(program.sums)
    at = {i: 3 * op[1] + FORMS.index(op[2]) for i, op in enumerate(program.ops) if op[0] == "number"}
    masked = _body(program, "far" if spread else "j", "inside")
    walk = SPREAD.format(masked=masked) if spread else SOLID.format(wide=_body(program, "j", ""), masked=masked)
    begin = [f"    p{i} = p{i} + {'sample' if sampled else 'whole'}" for i, (_, _, sampled) in enumerate(columns)]
    bases = [f"    p{i} = tl.load(a{i} + row).to(tl.pointer_type({TYPES[t]}))" for i, (_, t, _) in enumerate(columns)]
    begin += [f"    x{i} = tl.load(c + {slot}).to({real})" for i, slot in at.items()]
    begin += [f"    s{k} = tl.zeros([BLOCK], {real})" for k in range(width)]
    page = PAGE.format(
        name="{name}",
        tables="".join(f"a{i}, " for i in range(len(columns))),
        bases="\n".join(bases),
        aligned="\n".join(f"        p{i} = tl.multiple_of(p{i}, 16)" for i in range(len(columns))),
        begin="\n".join(begin),
        walk=walk,
        results="\n".join(f"    tl.store(sums + {width} * i + {k}, tl.sum(s{k}.to(tl.float64)))" for k in range(width)),
    )
    return page.replace("{name}", f"fallline_{hashlib.sha256(page.encode()).hexdigest()[:8]}")


def reachable(device: torch.device) -> bool:
    """Whether kernels can run on this device's memory: that of a GPU, or any in the interpreter."""
    wanted = os.environ.get("FALLLINE_TRITON", "1") != "0"
    return wanted and (device.type == "cuda" or (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"))


class Triton:
    """Programs as Triton kernels, on a GPU."""

    def bind(self, program: Program, fields: Fields, items: Items) -> Run | None:
        """The program over these tensors; None without Triton, or on another device, or if it does not compile."""
        if not reachable(fields.device) or language() is None:
            return None
        page = text(program, any(item[5] > 1 for item in items.given))
        launch = Launch(page, program, fields, items)
        return launch if tried(launch) else None
