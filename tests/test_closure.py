"""Steps that take two gradients through a closure: when it fails, is missing, is cut short or saved in between."""

from __future__ import annotations

import copy
import io
from functools import partial
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.nn import Parameter
from torch.testing import assert_close

from fallline import (
    OASIS,
    SMB,
    AdamW,
    Constant,
    Decoupled,
    Descent,
    DoubleO2NC,
    Euclid,
    HillAdam,
    Identity,
    NonFiniteError,
    Rule,
    UDoG,
)
from fallline.core.section import Section
from kit import differences, feed, owned, snapshot, step, stream, walk, weights

TWO = {
    "u-dog": partial(UDoG, reps_rel=0.01),
    "oasis": OASIS,
    "smb": partial(SMB, lr=0.1),
    "o2nc-double": partial(DoubleO2NC, lr=0.1, radius=0.3),
}
HEARING = {"smb": TWO["smb"], "hill-adam": partial(HillAdam, lr=0.1)}
two = pytest.mark.parametrize("name", TWO)


class Loss:
    """A loss of the weights with its closure; `bad` says in which calls gradients or loss are not finite."""

    def __init__(self, opt: Any, bad: dict[int, str] | None = None, sign: float = 1.0) -> None:
        self.opt, self.bad, self.sign, self.calls = opt, bad or {}, sign, 0

    def __call__(self) -> Any:
        assert torch.is_grad_enabled()
        self.opt.zero_grad()
        self.calls += 1
        what = self.bad.get(self.calls)
        if what == "raise":
            raise KeyboardInterrupt
        loss = self.sign * sum((p.square() - 1).square().sum() for p in owned(self.opt) if p.requires_grad)
        loss.backward()
        if what == "gradient":
            next(p for p in owned(self.opt) if p.grad is not None).grad.fill_(torch.nan)
        if what == "some":
            owned(self.opt)[0].grad = None
        return loss.detach() * (torch.inf if what == "loss" else 1.0)


def made(name, steps=3, **how):
    """An optimizer that has taken some steps."""
    opt = {**TWO, **HEARING}[name](weights(), **how)
    for _ in range(steps):
        opt.step(Loss(opt))
    return opt


def parts_of(opt):
    """What must not have changed."""
    seen = snapshot(opt)
    return seen["params"], seen["state"]


# --- how often, and what comes back -----------------------------------------------------------------------------------


@two
def test_a_step_calls_twice_and_hands_back_the_first_loss(name):
    opt, other = made(name), made(name)
    loss, first = Loss(opt), Loss(other)()
    assert torch.equal(opt.step(loss), first)
    assert loss.calls == 2
    assert opt.report()["step"] == 8  # gradients


@two
def test_without_a_closure_it_says_what_to_do_and_nothing_moves(name):
    opt = made(name)
    Loss(opt)()
    before = parts_of(opt)
    with pytest.raises(RuntimeError, match=r"needs 2 gradients in every step. Call opt.step\(closure\)"):
        opt.step()
    assert not differences(before, parts_of(opt))


def test_different_numbers_of_gradients_in_one_optimizer_are_refused():
    class Mixed(Descent):
        def sections(self, group):
            both = Constant(), UDoG(weights()).sentence({"reps_rel": 1e-6}).combine
            plain = Rule(Identity(), Euclid(), both[0], Decoupled())
            return [Section(group, plain, (0, 1)), Section(group, Rule(Identity(), Euclid(), *both), (2, 3))]

    opt = Mixed(weights(), lr=0.1)
    with pytest.raises(ValueError, match="rules that need 1 and 2 gradients in a step"):
        opt.step(Loss(opt))


def test_decisions_cannot_come_late():
    rule = SMB(weights()).sentence({"eta": 0.9, "c": 0.1})
    opt = Descent(weights(), rule, lr=0.1, delay=1)
    with pytest.raises(ValueError, match="delay must be 0"):
        opt.step(Loss(opt))


# --- gradients that are not finite, closures that fail ----------------------------------------------------------------


