"""Programs as Triton kernels: every reading of many rules against the readable rule in float64.

On a GPU the kernels are compiled. Elsewhere Triton's interpreter runs the same text on the host's memory; since it must
be chosen before Triton is imported, `test_in_the_interpreter` runs this file again in a process of its own. Skipped
without Triton (`make triton` installs it).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from fallline import (
    EMA,
    SGD,
    Adam,
    AdamW,
    Bank,
    Cone,
    Constant,
    Coupled,
    Decoupled,
    Euclid,
    Greedy,
    HeavyBall,
    Lion,
    Probe,
    Rule,
    SecondMoment,
    Span,
    UnitPower,
)
from fallline.core.chunk import Chunk
from fallline.core.field import Bundle, each, shards, tensors_of
from fallline.core.kernel import _work
from fallline.core.kernel.launch import BLOCK, GATHER, LANES, OPTIONS, Launch, load
from fallline.core.kernel.printed import Fields, Pass, Printed, Work
from fallline.core.kernel.reading import Sight, write
from fallline.core.kernel.table import PIECE as LARGE
from fallline.core.kernel.table import Items, pieces, samples
from fallline.core.kernel.triton import PIECE, SAMPLE, Triton, text
from fallline.core.memory import Memory
from fallline.core.plan import WHOLE, make_plan
from fallline.core.section import Section
from fallline.core.shard import Shard, held
from kit import FEW as FEWER
from kit import OPTIMIZERS, owned, stream, walk, weights

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton: make triton")
runs = pytest.mark.skipif(not (INTERPRETED or DEVICE.type == "cuda"), reason="runs in a process of its own")
compiles = pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")

SIZES = (1, 7, 64, 5000, 70000)


@pytest.mark.skipif(INTERPRETED or DEVICE.type == "cuda", reason="is there already")
def test_in_the_interpreter() -> None:
    told = {**os.environ, "TRITON_INTERPRET": "1", "FALLLINE_NATIVE": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# --- programs -----------------------------------------------------------------------------------------------------


def bank(k: int, **others: Any) -> Rule:
    betas = (0.3, 0.5, 0.9, 0.95, 0.99)[-k:]
    return Rule(Bank(betas, Greedy(**others)), SecondMoment(0.999), Constant(), Decoupled(0.1))


def probe(k: int, **others: Any) -> Rule:
    rule = bank(k)
    return replace(rule, filter=Probe(rule.filter.candidates, Greedy(**others)))


def named(kind: Any, *given: Any, dtype: torch.dtype = torch.float32, **others: Any) -> Rule:
    opt = kind([Parameter(torch.ones(2, dtype=dtype))], 0.01, *given, **others)
    return opt.sentence(opt.param_groups[0])


RULES: dict[str, Rule] = {
    "adamw": named(AdamW),
    "adam-coupled": named(Adam, weight_decay=0.1),
    "sgd": named(SGD),
    "heavy-ball": named(SGD, 0.9, 0.1, 0.01),
    "nesterov": named(SGD, 0.9, nesterov=True),
    "lion": named(Lion),
    "lion-auto": named(Lion, ("auto", 0.99)),
    "sgd-auto": named(SGD, "auto", nesterov=True),
    "ema-euclid": Rule(EMA(0.9), Euclid(), Constant(), Coupled(0.1)),
    "second-moment": Rule(HeavyBall(0.9), SecondMoment(0.99, 1e-3), Constant(), Decoupled(0.0)),
    **{f"bank-{k}": bank(k) for k in (2, 3, 5)},
    **{f"probe-{k}": probe(k) for k in (2, 3, 5)},
    "bank-each": bank(3, scope="parameter", score="held-out"),
    "probe-each": probe(3, scope="parameter", score="held-out"),
    "span": replace(bank(3), filter=Bank((0.5, 0.9, 0.99), Span(), UnitPower())),
    "cone-euclid": Rule(Bank((0.5, 0.9), Cone()), Euclid(), Constant(), Coupled(0.1)),
}
FEW = ("adamw", "lion-auto", "bank-3", "probe-each")

# What may be wrong by rounding, as a share of 1 + |x|. Measured: fields 3.1e-7 and 4.8e-16, sums 2.3e-7 and 2.8e-16.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 1e-6}
# The interpreter cuts a bfloat16 off (measured 2^-7.4), where a GPU rounds to nearest.
NARROW = 2.0**-7 if INTERPRETED else 2.0**-8


def cases() -> Iterator[Any]:
    for name, rule in RULES.items():
        for reading in ("scout", "walk") if rule.scouts else ("look", "first", "second", "whole")[name not in FEW :]:
            for dtype in (torch.float32, torch.float64, torch.bfloat16):
                if dtype is torch.float32 or name in FEW:
                    yield pytest.param(name, reading, dtype, id=f"{name}-{reading}-{str(dtype).removeprefix('torch.')}")


def memory(rule: Rule, p: Tensor, source: torch.Generator) -> dict[str, Tensor]:
    """A state as it could be after three steps, with a choice that differs from tensor to tensor if it may."""
    state = rule.state(p)
    for key in rule.layout(p.dtype).fields:
        drawn = torch.randn(state[key].shape, generator=source).to(p.device, state[key].dtype)
        state[key] = drawn.square() if key == "metric.v" else drawn / 512 if key == "write.c" else drawn
    for key, value in (("step", 3.0), ("filter.sum", 0.7), ("filter.energy", 0.4)):
        if key in state:
            state[key].fill_(value)
    if "filter.weights" in state:
        at = p.numel() % len(state["filter.weights"]) if rule.filter.scope == "parameter" else 1
        state["filter.weights"] = torch.eye(len(state["filter.weights"]), device=p.device, dtype=torch.float64)[at]
    return state


def chunk_of(rule: Rule, dtype: torch.dtype, maximize: bool = False) -> Chunk:
    """Tensors of many sizes, with gradients and a past."""
    source = torch.Generator().manual_seed(7)
    params = [Parameter(torch.randn(n, generator=source).to(DEVICE, dtype)) for n in SIZES]
    for p in params:
        p.grad = torch.randn(p.shape, generator=source).to(DEVICE, dtype)
    state = {p: memory(rule, p.detach(), source) for p in params}
    group = {"params": params, "lr": 0.01, "maximize": maximize, "foreach": None, "fused": None}
    (chunk,) = make_plan([group], [Section(group, rule)], state, WHOLE, everyone=True).chunks
    chunk.gradients = [p.grad for p in params]  # type: ignore
    return chunk


def places(chunk: Chunk) -> list[int]:
    return [g.data_ptr() for g in chunk.gradients]


@dataclass
class Twin:
    """A tape of real fields: the rule runs on copies in float64."""

    fields: dict[str, Any]

    def load(self, column: str) -> Any:
        return self.fields[column]


def wide(x: Any) -> Any:
    return Bundle(y.detach().double().clone() for y in x) if isinstance(x, Bundle) else x.detach().double().clone()


def expected(chunk: Chunk, reading: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Fields after the reading, and what it measures."""
    layout = chunk.layout
    fields = {key: wide(chunk.entry(key)) for key in layout.fields}
    p = wide(chunk.p) + fields["write.c"] if "write.c" in fields else wide(chunk.p)
    tape = Twin({"p": p, "g": wide(Bundle(chunk.gradients)), **fields})
    numbers = {key: wide(chunk.entry(key)) for key in layout.numbers}
    lr = torch.full_like(chunk.t, chunk.group["lr"])
    sight = Sight(chunk.rule, tape, layout.fields, numbers, chunk.t, lr, chunk.group["maximize"])  # type: ignore
    return tape.fields, sight.perform(reading)


