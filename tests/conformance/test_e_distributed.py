"""E: several processes choose and move as one does, agree on everything, and read each other's checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster import Cluster
from conformance import rank
from conformance.recipe import Recipe
from fallline import Muon
from kit import differences

ROUGH = {"torch Muon": 5e-3}  # it computes polar factors in bfloat16, which sees in which order numbers are summed
WAYS = ["shards", "shards and replicas", "columns", "both"]


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    """Two processes."""
    found = Cluster(2)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def four() -> Iterator[Cluster]:
    """Four processes."""
    found = Cluster(4)
    yield found
    found.stop()


def same_everywhere(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What all processes tell, bit for bit alike."""
    for other in found[1:]:
        assert differences(found[0], other) == []
    return found[0]


def assert_near(a: Any, b: Any, tolerance: float = 2e-6) -> None:
    """Equal but for rounding, in the largest number of each tensor."""
    assert type(a) is type(b) and (not isinstance(a, dict | list) or len(a) == len(b))
    if isinstance(a, dict | list):
        for key in a if isinstance(a, dict) else range(len(a)):
            assert_near(a[key], b[key], tolerance)
    elif isinstance(a, torch.Tensor) and a.numel():
        a, b = a.detach().double(), b.detach().double()
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-30)


def assert_as_alone(found: list[dict[str, Any]], alone: dict[str, Any], tolerance: float = 2e-6) -> None:
    """All processes together did what one does: the same choices, and the same numbers but for rounding."""
    here = same_everywhere(found)
    assert here["path"] == alone["path"]
    assert_near(here["params"], alone["params"], tolerance)
    assert_near(here.get("state", []), alone.get("state", []), max(tolerance, 1e-5))


# --- E1, E2: distributed checkpoints ----------------------------------------------------------------------------------


def assert_continued(recipe: Recipe, here: dict[str, Any]) -> None:
    """As if nothing had happened: to the last bit of the weights, where their gradients are given."""
    alone = rank.walked(recipe.name, foreach=True)
    if recipe.name in ROUGH:
        return assert_near(here["params"], alone["params"], ROUGH[recipe.name])
    assert differences(here["params"], alone["params"]) == []
    assert_near(here["state"], alone["state"], 1e-5)  # sums that were added up in another order


@pytest.mark.host
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
def test_e1_written_by_four_read_by_two_and_by_one(
    recipe: Recipe, flat: bool, four: Cluster, two: Cluster, tmp_path: Path
) -> None:
    """A checkpoint is dealt out anew over any number of processes, and the walk goes on to the last bit."""
    folder = str(tmp_path)
    same_everywhere(four.run(rank.saved, recipe.name, "shards", folder, flat))
    assert_continued(recipe, same_everywhere(two.run(rank.resumed, recipe.name, "shards", folder, flat, False)))
    assert_continued(recipe, same_everywhere(four.run(rank.resumed, recipe.name, "shards", folder, flat, True)))
    assert_continued(recipe, rank.resumed(recipe.name, "plain", folder, flat, True))


@pytest.mark.host
def test_e1_written_by_one_read_by_two(recipe: Recipe, two: Cluster, tmp_path: Path) -> None:
    """From one process to several."""
    rank.saved(recipe.name, "plain", str(tmp_path), False)
    assert_continued(recipe, same_everywhere(two.run(rank.resumed, recipe.name, "shards", str(tmp_path), False, False)))


@pytest.mark.host
def test_e1_gathered_into_one_state_dict(recipe: Recipe, two: Cluster) -> None:
    """The whole state is asked for, and dealt out to a fresh optimizer."""
    assert_continued(recipe, same_everywhere(two.run(rank.gathered, recipe.name)))


@pytest.mark.host
def test_e1_every_process_keeps_its_own_state_dict(recipe: Recipe, two: Cluster) -> None:
    """torch's own state_dict and load_state_dict."""
    assert_continued(recipe, same_everywhere(two.run(rank.reloaded, recipe.name)))