@two
def test_after_a_bad_first_gradient_nothing_has_changed_and_the_step_is_over(name):
    opt, other = made(name), made(name)
    before, loss = parts_of(opt), Loss(opt, {1: "gradient"})
    with pytest.warns(UserWarning, match="skipped"):
        opt.step(loss)
    assert loss.calls == 1
    assert not differences(before, parts_of(opt))
    for one in (opt, other):
        one.step(Loss(one))
    assert not differences(parts_of(opt), parts_of(other))


@two
@pytest.mark.parametrize("what", ["gradient", "raise", "some"])
def test_what_a_bad_second_gradient_left_of_a_step_is_taken_with_the_next(name, what):
    opt, other = made(name), made(name)
    if what == "gradient":
        with pytest.warns(UserWarning, match="skipped"):
            opt.step(Loss(opt, {2: what}))
    else:
        with pytest.raises(
            KeyboardInterrupt if what == "raise" else RuntimeError, match=None if what == "raise" else "got"
        ):
            opt.step(Loss(opt, {2: what}))
    rest = Loss(opt)
    opt.step(rest)
    assert rest.calls == 1
    other.step(Loss(other))
    assert not differences(parts_of(opt), parts_of(other))


def test_a_loss_that_is_not_finite_at_the_trial_leaves_the_step_to_be_finished():
    opt, other = made("smb"), made("smb")
    with pytest.raises(NonFiniteError, match="loss is inf"):
        opt.step(Loss(opt, {2: "loss"}))
    opt.step(rest := Loss(opt))
    other.step(Loss(other))
    assert rest.calls == 1
    assert not differences(parts_of(opt), parts_of(other))


@two
def test_a_checkpoint_between_two_gradients_goes_on_to_the_last_bit(name):
    opt = made(name)
    with pytest.warns(UserWarning, match="skipped"):
        opt.step(Loss(opt, {2: "gradient"}))
    file = io.BytesIO()
    torch.save({"opt": opt.state_dict(), "params": [p.detach() for p in owned(opt)]}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = TWO[name](weights())
    for p, x in zip(owned(other), saved["params"], strict=True):
        p.data.copy_(x)
    other.load_state_dict(saved["opt"])
    for one in (opt, other):
        one.step(rest := Loss(one))
        assert rest.calls == 1
        one.step(Loss(one))
    assert not differences(parts_of(opt), parts_of(other))


# --- steps that move nothing, parameters that take no part ------------------------------------------------------------


@pytest.mark.parametrize("name", {**TWO, **HEARING})
@pytest.mark.parametrize("steps", [0, 3])
def test_the_empty_step_of_distributed_checkpoints_needs_neither_closure_nor_loss(name, steps):
    opt = made(name, steps)
    before, lr = parts_of(opt), opt.param_groups[0]["lr"]
    opt.param_groups[0]["lr"] = 0.0
    feed(owned(opt), [torch.zeros_like(p) for p in owned(opt)])
    opt.step()
    opt.param_groups[0]["lr"] = lr
    after = parts_of(opt)
    assert not differences(before[0], after[0])
    assert all(opt.state[p] for p in owned(opt))
    assert not steps or not differences(before[1], after[1])
    opt.step(Loss(opt))


@pytest.mark.parametrize("name", {**TWO, **HEARING})
def test_distributed_checkpoints_allocate_and_load(name):
    models = [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)]
    models[1].load_state_dict(models[0].state_dict())
    opt, other = ({**TWO, **HEARING}[name](model.parameters()) for model in models)
    for _ in range(2):
        opt.step(Loss(opt))
    models[1].load_state_dict(models[0].state_dict())
    saved = get_optimizer_state_dict(models[0], opt)
    set_optimizer_state_dict(models[1], other, copy.deepcopy(saved))
    for one in (opt, other):
        one.step(Loss(one))
    assert not differences(parts_of(opt), parts_of(other))


@pytest.mark.parametrize("name", {**TWO, **HEARING})
def test_a_learning_rate_of_zero_is_no_excuse(name):
    opt = made(name)
    opt.param_groups[0]["lr"] = 0.0
    Loss(opt)()
    with pytest.raises(RuntimeError, match="needs"):
        opt.step()