def work(chunk: Chunk, size: int | None = None) -> Work:
    """Pieces of every tensor, and of its sample."""
    everything = Items(pieces(SIZES, size or PIECE), DEVICE)
    filter: Any = chunk.rule.filter
    sample = Items(samples([filter.runs(n) for n in SIZES], SAMPLE), DEVICE) if chunk.rule.scouts else everything
    return Work(everything, everything, sample)


def passed(chunk: Chunk, reading: str, fit: bool | Tensor = True, size: int | None = None) -> tuple[Pass, Any]:
    """The reading, performed by Triton."""
    fields = Fields(chunk)
    fields.gather(chunk.gradients, places(chunk))
    made = Pass(chunk, reading, fields, work(chunk, size), [Triton()])
    assert isinstance(made.run, Launch)
    return made, made(fit)


def error(x: Any, y: Any) -> float:
    """Largest |x - y| / (1 + |y|) over all coordinates of two fields."""
    pairs = zip(tensors_of(x), tensors_of(y), strict=True)
    return max(float(((a.double() - b).abs() / (1 + b.abs())).max()) for a, b in pairs)


def stored(made: Pass) -> list[str]:
    program = made.run.program  # type: ignore
    return [program.columns[column][0] for column, _ in program.stores]


def check(chunk: Chunk, reading: str, dtype: torch.dtype, size: int | None = None) -> None:
    told = expected(chunk, reading)
    made, measured = passed(chunk, reading, size=size)
    for column in stored(made):
        limit = NARROW if column == "p" and dtype is torch.bfloat16 else TOLERANCE[dtype]
        assert error(chunk.p if column == "p" else chunk.entry(column), told[0][column]) <= limit, column
    assert measured.keys() == told[1].keys()
    for slot, x in measured.items():
        scale = told[1][slot].abs().amax(0).clamp(1e-30)  # each sum as a share of the largest tensor's
        wanted = told[1][slot] if len(x) > 1 else told[1][slot].sum(0, keepdim=True)  # all that decide together
        assert error(x / scale, wanted / scale) <= TOLERANCE[dtype]


