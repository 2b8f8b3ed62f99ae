"""Whatever is done to an optimizer, in whatever order: it stays whole, stays finite, resumes, and says what is wrong.

A machine builds an optimizer at random and does random things to it: steps with gradients of all sizes and layouts,
broken ones, new groups, frozen parameters, checkpoints. A ghost, which never sees a checkpoint, gets the same steps and
must stay equal to the last bit. `make fuzz` runs thousands of such lives; FALLLINE_FUZZ says how many.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import Tensor
from torch.nn import Parameter

from fallline import SGD, Adam, AdamW, CheckpointError, Descent, Identity, Lion, NonFiniteError, SecondMoment, Sign
from fallline.core.section import owned as obeying
from kit import FEW, OPTIMIZERS, differences, owned, snapshot, trained
from wild import DECAY, KINDS, LR, MOOD, Kind, Mood, Recipe, recipes

CLEAR = (ValueError, TypeError, RuntimeError, NonFiniteError)  # ours are such, and torch's
NUMB = [{"lr": -1.0}, {"lr": math.nan}, {"lr": torch.zeros(2)}, {"weight_decay": -1.0}, {"betas": (1.0, 0.9)},
        {"momentum": "fast"}, {"bank": "full"}, {"foreach": True, "fused": True}, {"lr": "quick"}]  # fmt: skip
FLAGS = st.sampled_from(
    [
        *(("maximize", on) for on in (True, False)),
        *((key, x) for key in ("foreach", "fused") for x in (None, True, False)),
    ]
)
OVERRIDES = st.fixed_dictionaries({}, optional={"lr": LR, "weight_decay": DECAY, "maximize": st.booleans()})


def own(overrides: dict[str, Any]) -> dict[str, Any]:
    """A group's numbers, tensors not shared."""
    return {key: x.clone() if isinstance(x, Tensor) else x for key, x in overrides.items()}


