"""Parts of tensors: however a tensor is dealt out, its parts add up to the whole, and so do those of its sample."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributed.tensor._utils import _compute_local_shape_and_global_offset
from torch.distributed.tensor.placement_types import Shard as Cut

from fallline import SGD, Greedy, Probe, SecondMoment, Stochastic
from fallline.core.chooser import Aim
from fallline.core.field import Bundle, as_field, count, inner, shards, total
from fallline.core.memory import Memory
from fallline.core.place import Runs
from fallline.core.shard import Shard, coordinates, cut, held
from fallline.statistics.sample import runs, sample

Pick = tuple[Tensor, ...]
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=3)


def parts(shape: tuple[int, ...], dims: tuple[int, ...], meshes: tuple[int, ...]) -> list[Shard]:
    """The parts of a tensor of which mesh dimension i deals out tensor dimension dims[i], for every process."""
    found = []
    for place in product(*map(range, meshes)):
        cuts = [(d, (1, parts, at)) for d, parts, at in zip(dims, meshes, place, strict=True)]
        axes = tuple(held(n, [how for d, how in cuts if d == dim]) for dim, n in enumerate(shape))
        found.append(Shard(shape, axes, torch.Size(meshes).numel()))
    return found


def local(x: Tensor, part: Shard) -> Tensor:
    """What of x lies there."""
    for d, axis in enumerate(part.axes):
        x = x.index_select(d, axis)
    return x


@st.composite
def dealt(draw: Any) -> tuple[Tensor, list[Shard]]:
    """A tensor, and the parts of it that the processes of some mesh hold."""
    shape = tuple(draw(sizes))
    meshes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=2))
    dims = [draw(st.integers(0, len(shape) - 1)) for _ in meshes]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, parts(shape, tuple(dims), tuple(meshes))


@given(dealt())
@settings(deadline=None, max_examples=60)
def test_every_coordinate_lies_somewhere_once(case: tuple[Tensor, list[Shard]]) -> None:
    x, found = case
    held_ = torch.cat([part.coordinates().reshape(-1) for part in found])
    assert held_.sort().values.tolist() == list(range(x.numel()))
    for part in found:
        assert torch.equal(x.reshape(-1)[part.coordinates()], local(x, part))


@given(dealt())
@settings(deadline=None, max_examples=60)
def test_the_parts_of_a_sample_are_the_sample(case: tuple[Tensor, list[Shard]]) -> None:
    """Bit for bit: foreign coordinates are zero, so that a sum puts it together."""
    x, found = case
    seen = [sample(shards([local(x, part)], [part])) for part in found]
    assert torch.equal(
        sum(place.mine(y) for each in seen for place, y in zip(each.places, each, strict=True)), sample(x)
    )


@given(dealt())
@settings(deadline=None, max_examples=40)
def test_sums_and_counts_add_up(case: tuple[Tensor, list[Shard]]) -> None:
    """Also of a sample whose foreign coordinates hold anything, even what is not finite."""
    x, found = case
    fields = [shards([local(x, part)], [part]) for part in found]
    few = [sample(field) for field in fields]
    spoilt = [
        shards([torch.where(p.inside, y, torch.nan) for p, y in zip(f.places, f, strict=True)], f.places) for f in few
    ]
    for whole, pieces in ((x, fields), (sample(x), few), (sample(x), spoilt)):
        for measure in (total, count, lambda y: inner(y, y.abs())):
            assert torch.allclose(sum(map(measure, pieces)), measure(whole), rtol=1e-12, atol=1e-12)


@given(dealt())
@settings(deadline=None, max_examples=25)
def test_a_probe_measures_parts_of_what_it_measures_of_the_whole(case: tuple[Tensor, list[Shard]]) -> None:
    x, found = case
    g, t = x.float(), torch.tensor(3.0, dtype=torch.float64)
    probe, metric = Probe((0.5, 0.9), Greedy()), SecondMoment()

    def rows(g: Any, v: Any, m: Any) -> Tensor:
        mem = Memory({f"m{k}": m for k in range(2)})
        return probe.measure(g, mem, Aim(metric, Memory({"v": v}), t), t)

    small = sample(g).square()
    of_parts = []
    for part in found:
        mine = shards([local(g, part)], [part])
        places = [part.sampled(runs(part.size))]
        of_parts.append(rows(mine, shards([local(g.square(), part)], [part]), shards([small], places)))
    assert torch.allclose(sum(of_parts), rows(g, g.square(), small), rtol=1e-5, atol=1e-4)


@given(st.integers(1, 3000), st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_cut_runs_are_the_sample_that_lies_in_a_span(n: int, processes: int) -> None:
    """What a kernel walks over is what the readable rule picks."""
    whole = runs(n)
    for part in parts((n,), (0,), (processes,)):
        assert part.span is not None
        found = cut(whole, part.span)
        assert len(found) <= 3
        at = [a + i * r.stride + j for a, _, r in found for i in range(r.rows) for j in range(r.run)]
        seen = [b + i * r.run + j for _, b, r in found for i in range(r.rows) for j in range(r.run)]
        inside = part.sampled(whole).inside.reshape(-1)
        assert seen == inside.nonzero()[:, 0].tolist()
        assert at == part.sampled(whole).places.reshape(-1)[inside].tolist()


@pytest.mark.parametrize("n", [1, 2, 5, 8, 33])
@pytest.mark.parametrize("meshes", [(1,), (3,), (2, 2), (3, 2)])
def test_we_deal_as_torch_does(n: int, meshes: tuple[int, ...]) -> None:
    """Along one dimension, by every dimension of the mesh in turn."""
    for place in product(*map(range, meshes)):
        index = held(n, [(1, parts, at) for parts, at in zip(meshes, place, strict=True)])
        told = _compute_local_shape_and_global_offset((n,), meshes, list(place), [Cut(0)] * len(meshes))
        assert (len(index),) == told[0] and (not len(index) or (int(index[0]),) == told[1])


def test_rows_within_rows_are_no_span_if_they_are_columns() -> None:
    """A row of coordinates is what a kernel can walk along."""
    assert [part.span for part in parts((4, 3), (0,), (2,))] == [(0, 6), (6, 12)]
    assert {part.span for part in parts((4, 3), (1,), (2,))} == {None}
    assert Runs(*runs(20)) and [part.span for part in parts((1,), (0,), (3,))] == [(0, 1), (0, 0), (0, 0)]


def test_places_survive_arithmetic() -> None:
    """A formula on parts gives parts."""
    [part] = parts((4, 3), (0,), (1,))
    x = shards([torch.ones(4, 3)], [part])
    y = (x + x).mul(2.0).sqrt().lerp(x, 0.5).to(torch.float64)
    assert type(y) is type(x) and y.places == x.places
    assert float(count(y)) == 12.0
    assert isinstance(coordinates(as_field([torch.ones(2), torch.ones(3)])), Bundle)


def test_dice_fall_alike_wherever_a_weight_lies() -> None:
    """Stochastic rounding knows a coordinate by its place in the whole tensor."""
    w, t = torch.rand(40, 9), torch.tensor(5.0)
    p = torch.empty(40, 9, dtype=torch.bfloat16)
    Stochastic(3).close(p, w, Memory({}), t)
    for dims in ((0,), (1,)):
        for part in parts((40, 9), dims, (3,)):
            q = torch.empty(local(w, part).shape, dtype=torch.bfloat16)
            Stochastic(3).close(shards([q], [part]), shards([local(w, part)], [part]), Memory({}), t)
            assert torch.equal(q, local(p, part))


def test_nobody_is_asked_where_everything_lies_here() -> None:
    """Without DTensors there is no process group, and none is missed."""
    w = torch.nn.Parameter(torch.ones(5))
    w.grad = torch.ones(5)
    SGD([w], lr=0.1, momentum="auto").step()
    assert not torch.distributed.is_initialized()