@two
def test_a_parameter_without_gradients_stays_and_may_join_later(name):
    opt = TWO[name](weights())
    last = owned(opt)[-1].requires_grad_(False)
    before = last.detach().clone()
    for _ in range(3):
        opt.step(Loss(opt))
    assert torch.equal(last, before)
    last.requires_grad_(True)
    for _ in range(3):
        opt.step(Loss(opt))
    assert not torch.equal(last, before)
    assert float(opt.state[last]["step"]) == 6


@two
def test_a_group_may_be_added(name):
    opt = made(name)
    opt.add_param_group({"params": weights(seed=5)})
    before = owned(opt)[-2].detach().clone()
    opt.step(Loss(opt))
    opt.step(Loss(opt))
    assert not torch.equal(owned(opt)[-2], before)


@pytest.mark.parametrize("name", {**TWO, **HEARING})
def test_climbing_a_loss_is_descending_its_negative(name):
    build = {**TWO, **HEARING}[name]
    opt, other = build(weights()), build(weights(), maximize=True)
    for _ in range(4):
        opt.step(Loss(opt))
        other.step(Loss(other, sign=-1.0))
    assert not differences(parts_of(opt), parts_of(other))


def test_one_loss_cannot_be_maximized_in_some_groups_only():
    a, b = weights(), weights(seed=3)
    opt = SMB([{"params": a}, {"params": b, "maximize": True}])
    with pytest.raises(ValueError, match="cannot be maximized in some groups only"):
        opt.step(Loss(opt))


# --- hosts ------------------------------------------------------------------------------------------------------------


@two
def test_hooks_and_schedulers_see_one_step(name):
    opt = made(name, 0)
    seen = []
    opt.register_step_post_hook(lambda *_: seen.append(1))
    clock = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
    opt.step(closure=Loss(opt))
    clock.step()
    assert len(seen) == 1


@two
def test_a_scaler_hands_the_closure_on_and_without_one_the_error_is_ours(name):
    opt = made(name, 0)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(Loss(opt)()).item()
    with pytest.raises(RuntimeError, match="needs 2 gradients"):
        scaler.step(opt)
    scaler.update()
    loss = Loss(opt)
    loss()
    scaler.step(opt, loss)  # the closure leaves its gradients unscaled
    assert loss.calls == 3


@two
def test_one_tensor_at_a_time_or_in_bundles_with_sizes_that_fit_or_not(name):
    seen = []
    for how in ({"foreach": False}, {"foreach": True}, {"chunk_bytes": 64}):
        opt = TWO[name](weights(), **how)
        walk(opt, stream(owned(opt), 5))
        seen.append(snapshot(opt)["params"])
    assert not differences(seen[0], seen[1])
    assert not differences(seen[0], seen[2])


def test_a_copy_goes_on_alone():
    opt = made("u-dog")
    twin = copy.deepcopy(opt)
    for one in (opt, twin):
        one.step(Loss(one))
    assert not differences(parts_of(opt), parts_of(twin))


def test_other_optimizers_are_called_once():
    opt = AdamW(weights())
    loss = Loss(opt)
    opt.step(loss)
    assert loss.calls == 1
    assert step(opt, [torch.ones_like(p) for p in owned(opt)]) is None


@pytest.mark.parametrize("name", ["u-dog", "o2nc-double"])
def test_evaluation_shows_the_trained_weights_and_brings_the_others_back(name):
    opt = made(name)
    before = [p.detach().clone() for p in owned(opt)]
    with opt.averaged():
        assert any(not torch.equal(p, x) for p, x in zip(owned(opt), before, strict=True))
        with pytest.raises(RuntimeError, match="evaluate"):
            opt.step(Loss(opt))
    assert_close([p.detach() for p in owned(opt)], before, rtol=0, atol=0)


def test_narrow_weights_remember_in_full():
    opt = UDoG([Parameter(torch.ones(64, dtype=torch.bfloat16))])
    for _ in range(2):
        opt.step(Loss(opt))
    assert opt.state[owned(opt)[0]]["combine.y"].dtype is torch.float32