@pytest.mark.host
def test_e1_a_whole_state_dict_is_dealt_out(ours: Recipe, two: Cluster) -> None:
    """Of one process, loaded on shards as it is."""
    assert_continued(ours, same_everywhere(two.run(rank.dealt_out, ours.name)))


@pytest.mark.host
def test_e1_a_part_is_not_taken_for_the_whole(ours: Recipe, two: Cluster) -> None:
    """A sharded state dict does not load where weights are whole."""
    said = two.run(rank.complaint, "taken_whole", ours.name)
    assert all("CheckpointError" in each and "torch.distributed.checkpoint" in each for each in said), said


def test_e2_asked_before_the_first_step(recipe: Recipe) -> None:
    """The step with zero gradients and lr = 0 that makes state leaves no trace."""
    found = rank.asked_afresh(recipe.name, "plain")
    assert set(found.pop("clocks")) == {0.0}
    assert_continued(recipe, found)


@pytest.mark.host
def test_e2_asked_before_the_first_step_with_shards(recipe: Recipe, two: Cluster) -> None:
    """On no process."""
    found = same_everywhere(two.run(rank.asked_afresh, recipe.name, "shards"))
    assert set(found.pop("clocks")) == {0.0}
    assert_continued(recipe, found)


# --- E3: whatever is measured is measured of whole tensors ------------------------------------------------------------


def test_e3_two_processes_with_shards_walk_as_one(recipe: Recipe, two: Cluster) -> None:
    """FSDP2, with shards that are uneven and empty."""
    found, alone = two.run(rank.walked, recipe.name, "shards"), rank.walked(recipe.name)
    assert_as_alone(found, alone, ROUGH.get(recipe.name, 2e-6))


@pytest.mark.host
@pytest.mark.parametrize(
    ("dtype", "foreach"), [(torch.float32, None), (torch.bfloat16, True)], ids=["kernels", "readable-bfloat16"]
)
@pytest.mark.parametrize("how", WAYS)
def test_e3_four_processes_walk_as_one(
    ours: Recipe, how: str, dtype: torch.dtype, foreach: bool | None, four: Cluster
) -> None:
    """FSDP2, with replicas (HSDP), with columns dealt out (tensor parallelism), and FSDP2 over that."""

    found = four.run(rank.walked_on_a_route, ours.name, how, dtype, foreach)
    alone = rank.walked_on_a_route(ours.name, "plain", dtype, foreach)
    assert_as_alone(found, alone, 1e-2 if dtype is torch.bfloat16 else 2e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("AdamW fixed", 1), ("AdamW auto", 1), ("AdamW each", 1), ("Lion auto", 1), ("AdamW full bank", 2)],
)
def test_e3_one_small_all_reduce(name: str, expected: int, two: Cluster) -> None:
    """A step asks once whether it is fit; a probe measures in the same breath, a full bank in another one."""
    assert {*two.run(rank.walked, name, "shards")[0]["calls"]} == {expected}


@pytest.mark.host
@pytest.mark.parametrize(("name", "expected"), [("AdamW fixed", 0), ("AdamW auto", 1), ("AdamW full bank", 1)])
def test_e3_nothing_more_where_nobody_looks(name: str, expected: int, two: Cluster) -> None:
    """With on_nonfinite="ignore" only what is measured is summed."""
    assert {*two.run(rank.walked_blindly, name)[0]["calls"]} == {expected}


@pytest.mark.host
@pytest.mark.filterwarnings("ignore:The gradient of")
@pytest.mark.parametrize("how", ["shards", "columns"])
def test_e3_a_bad_number_on_one_process_stops_all(ours: Recipe, how: str, two: Cluster) -> None:
    """Nobody moves, everybody counts it, and the walk goes on as that of one process."""
    bad = (0, 4, 5)
    alone = rank.walked(ours.name, bad=bad)
    found = two.run(rank.walked, ours.name, how, torch.float32, bad)
    assert_as_alone(found, alone)
    assert {each["skipped"] for each in found} == {3}