@runs
@pytest.mark.parametrize(("name", "reading", "dtype"), list(cases()))
def test_a_pass_does_what_the_rule_says(name: str, reading: str, dtype: torch.dtype) -> None:
    check(chunk_of(RULES[name], dtype), reading, dtype)


def part_of(chunk: Chunk, rank: int, ranks: int) -> Chunk:
    """What one of several processes holds of a chunk's tensors, in copies; of the small ones some hold nothing."""
    parts = [Shard((n,), (held(n, [(1, ranks, rank)]),), ranks) for n in SIZES]

    def of(tensors: list[Tensor]) -> list[Tensor]:
        cut = zip(tensors, parts, strict=True)
        return [x.detach().reshape(-1)[part.axes[0].to(x.device)].clone() for x, part in cut]

    def entry(key: str) -> Any:
        seen = tensors_of(chunk.entry(key))
        if key not in chunk.layout.fields:
            return each(Tensor.clone, chunk.entry(key))
        if not chunk.layout.fields[key][1]:
            return shards(of(seen), parts)
        return shards([x.clone() for x in seen], [p.sampled(chunk.rule.filter.runs(p.size)) for p in parts])  # type: ignore

    keys = [*chunk.layout.fields, *chunk.layout.numbers]
    slots = {key.partition(".")[0] for key in keys} | {*chunk.rule.parts}
    mem = {s: Memory({key.partition(".")[2]: entry(key) for key in keys if key.startswith(f"{s}.")}) for s in slots}
    made = Chunk(
        chunk.group, chunk.rule, chunk.owners, shards(of(tensors_of(chunk.p)), parts), mem, chunk.clock.clone()
    )
    made.gradients = of(chunk.gradients)
    return made


