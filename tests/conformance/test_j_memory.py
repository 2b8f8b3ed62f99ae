"""J: precision and memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from conformance.recipe import BANK, Recipe
from fallline import Muon
from kit import differences, owned, snapshot, stream, walk, weights


def held(opt: Any) -> dict[int, tuple[str, Tensor]]:
    """Every tensor of the state once, by identity, with the slot that remembers it."""
    return {id(x): (key.partition(".")[0], x) for p in owned(opt) for key, x in opt.state[p].items()}


def size(x: Tensor) -> int:
    return x.numel() * x.element_size()


# --- J1, J2, J4: dtypes and rounding ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_j1_the_states_dtype_is_an_option_of_all(ours: Recipe, dtype: torch.dtype) -> None:
    """float64 inside makes no visible difference to a step of float32, and is what the state holds."""
    wide, plain = (ours.build(ours.weights(dtype), state_dtype=d) for d in (torch.float64, torch.float32))
    for opt in (wide, plain):
        walk(opt, stream(owned(opt), 5))
    assert {x.dtype for slot, x in held(wide).values() if slot != "step"} == {torch.float64}
    rounding = 2e-2 if dtype == torch.bfloat16 else 5e-3 if ours.kind is Muon else 1e-4  # float64: exact polar factors
    torch.testing.assert_close(
        [p.detach() for p in owned(wide)], [p.detach() for p in owned(plain)], rtol=rounding, atol=rounding
    )


def test_j1_half_a_memory_is_refused_with_the_reason(ours: Recipe) -> None:
    with pytest.raises(ValueError, match=r"Invalid state_dtype: torch\.bfloat16\. .* Give torch\.float32"):
        ours.made(state_dtype=torch.bfloat16)


STEPS, STEP = 60, 2.0**-8 / 10  # 60 steps of a tenth of the spacing below 1


def stalled(recipe: Recipe, **options: Any) -> float:
    """How far a bfloat16 weight of 1 comes; a matrix that does not learn stands by where there has to be one."""
    w = torch.nn.Parameter(torch.ones(512, dtype=torch.bfloat16))
    gain = 10 if recipe.kind.__name__ == "SGD" else 1  # that of momentum .9, which its choice keeps to
    beside = [torch.nn.Parameter(torch.ones(2, 2))] * recipe.routed
    opt = recipe.build([w, *beside], lr=STEP / gain, weight_decay=0.0, **options)
    w.grad = torch.ones_like(w)
    for _ in range(STEPS):
        opt.step()
    return 1.0 - float(w.detach().float().mean())


@pytest.mark.parametrize("write", ["stochastic", "kahan"])
def test_j2_small_steps_move_bfloat16_weights_if_asked(ours: Recipe, write: str) -> None:
    """To the nearest they stall; otherwise they come about as far as the sum of the steps."""
    goal = STEPS * STEP
    assert stalled(ours) == 0.0 and 0.7 * goal < stalled(ours, write=write) < 1.3 * goal


def test_j4_dice_are_seeded_and_equal_on_replicas(ours: Recipe) -> None:
    """Whatever the generators of torch were seeded with; and off unless asked for."""
    ends = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        opt = ours.build(ours.weights(torch.bfloat16), write="stochastic")
        walk(opt, stream(owned(opt), 5))
        ends.append(snapshot(opt)["params"])
    assert differences(*ends) == [] and "Stochastic" in str(opt.report()["rule"])
    assert "Stochastic" not in str(ours.made().report()["rule"])


# --- J3: bytes ----------------------------------------------------------------------------------------------------


def test_j3_state_bytes_are_exact_by_part(ours: Recipe) -> None:
    """Counted tensor by tensor; what parameters share counts once."""
    opt = ours.build(weights([(30, 20), (700,), ()]))
    walk(opt, stream(owned(opt), 2))
    told = opt.report()
    by_part: dict[str, int] = {}
    for slot, x in held(opt).values():
        by_part[slot] = by_part.get(slot, 0) + size(x)
    assert told["state_bytes_by_part"] == by_part and opt.state_bytes() == sum(by_part.values())


def test_j3_what_a_bank_costs(chooser: Recipe) -> None:
    """K candidates cost at most K buffers; in a probe, one buffer and a sample of at most a tenth of the weights."""
    opt = chooser.build(weights([(200, 100), (100, 100)]))
    walk(opt, stream(owned(opt), 2))
    buffer = sum(size(p) for p in owned(opt))
    filled = opt.report()["state_bytes_by_part"]["filter"] / buffer
    assert filled < (len(BANK) + 0.1 if chooser.name == "AdamW full bank" else 1.3), filled