@pytest.mark.host
def test_e3_the_process_that_holds_a_bad_number_names_it(ours: Recipe, two: Cluster) -> None:
    """Both raise, and nothing has moved."""
    elsewhere, here = two.run(rank.stopped, ours.name)
    assert "parameter 3 of group 0 is not finite" in here
    assert "another process holds, is not finite" in elsewhere


@pytest.mark.host
def test_e3_candidates_may_change_on_the_way(two: Cluster) -> None:
    """What the new candidates share with the old ones is carried over; every process reports its own bytes."""
    found, alone = two.run(rank.changed, "AdamW auto", "shards"), rank.changed("AdamW auto", "plain")
    sizes = [each.pop("bytes") for each in (*found, alone)]
    assert differences(found[0], found[1]) == [] and found[0]["chosen"] == alone["chosen"]
    assert differences(found[0]["params"], alone["params"]) == []
    assert max(sizes[:2]) < 0.6 * sizes[2] < sum(sizes[:2])


@pytest.mark.parametrize("how", WAYS[::2])
def test_e3_who_needs_whole_tensors_gets_them(how: str, two: Cluster) -> None:
    """A metric that is no formula of one coordinate sees the whole tensor, and every process moves its part."""
    assert_as_alone(two.run(rank.whole_tensors, how), rank.whole_tensors("plain"))


# --- E4: FSDP1 --------------------------------------------------------------------------------------------------------


@pytest.mark.host
@pytest.mark.parametrize("named", [True, False], ids=["original", "flat"])
@pytest.mark.filterwarnings("ignore")
def test_e4_flat_parameters(ours: Recipe, named: bool, two: Cluster, refused: Callable[[str], None]) -> None:
    """Recipes without a choice move FSDP1's flat parameters; those with one say why they cannot."""
    if not ours.chooses and ours.kind is not Muon:
        found = same_everywhere(two.run(rank.trained_flat, ours.name, named))
        assert_near(found["params"], rank.trained(ours.name, "plain")["params"], 1e-4)
        return
    said = two.run(rank.complaint, "trained_flat", ours.name, named)
    assert all("FSDP1 does not say which part" in each and "fully_shard" in each for each in said), said
    refused("FSDP1 hides which part of a weight lies where: a choice would be each process's own")


# --- E6, E7: processes agree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["replicas", "shards"])
def test_e6_the_same_batches_on_one_process_and_on_two(recipe: Recipe, how: str, two: Cluster) -> None:
    """Real gradients of a network, under DDP and FSDP2: the same choices, nearly the same weights."""
    if recipe.name == "torch Muon":
        pytest.skip("it moves matrices only, and a network has biases")
    found, alone = two.run(rank.trained, recipe.name, how), rank.trained(recipe.name, "plain")
    assert_as_alone(found, alone, 1e-3)
    assert {*found[0]["calls"]} == {0} or how == "shards", "replicas have nothing to ask each other"


@pytest.mark.host
@pytest.mark.parametrize("how", ["replicas", "shards"])
def test_e6_the_same_batches_on_four(ours: Recipe, how: str, four: Cluster) -> None:
    """The same with four."""
    assert_as_alone(four.run(rank.trained, ours.name, how), rank.trained(ours.name, "plain"), 1e-3)


@pytest.mark.host
def test_e6_a_check_compares_decisions(chooser: Recipe, two: Cluster) -> None:
    """Processes that forgot to average their gradients are told, where FALLLINE_AGREE=1."""
    assert set(two.run(rank.replicas_that_differ, chooser.name, False)) == {""}
    said = two.run(rank.replicas_that_differ, chooser.name, True)
    assert all("AgreementError: Process 1 decided otherwise than process 0" in each for each in said), said