@runs
@pytest.mark.parametrize("name", ["probe-3", "probe-each", "bank-3", "bank-each", "lion-auto"])
def test_parts_of_tensors_do_their_part(name: str) -> None:
    """Measured over three processes and summed, and moved: what is done to the whole."""
    chunk = chunk_of(RULES[name], torch.float32)
    readings = ("scout", "walk") if RULES[name].scouts else ("first", "second")
    wanted, parts = expected(chunk, readings[0])[1]["filter"], [part_of(chunk, rank, 3) for rank in range(3)]
    passes: dict[str, list[Pass]] = {reading: [] for reading in readings}
    for part in parts:
        fields = Fields(part)
        fields.gather(part.gradients, places(part))
        for reading in readings:
            passes[reading].append(Pass(part, reading, fields, _work(part), [Triton()]))
    found = sum(made(True)["filter"] for made in passes[readings[0]])
    wanted = wanted if len(found) > 1 else wanted.sum(0, keepdim=True)
    assert error(found / wanted.abs().amax(0), wanted / wanted.abs().amax(0)) <= 1e-5
    for reading in readings:
        whole = Fields(chunk)
        whole.gather(chunk.gradients, places(chunk))
        Pass(chunk, reading, whole, work(chunk), [Triton()])(True)
    for made in passes[readings[1]]:
        made(True)
    for i, x in enumerate(tensors_of(chunk.p)):
        together = torch.cat([tensors_of(part.p)[i] for part in parts])
        assert torch.equal(together, x.detach())


@runs
@pytest.mark.parametrize("name", FEW)
def test_a_pass_climbs(name: str) -> None:
    chunk = chunk_of(RULES[name], torch.float32, maximize=True)
    check(chunk, "walk" if RULES[name].scouts else "whole", torch.float32)


@runs
def test_the_size_of_a_piece_changes_nothing() -> None:
    for size in (5000, LARGE):  # also one whose pieces begin at odd places
        check(chunk_of(RULES["bank-3"], torch.float32), "first", torch.float32, size)


@runs
@pytest.mark.parametrize("reading", ["look", "scout", "walk", "first", "second", "whole"])
def test_behind_a_closed_gate_nothing_is_stored(reading: str) -> None:
    chunk = chunk_of(RULES["probe-3" if reading in ("scout", "walk") else "bank-3"], torch.float32)
    fields = [chunk.p, *map(chunk.entry, chunk.layout.fields)]
    before = [x.clone() for field in fields for x in tensors_of(field)]
    _, shut = passed(chunk, reading, torch.tensor(False, device=DEVICE))
    assert all(torch.equal(x, y) for x, y in zip(before, (x for f in fields for x in tensors_of(f)), strict=True))
    _, told = passed(chunk, reading)
    if reading in ("look", "scout", "first"):
        assert all(torch.equal(told[slot], shut[slot]) for slot in told), "what is measured does not depend on the gate"


@runs
@pytest.mark.parametrize("name", ["adamw", "probe-each", "bank-3"])
def test_a_bad_step_moves_nothing(name: str) -> None:
    """The whole route, clock and sums of taps included."""
    chunk = chunk_of(RULES[name], torch.float32)
    route = Printed(chunk, False, work(chunk), [Triton()])
    chunk.gradients[3][77] = torch.nan
    before = [x.clone() for x in chunk.tensors()]
    route.gather(places(chunk))
    sound = route.soundness()
    assert sound.isfinite().tolist() == [True, True, True, False, True]
    route.visit(sound.isfinite().all(), True)
    assert all(torch.equal(x, y) for x, y in zip(before, chunk.tensors(), strict=True))


@runs
def test_what_rounding_takes_is_kept() -> None:
    """bfloat16 weights and what is left of them, together: twice the digits."""
    chunk = chunk_of(named(AdamW, dtype=torch.bfloat16, write="kahan"), torch.bfloat16)
    told, _ = expected(chunk, "whole")
    passed(chunk, "whole")
    assert error(wide(chunk.p) + wide(chunk.entry("write.c")), told["p"]) <= NARROW**2