def untold(taken: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without what counts skipped steps."""
    return {**taken, "groups": [{k: x for k, x in g.items() if not k.startswith("skipped")} for g in taken["groups"]]}


def assert_same(a: Any, b: Any, why: str = "") -> None:
    """Equal to the last bit."""
    found = differences(a, b)
    assert not found, (why, found[:4])


def says_enough(error: Exception) -> None:
    """What is wrong, in words."""
    assert len(str(error).split()) >= 4, f"{type(error).__name__}: {error}"


class Life(RuleBasedStateMachine):
    """One optimizer, its ghost, and what they are made of."""

    @initialize(recipe=recipes(), kinds=st.lists(KINDS, min_size=1, max_size=4), overrides=OVERRIDES, gap=st.booleans())
    def begin(self, recipe: Recipe, kinds: list[Kind], overrides: dict[str, Any], gap: bool) -> None:
        """Two groups, perhaps with an empty one in between."""
        half = (len(kinds) + 1) // 2
        self.layout: list[tuple[list[Kind], dict[str, Any]]] = [(kinds[:half], {}), (kinds[half:], overrides)]
        if gap:
            self.layout.insert(1, ([], {}))
        self.recipe, self.poisoned, self.wild = recipe, False, False
        try:
            self.opt, self.ghost = self.build(), self.build()
        except CLEAR as error:
            says_enough(error)
            self.recipe = Recipe(AdamW, {"betas": ("auto", 0.99)})
            self.layout = [(given, {}) for given, _ in self.layout]
            self.opt, self.ghost = self.build(), self.build()
        self.take(lambda opt: opt.report())  # newcomers get memory, and join the decision

    def build(self, like: Descent | None = None) -> Descent:
        """A new optimizer; on copies of the parameters, if there are some."""
        found = iter(owned(like)) if like else None
        groups = [
            {"params": [kind.parameter(next(found) if found else None) for kind in kinds], **own(overrides)}
            for kinds, overrides in self.layout
        ]
        return self.recipe(groups)

    def take(self, act: Callable[[Descent], Any]) -> Any:
        """The same to both."""
        act(self.ghost)
        return act(self.opt)

    @property
    def kinds(self) -> list[Kind]:
        """Of all parameters in order."""
        return [kind for kinds, _ in self.layout for kind in kinds]

    # --- steps

    @rule(moods=st.lists(MOOD, min_size=1, max_size=5), many=st.integers(1, 4), routes=st.booleans())
    def step(self, moods: list[Mood], many: int, routes: bool) -> None:
        """Several, with the same gradients in turn."""
        self.wake(moods)
        for _ in range(many):
            before = snapshot(self.opt)
            others = [self.alike(foreach) for foreach in (False, True)] if routes else []
            error = self.advance()
            self.check_step(before, error)
            if error is None and others:
                self.check_routes(before, *others)

    def wake(self, moods: list[Mood]) -> None:
        for opt in (self.opt, self.ghost):
            for i, p in enumerate(owned(opt)):
                p.grad = moods[i % len(moods)].gradient(p)

    def advance(self) -> Exception | None:
        """One step of both; the error, which must be the same and clear."""
        errors = []
        for opt in (self.ghost, self.opt):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*is not finite")
                try:
                    opt.step()
                except CLEAR as error:
                    says_enough(error)
                    errors.append(error)
        assert len(errors) != 1 and len({(type(error), str(error)) for error in errors}) < 2, errors
        return errors[0] if errors else None

    def check_step(self, before: dict[str, Any], error: Exception | None) -> None:
        live = [p for p in owned(self.opt) if p.requires_grad and p.grad is not None]
        broken = any(not p.grad.isfinite().all() for p in live)
        event("error" if error else "broken" if broken else "step")
        if error or (broken and self.opt.on_nonfinite != "ignore"):
            assert_same(untold(snapshot(self.opt)), untold(before), str(error))
            if error and not isinstance(error, NonFiniteError):
                self.take(lambda opt: [group.update(fused=None) for group in opt.param_groups])
        self.poisoned |= broken and self.opt.on_nonfinite == "ignore"
        self.wild |= any(self.excessive(p) for p in live)
        if not self.poisoned and not self.wild:
            assert all(p.isfinite().all() for p in owned(self.opt)), "finite gradients made weights that are not"
        assert all(p.grad is None or p.grad.shape == p.shape for p in owned(self.opt))

    def excessive(self, p: Tensor) -> bool:
        """Whether what has to come out is beyond the weights' range: steps that grow with the gradient."""
        (sentence,) = {type(section.rule.metric) for section in self.opt._sections()[:1]}
        peak = float(p.grad.detach().abs().max()) if p.grad is not None and p.numel() else 0.0
        return sentence not in (SecondMoment, Sign) and peak * 1e3 > torch.finfo(p.dtype).max ** 0.5

    def alike(self, foreach: bool) -> Descent:
        """Another optimizer in the same state on a readable route."""
        other = self.build(self.opt)
        other.load_state_dict(self.opt.state_dict())
        for group in other.param_groups:
            group.update(foreach=foreach, fused=None)
        for p, q in zip(owned(self.opt), owned(other), strict=True):
            q.requires_grad_(p.requires_grad)
            q.grad = None if p.grad is None else p.grad.clone()
        return other

    def check_routes(self, before: dict[str, Any], loop: Descent, bundle: Descent) -> None:
        """Tensors one by one are the bundle to the last bit, and kernels nearly."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*is not finite")
            loop.step()
            bundle.step()
        bits = [{key: snapshot(opt)[key] for key in ("params", "state")} for opt in (loop, bundle)]
        assert_same(*bits, "one by one is not the bundle")
        squares = [p.grad.detach().abs().double() ** 2 for p in owned(self.opt) if p.grad is not None]
        squares += [entry["metric.v"].double() for entry in before["state"] if "metric.v" in entry]
        edge = any(bool(((x > 1e34) & (x < 1e42)).any()) for x in squares)  # float32 ends in between, in another order
        if not self.poisoned and not self.wild and not edge:
            self.check_near(before, bundle)

    def check_near(self, before: dict[str, Any], other: Descent) -> None:
        rules = [rule for _, rule in obeying(self.opt._sections())]
        pairs = zip(owned(self.opt), owned(other), before["params"], before["state"], rules, strict=True)
        for p, q, old, held, sentence in pairs:
            mine, theirs = self.opt.state.get(p, {}), other.state.get(q, {})
            assert mine.keys() == theirs.keys()
            if any(not torch.equal(mine[key], theirs[key]) for key in mine if key.endswith((".weights", ".choice"))):
                event("choices differ by rounding")
                return
            if type(sentence.metric) is not Sign:  # of what is nearly zero it may be either
                near(p, q, old)
            for key in mine.keys() & {"filter.m", "filter.b", "filter.m0", "filter.m1", "metric.v"}:
                near(mine[key], theirs[key], held[key])

    # --- what users change on the way

    @rule(which=st.integers(0, 9), lr=LR)
    def schedule(self, which: int, lr: Any) -> None:
        """A learning rate, filled in where it is a tensor."""

        def act(opt: Descent) -> None:
            group = opt.param_groups[which % len(opt.param_groups)]
            held = group["lr"]
            if isinstance(held, Tensor):
                held.fill_(float(lr))
            else:
                group["lr"] = lr.clone() if isinstance(lr, Tensor) else lr

        self.take(act)

    @rule(which=st.integers(0, 9), on=st.booleans())
    def freeze(self, which: int, on: bool) -> None:
        """Or thaw."""
        self.take(lambda opt: owned(opt)[which % len(owned(opt))].requires_grad_(on))
        self.take(lambda opt: opt.report())  # newcomers get memory, and join the decision

    @rule(which=st.integers(0, 9), flag=FLAGS)
    def turn(self, which: int, flag: tuple[str, Any]) -> None:
        """One of the flags of a group."""
        name, value = flag
        if name == "foreach" and value:
            self.take(lambda opt: opt.param_groups[which % len(opt.param_groups)].update(fused=None))
        if name == "fused" and value:
            self.take(lambda opt: opt.param_groups[which % len(opt.param_groups)].update(foreach=None))
        self.take(lambda opt: opt.param_groups[which % len(opt.param_groups)].update({name: value}))

    @precondition(lambda self: len(self.layout) < 6)
    @rule(kinds=st.lists(KINDS, max_size=2), overrides=OVERRIDES)
    def grow(self, kinds: list[Kind], overrides: dict[str, Any]) -> None:
        """A new group, perhaps an empty one, or one that these parts cannot move."""
        before, overrides = snapshot(self.opt), {"lr": 0.01, **overrides}  # the default may be a tensor that was filled
        try:
            self.take(lambda opt: opt.add_param_group({"params": [k.parameter() for k in kinds], **own(overrides)}))
        except CLEAR as error:
            says_enough(error)
            assert_same(snapshot(self.opt), before)
            assert_same(snapshot(self.ghost), before)
            return
        self.layout.append((kinds, overrides))
        self.take(lambda opt: opt.report())  # newcomers get memory, and join the decision

    @rule(bad=st.sampled_from(NUMB))
    def grow_wrong(self, bad: dict[str, Any]) -> None:
        """A group with numbers that make no sense is refused, and nothing has changed."""
        before = snapshot(self.opt)
        known = bad.keys() <= {*self.opt.defaults, "bank"}
        own_bank = getattr(getattr(self.opt, "choice", None), "bank", None)  # a group may say again what is so already
        assume(known and not ("bank" in bad and own_bank in (None, bad["bank"])))
        with pytest.raises(CLEAR) as caught:
            self.opt.add_param_group({"params": [Parameter(torch.ones(2))], **bad})
        says_enough(caught.value)  # type: ignore[arg-type]
        assert_same(snapshot(self.opt), before)

    @rule(bad=st.sampled_from(["weight_decay", "closure", "sparse", "size"]), which=st.integers(0, 9))
    def step_wrong(self, bad: str, which: int) -> None:
        """A step that cannot be taken changes nothing."""
        opt, group = self.opt, self.opt.param_groups[which % len(self.opt.param_groups)]
        p = owned(opt)[which % len(owned(opt))]
        grads, decay = [q.grad for q in owned(opt)], group.get("weight_decay")
        can = {"weight_decay": "weight_decay" in opt.defaults, "closure": True}
        assume(can.get(bad, p.requires_grad and p.numel() > 1))
        if bad == "weight_decay":
            group["weight_decay"] = -0.5
        elif bad == "sparse":
            p.grad = torch.ones_like(p).contiguous().to_sparse()
        elif bad == "size":
            keep, p.grad = p.data, torch.ones_like(p)
            p.data = p.data.reshape(-1)[1:]
        before = snapshot(opt)
        with pytest.raises(CLEAR):
            opt.step(broken if bad == "closure" else None)
        assert_same(snapshot(opt), before, bad)
        if bad == "weight_decay":
            group["weight_decay"] = decay
        if bad == "size":
            p.data = keep
        for q, g in zip(owned(opt), grads, strict=True):
            q.grad = g

    # --- checkpoints and copies

    @rule(moved=st.booleans())
    def resume(self, moved: bool) -> None:
        """Through a file into a new optimizer, whose parameters may lie elsewhere."""
        file = io.BytesIO()
        torch.save(self.opt.state_dict(), file)
        file.seek(0)
        old = self.opt
        if moved:
            other = {"slice": "other-slice", "other-slice": "contiguous", "contiguous": "slice"}
            self.layout = [
                ([Kind(k.shape, k.dtype, other.get(k.layout, k.layout)) for k in kinds], overrides)
                for kinds, overrides in self.layout
            ]
        self.opt = self.build(old)
        self.opt.load_state_dict(torch.load(file, weights_only=True))
        for p, q in zip(owned(self.opt), owned(old), strict=True):
            p.requires_grad_(q.requires_grad)
            p.grad = q.grad

    @rule(how=st.sampled_from([copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]))
    def duplicate(self, how: Callable[[Any], Any]) -> None:
        """A copy goes on where the original was."""
        assume(all(kind.layout not in ("every-second", "slice", "other-slice") for kind in self.kinds))
        grads = [p.grad for p in owned(self.opt)]
        self.opt = how(self.opt)
        for p, g in zip(owned(self.opt), grads, strict=True):
            p.grad = g

    @rule()
    def look(self) -> None:
        """Reports and prints change nothing, and are plain data."""
        before = snapshot(self.opt)
        json.dumps(self.opt.report())
        assert str(self.opt)
        assert_same(snapshot(self.opt), before)

    @rule()
    def load_wrong(self) -> None:
        """A checkpoint of another sort is refused, and nothing has changed."""
        other = Lion([{"params": [k.parameter() for k in kinds]} for kinds, _ in self.layout], betas=(0.77, 0.5))
        assume(
            type(self.opt) is not Lion
            and not all(type(section.rule.filter) is Identity for section in self.opt._sections())
        )
        assume(any(k.numel() for k in owned(self.opt) if k.requires_grad))
        before = snapshot(self.opt)
        try:
            self.opt.load_state_dict(other.state_dict())
        except (CheckpointError, KeyError) as error:
            says_enough(error)
            assert isinstance(error, CheckpointError)
        assert_same(snapshot(self.opt), before)

    @invariant()
    def equals_its_ghost(self) -> None:
        """To the last bit."""
        if hasattr(self, "opt"):
            assert_same(snapshot(self.opt), snapshot(self.ghost))


def broken() -> Any:
    """A closure that fails."""
    raise ValueError("the loss cannot be had today")


def near(x: Tensor, y: Tensor, old: Tensor) -> None:
    """Equal up to rounding: of the numbers themselves, and of the largest change."""
    x, y, old = (torch.view_as_real(z) if z.is_complex() else z for z in (x.detach(), y.detach(), old))
    where = x.isfinite() & y.isfinite()
    assert torch.equal(x[~where].nan_to_num(7.0, 8.0, 9.0), y[~where].nan_to_num(7.0, 8.0, 9.0)), (x, y)
    eps = max(torch.finfo(x.dtype).eps, torch.finfo(torch.float32).eps)
    x, y, old = (z[where].double() for z in (x, y, old))
    if x.numel():
        allowed = 1e-3 * (y - old).abs().max() + 4 * eps * y.abs().max() + 1e-37
        worst = (x - y).abs().argmax()
        assert (x - y).abs()[worst] <= allowed, (x[worst], y[worst], old[worst], allowed)


FAST = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
TestLife = Life.TestCase
TestLife.settings = settings(FAST, max_examples=40, stateful_step_count=12, derandomize=True)


@pytest.mark.slow
class TestManyLives(Life.TestCase):  # type: ignore[misc, name-defined]
    """More and longer ones, each time others; `make fuzz` wants thousands."""

    settings = settings(FAST, max_examples=int(os.environ.get("FALLLINE_FUZZ", "200")), stateful_step_count=30)


# --- what it has found --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FEW)
def test_weights_of_another_shape_are_refused(name: str) -> None:
    """A kernel would write beside the state that was made for the old ones."""
    opt = trained(name)
    p = owned(opt)[0]
    p.data, p.grad = torch.ones(60, 4), torch.ones(60, 4)
    before = snapshot(opt)
    if not any(x.dim() for key, x in opt.state[p].items() if key.partition(".")[2] in ("m", "b", "m0", "v")):
        return opt.step()
    with pytest.raises(RuntimeError, match=r"has shape \(60, 4\), but its state .* has \(5, 4\) instead of \(60, 4\)"):
        opt.step()
    assert_same(snapshot(opt), before)
    del opt.state[p]
    opt.step()
    assert opt.state[p]["step"] == 1


@pytest.mark.parametrize("name", FEW)
def test_weights_cut_where_they_lie_are_noticed(name: str) -> None:
    """Their address is the same, and so is that of a gradient which is not theirs any more."""
    opt = trained(name)
    p = owned(opt)[0]
    p.data = p.data[:2]
    before = snapshot(opt)
    with pytest.raises(RuntimeError, match=r"parameter 0 of group 0: its gradient has shape \(5, 4\), but the weights"):
        opt.step()
    p.grad = torch.ones(2, 4)
    with pytest.raises(RuntimeError, match="instead of"):
        opt.step()
    assert_same(snapshot(opt), before)


def test_weights_that_share_memory_are_refused() -> None:
    """torch would notice, too, but only after the clocks have moved."""
    opt = AdamW([Parameter(torch.ones(1).expand(4))])
    owned(opt)[0].grad = torch.ones(4)
    opt.state_dict()
    before = snapshot(opt)
    with pytest.raises(RuntimeError, match="parameter 0 of group 0: its elements share memory"):
        opt.step()
    assert_same(snapshot(opt), before)


@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize("name", ["adam", "adamw", "adamw-auto", "full", "late", "each", "gap-adam"])
def test_a_coordinate_whose_square_overflowed_stands_as_with_torch(name: str, foreach: bool | None) -> None:
    """Then and later; on the readable route inf - inf was NaN."""
    w, v = Parameter(torch.ones(300)), Parameter(torch.ones(300))
    opt, other = OPTIMIZERS[name]([{"params": [w], "foreach": foreach}]), torch.optim.AdamW([v])
    stood: list[Tensor] = []
    for n in range(4):
        w.grad, v.grad = torch.ones(300), torch.ones(300)
        w.grad[5] = v.grad[5] = 1e30 if n % 2 else 1.0
        opt.step()
        other.step()
        assert bool(w.isfinite().all()) and bool(v.isfinite().all())
        stood.append(torch.stack([w[5].detach(), v[5].detach()]))
    torch.testing.assert_close(stood[3], stood[0], rtol=1e-3, atol=0)  # but for weight decay


@pytest.mark.parametrize("foreach", [None, True])
def test_a_second_moment_without_memory_forgets_an_overflow(foreach: bool | None) -> None:
    """0 x infinity is NaN; that of torch's AdamW is, too."""
    opt = Adam([{"params": [Parameter(torch.ones(3))], "foreach": foreach}], lr=0.1, betas=(0.0, 0.0))
    for n in range(4):
        owned(opt)[0].grad = torch.tensor([1e30 if n % 2 else 1.0, 1.0, 1.0])
        opt.step()
    assert owned(opt)[0].tolist() == pytest.approx([0.8, 0.6, 0.6])


def test_a_gradient_that_turns_sparse_is_refused_also_where_it_was_not_plain() -> None:
    opt = AdamW([Parameter(torch.ones(3, 4))])
    owned(opt)[0].grad = torch.ones(()).expand(3, 4)
    opt.step()
    before = snapshot(opt)
    owned(opt)[0].grad = torch.ones(3, 4).to_sparse()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        opt.step()
    assert_same(snapshot(opt), before)


def test_a_group_that_comes_after_a_checkpoint_is_like_one_that_came_before() -> None:
    """torch adds an option of its own to the defaults on the way."""
    opt = trained("adamw")
    opt.load_state_dict(opt.state_dict())
    opt.add_param_group({"params": [Parameter(torch.ones(2))]})
    assert opt.param_groups[0].keys() == opt.param_groups[1].keys()


def test_a_checkpoint_whose_options_make_no_rule_is_refused_as_a_checkpoint() -> None:
    opt = SGD([Parameter(torch.ones(40))], momentum=(0.0, 0.9), nesterov=True)
    other = Lion([Parameter(torch.ones(40))])
    with pytest.raises(CheckpointError, match=r"none of SGD's: Nesterov momentum .* Construct the optimizer as it was"):
        opt.load_state_dict(other.state_dict())
