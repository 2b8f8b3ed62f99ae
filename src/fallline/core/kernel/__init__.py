"""Kernels: a rule in one pass over memory, where there is a way to have it.

The table that this package is: composition -> kernel. A rule is run once on symbols (`symbol`, `reading`), which gives
a program; backends turn programs into something that runs. torch's own fused kernels come first, for programs that are
recognised as theirs (`fused`); then C on the host (`native`) and Triton on GPUs (`triton`), printed from the program.
What happens to single numbers around a program is recorded and printed as C too (`formula`, `record`, `scalar`).
Without any of them the readable rule walks: let `route` return None always, and everything still works, slower.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ..border import near, near_gradient
from ..chunk import Chunk
from ..field import Shards, tensors_of
from ..shard import cut
from .eager import Eager
from .formula import at_home
from .fused import Fused
from .native import Native
from .printed import Backend, Printed, Work, readings
from .reading import write
from .table import Items, cuts, pieces, samples, stripes
from .triton import PIECE, SAMPLE, Triton

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def dense(p: Tensor, g: Tensor | None) -> bool:
    """Whether a gradient lies in memory as its parameter does; asked in every step, so no more than needed."""
    alike = type(g) is Tensor and g.dtype is p.dtype and g.layout is torch.strided
    return alike and g.is_contiguous() and p.is_contiguous()  # type: ignore[union-attr]


def plain(p: Tensor) -> bool:
    """Whether a parameter and its gradient are dense memory that an address describes."""
    here = near(p)
    return type(here) in (Parameter, Tensor) and here.dtype in DTYPES and dense(here, near_gradient(p))


def route(chunk: Chunk, late: bool) -> Chunk | None:
    """The chunk on the fastest route there is for its rule; None if that is the readable one.

    late: decisions act in the next step, so that one pass is enough. Raises where a kernel was demanded (fused=True)
    and there is none.
    """
    if chunk.group["foreach"] is not None or chunk.group["fused"] is False:
        return None
    why = _obstacle(chunk, late)
    if why is None:
        with at_home():
            made = Printed(chunk, late, _work(chunk), backends(chunk))
        if made.complete:
            chunk.route = made
            return chunk
        near = "no C compiler was found (or FALLLINE_NATIVE=0)"
        far = "Triton cannot (or FALLLINE_TRITON=0)"
        device = chunk.owners[0].device
        why = f"nothing can compile it for {device}: {near if device.type == 'cpu' else far}"
    if chunk.group["fused"]:
        raise RuntimeError(f"There is no fused kernel for {chunk.rule}: {why}. Pass fused=None to go without.")
    return None


def backends(chunk: Chunk) -> list[Backend]:
    """Who is asked for a kernel, in this order: torch's own for its own algorithms, whose bits it keeps.

    A momentum that chooses itself is nobody's but ours, and C is a few percent faster.
    """
    printers: list[Backend] = [Native(), Triton(), Eager()]
    return [*printers[:1], Fused(chunk), *printers[1:]] if chunk.rule.choosers else [Fused(chunk), *printers]


def routes(groups: list[dict[str, Any]], chunks: list[Chunk]) -> dict[int, str]:
    """How each group walks, by its number; more than one word where its parameters differ."""
    walked = {i: [c for c in chunks if c.group is group] for i, group in enumerate(groups)}
    return {i: ", ".join(dict.fromkeys(map(_word, members))) for i, members in walked.items() if members}


def _word(chunk: Chunk) -> str:
    """Through torch's kernel ("fused"), a printed one (its backend's name), or as "readable"."""
    made = chunk.route
    return type(made.passes[made.tail].run).__module__.rpartition(".")[2] if isinstance(made, Printed) else "readable"


def _work(chunk: Chunk) -> Work:
    """All coordinates in pieces, and those that a scout looks at."""
    held, device = tensors_of(chunk.p), chunk.clock.device
    sizes, told = [p.numel() for p in held], tuple(chunk.p.counts) if isinstance(chunk.p, Shards) else None
    if device.type == "cpu":
        everything, striped, few = Items(pieces(sizes), device, told), Items(stripes(sizes), device), None
    else:
        everything, few = Items(pieces(sizes, PIECE), device, told), SAMPLE
        striped = everything
    for part in chunk.rule.choosers.values():
        if isinstance(chunk.p, Shards) and part.measures and part.runs(1):
            seen = [(part.runs(place.size), place) for place in chunk.p.places]
            count = tuple(place.sampled(runs).count for runs, place in seen)
            return Work(
                everything, striped, Items(cuts([cut(runs, place.span) for runs, place in seen], few), device, count)
            )
        if runs := [found for n in sizes if part.measures and (found := part.runs(n))]:
            return Work(everything, striped, Items(samples(runs, few), device))
    return Work(everything, striped, everything)


def _obstacle(chunk: Chunk, late: bool) -> str | None:
    """Why a chunk's rule cannot become a program."""
    p, rule = chunk.owners[0], chunk.rule
    if chunk.team and (why := _apart(chunk)):
        return why
    if not all(map(plain, chunk.owners if chunk.team else [p])):
        return f"weights of {p.dtype}, {type(p).__name__}, or gradients that are not contiguous and of the same dtype"
    if not all(x.is_contiguous() for key in chunk.layout.fields for x in tensors_of(chunk.entry(key))):
        return "its state lies in memory otherwise than the weights"
    if not rule.elementwise:
        return f"{rule} needs whole matrices"
    if not rule.scouts and any(part.measures and part.runs(1 << 14) for part in rule.choosers.values()):
        return f"{rule} measures on a sample and on everything"
    if not rule.write.traced:
        return f"{rule.write} is not made of a kernel's operations"
    try:
        for reading in readings(chunk, late):
            write(rule, reading, chunk.p.dtype, bool(chunk.group["maximize"]))
    except Exception as error:  # whatever a part does with symbols that it would not do with tensors
        return f"it says what kernels do not understand ({error})"
    return None


def _apart(chunk: Chunk) -> str | None:
    """Why what lies here of sharded weights cannot walk through a kernel."""
    if not any(x.numel() for x in tensors_of(chunk.p)):
        return "nothing of these weights lies here"
    if chunk.rule.scouts and not all(place.span for place in chunk.p.places):  # type: ignore[attr-defined]
        return "they are sharded along another dimension than the first, and a sample would fall apart"
    return None