@runs
def test_views_at_odd_addresses() -> None:
    """No wide loads there, and no less is right."""
    chunk = chunk_of(RULES["adamw"], torch.float32)
    chunk.gradients = [torch.cat([g.new_zeros(1), g])[1:] for g in chunk.gradients]
    check(chunk, "whole", torch.float32)
    fields = Fields(chunk)
    fields.gather(chunk.gradients, places(chunk))
    assert not fields.even


@runs
def test_equal_gradients_give_equal_bits() -> None:
    one, other = (passed(chunk_of(RULES["bank-3"], torch.float32), "first")[1]["filter"] for _ in range(2))
    assert torch.equal(one, other)


# --- optimizers ---------------------------------------------------------------------------------------------------

SHAPES = ((5, 4), (4,), (2, 3, 2), (), (60, 50), (2500,))


@runs
@pytest.mark.parametrize("name", [*FEWER, "late-full", "each-full", "span", "nesterov"])
def test_a_run_is_the_readable_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.core.kernel.backends", lambda chunk: [Triton()])
    opts = [OPTIMIZERS[name]([Parameter(p.to(DEVICE)) for p in weights(SHAPES, torch.float64)]) for _ in range(2)]
    for group in opts[1].param_groups:
        group["foreach"] = True
    steps = [[g.to(DEVICE) for g in now] for now in stream(owned(opts[0]), 6)]
    for opt in opts:
        walk(opt, steps)
    routes = {type(chunk.route) for chunk in opts[0]._plan.chunks}  # type: ignore
    assert routes == {Printed}
    for p, q in zip(*map(owned, opts), strict=True):
        assert torch.allclose(p, q, rtol=1e-9, atol=1e-12)
        assert opts[0].state[p].keys() == opts[1].state[q].keys()
        for key, x in opts[0].state[p].items():
            assert torch.allclose(x, opts[1].state[q][key], rtol=1e-9, atol=1e-12), key


# --- compiled, without a GPU --------------------------------------------------------------------------------------


def assembled(page: str, even: bool = True) -> str:
    """PTX for an H100."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = load(page)
    known = {"EVEN": even, "BLOCK": BLOCK, "WIDTH": 4, "LANES": LANES}
    kinds = {"numbers": "*fp64", "sums": "*fp64", "partial": "*fp64", "fit": "*u8", "width": "i64"}
    signature = {x: "constexpr" if x in known else kinds.get(x, "*i64") for x in kernel.arg_names}
    attrs = {(i,): [["tt.divisibility", 16]] for i, x in enumerate(signature) if signature[x].startswith("*")}
    source = ASTSource(kernel, signature, {x: known[x] for x in signature if x in known}, attrs)
    ptx: str = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=dict(OPTIONS)).asm["ptx"]
    return ptx


@compiles
@pytest.mark.parametrize("name", ["adamw", "bank-3"])
def test_whole_blocks_are_read_and_written_in_16_bytes(name: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    program, _ = write(RULES[name], "whole", torch.float32, False)
    page = text(program, spread=False)
    ptx = assembled(page)
    each = BLOCK // (32 * OPTIONS["num_warps"]) // 4  # of a thread and a column
    assert len(re.findall(r"ld\.global\.v4\.b32", ptx)) == each * len(program.columns)
    assert len(re.findall(r"st\.global\.v4\.b32", ptx)) == each * len(program.stores)
    assert ".v4.b32" not in re.sub(r"ld\.param\S*", "", assembled(page, even=False))


@compiles
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_other_kernels_compile_for_a_gpu(dtype: torch.dtype, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    program, _ = write(RULES["probe-each"], "scout", dtype, False)
    assert "st.global" in assembled(text(program, spread=True), even=False)
    assert "st.global" in assembled(GATHER)
