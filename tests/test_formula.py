"""Formulas on single numbers: C performs what the tensors say, or the tensors do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fallline import AdamW
from fallline.core.kernel import compiler, formula, scalar
from fallline.core.kernel.formula import Formula
from fallline.core.kernel.record import record
from kit import BANK, CHOOSING, OPTIMIZERS, owned, stream, walk, weights

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="there is no C compiler")

ODD = torch.tensor([[1.5, -2.0, torch.inf], [torch.nan, 0.0, -torch.inf]], dtype=torch.float64)
KEYS = itertools.count()  # every body here is another one


def given() -> dict[str, Tensor]:
    """Numbers of several shapes and kinds."""
    source = torch.Generator().manual_seed(5)
    square, row = (torch.rand(shape, generator=source, dtype=torch.float64) for shape in ((3, 3), (1, 3)))
    clock, flags = torch.tensor(7.0), torch.tensor([[True, False, True]])
    return {"x": ODD.clone(), "square": square, "row": row, "clock": clock, "flags": flags, "sums": row.clone()}


def performed(body: Callable[[dict[str, Tensor]], list[Tensor]]) -> tuple[Formula, list[Tensor], list[Tensor]]:
    """A body by C and by torch: what it tells and what it leaves."""
    ours, theirs = given(), given()
    one = Formula(next(KEYS), lambda g, _: body(g), ours)
    before = [x.clone() for x in ours.values()]
    assert all(map(torch.equal, map(torch.nan_to_num, before), map(torch.nan_to_num, given().values())))
    return one, [x.clone() for x in one()] + list(ours.values()), body(theirs) + list(theirs.values())


def agree(body: Callable[[dict[str, Tensor]], list[Tensor]]) -> set[str]:
    """Both say the same, to the rounding of float64; the operations that C performed."""
    one, ours, theirs = performed(body)
    assert one.bound is not None
    for x, y in zip(ours, theirs, strict=True):
        assert x.dtype is y.dtype and x.shape == y.shape
        torch.testing.assert_close(x, y, rtol=1e-14, atol=1e-15, equal_nan=True)
    heard = {op.name for part in record(one.body, given()).parts for op in part}
    return {f"{name.removesuffix('_')}.{overload}" for name, overload in (op.split(".") for op in heard)}


BODIES: dict[str, Callable[[dict[str, Tensor]], list[Tensor]]] = {
    "arithmetic": lambda g: [
        g["x"] + g["row"] * 2 - g["x"] / 3.0,
        -g["x"],
        1 - g["x"],
        g["x"].reciprocal(),
        2 / g["x"],
    ],
    "roots": lambda g: [g["square"].sqrt(), g["square"].rsqrt(), g["x"].abs(), g["square"].square()],
    "exponentials": lambda g: [(g["square"] + 1).log(), g["x"].exp(), g["x"].floor()],
    "powers": lambda g: [0.9 ** g["clock"].double(), g["square"] ** g["row"], g["square"] ** 2.0, g["row"] ** 0.5],
    "comparisons": lambda g: [g["x"] > 0.0, g["x"] >= g["row"], g["x"] < g["row"], g["x"] <= 1.5, g["x"] == g["x"]],
    "more-comparisons": lambda g: [g["x"] > g["row"], g["x"] >= 0, g["x"] < 0, g["x"] <= g["row"], g["x"] == 0],
    "still-more": lambda g: [
        g["x"] != g["row"],
        g["x"] != 0,
        (g["x"] > 0) & g["flags"],
        torch.where(g["flags"], g["x"], 0.5),
    ],
    "bounds": lambda g: [
        g["x"].clamp(min=0.25),
        g["x"].nan_to_num(),
        g["x"].clamp(0.5),
        g["x"].clamp(-1, 1),
        g["x"].clamp(max=2),
    ],
    "folds": lambda g: [
        g["x"].sum(),
        g["x"].sum(0),
        g["square"].sum(-1, keepdim=True),
        g["x"].amax(-1),
        g["x"].max(0)[0],
    ],
    "places": lambda g: [
        *g["square"].max(-1),
        *g["x"].max(-1),
        (g["x"] > 0).all(-1),
        (g["x"] > 0).any(0, keepdim=True),
    ],
    "products": lambda g: [g["square"] @ g["square"], g["square"] @ g["row"][0], g["row"][0] @ g["row"][0]],
    "stacks": lambda g: [torch.bmm(g["square"][None], g["square"].t()[None]), g["row"] @ g["square"]],
    "joins": lambda g: [
        torch.stack([g["x"], g["x"] * 2], 1),
        torch.cat([g["square"], g["row"]]),
        torch.cat([g["x"].t(), g["x"].t()], -1),
    ],
    "choices": lambda g: [g["square"].gather(-1, g["row"].long() + 2), g["square"][g["row"].long()[0]]],
    "views": lambda g: [g["square"].diagonal().clone(), g["x"].t() * g["row"].t(), g["square"].flatten()[1::2] + 1.0],
    "kinds": lambda g: [
        g["clock"] * 0.1,
        g["clock"].double() * 0.1,
        g["flags"].double(),
        g["flags"] * 2.5,
        g["x"].float(),
    ],
    "made": lambda g: [
        torch.zeros(2),
        torch.full((2,), 3.5),
        torch.zeros_like(g["x"]),
        torch.ones_like(g["row"]),
        torch.full_like(g["row"], 2.0),
    ],
    "in-place": lambda g: [
        g["row"].mul_(0.5).add_(1),
        g["x"].copy_(g["row"]),
        g["clock"].add_(1),
        g["square"][1].fill_(2.0),
    ],
    "averages": lambda g: [g["row"].lerp_(g["square"][:1], 0.1), g["square"].lerp(g["x"][:1], g["row"])],
    "inside": lambda g: [g["square"].diagonal().mul_(2), g["square"][:, 1].copy_(g["row"][0]), g["square"]],
}


@pytest.mark.parametrize("name", BODIES)
def test_c_performs_what_torch_does(name: str) -> None:
    agree(BODIES[name])


def test_every_operation_that_c_knows_is_tried() -> None:
    known = scalar.ELEMENTWISE.keys() | scalar.OTHERS.keys()
    tried = set().union(*map(agree, BODIES.values()))
    assert known - tried == set()


def restless() -> Callable[[dict[str, Tensor]], list[Tensor]]:
    count = itertools.count()
    return lambda g: [g["row"] * float(next(count))]


REFUSED: dict[str, Callable[[dict[str, Tensor]], list[Tensor]]] = {
    "branches": lambda g: [g["row"] * 2 if g["clock"] > 3 else g["row"]],
    "items": lambda g: [g["row"] * float(g["clock"])],
    "unknown": lambda g: [torch.linalg.inv(g["square"])],
    "overload": lambda g: [torch.div(g["row"], 2.0, rounding_mode="floor")],
    "alpha": lambda g: [torch.add(g["row"], g["row"], alpha=2.0)],
    "constants": lambda g: [HELD.add_(1).clone()],
    "dtypes": lambda g: [g["row"].to(torch.int32)],
    "counters": restless(),
}
HELD = torch.zeros(2)


@pytest.mark.parametrize("name", REFUSED)
def test_what_c_cannot_do_torch_does(name: str) -> None:
    """A branch on a number, an operation it does not know, a constant that moves, Python that counts."""
    HELD.zero_()
    one, *_ = performed(REFUSED[name])
    assert one.bound is None


def test_a_formula_goes_around_a_kernel() -> None:
    """What is made before it is still known after it, and it sees this call's numbers."""
    heard: list[list[float]] = []

    def body(g: dict[str, Tensor], cut: Callable[[Tensor], Tensor]) -> list[Tensor]:
        twice = g["row"] * 2
        return [cut(twice + 1) + twice]

    def kernel(numbers: Tensor) -> Tensor:
        heard.append(numbers[0].tolist())
        return held["sums"].copy_(numbers * 10)

    held = given()
    one = Formula(next(KEYS), body, held)
    assert one.bound is not None
    for x in (1.0, 2.0):
        held["row"].fill_(x)
        assert one(kernel)[0].tolist() == [[(2 * x + 1) * 10 + 2 * x] * 3]
    assert heard == [[3.0] * 3, [5.0] * 3]
    with pytest.raises(TypeError, match="kernel in its middle"):
        Formula(next(KEYS), lambda g, cut: [cut(g["row"]) * float(g["clock"])], given())()


def test_equal_keys_share_a_program_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither numbers nor a place to work in."""

    def body(g: dict[str, Tensor], _: Any) -> list[Tensor]:
        g["row"].add_(1)
        return [g["row"] * 2]

    one, other = (Formula("shared", body, {"row": torch.full((1, 3), x, dtype=torch.float64)}) for x in (0.0, 10.0))
    (told,), (said,) = one(), other()
    assert told.tolist() == [[2.0] * 3] and said.tolist() == [[22.0] * 3]
    monkeypatch.setattr(formula, "MOST", 1)
    assert Formula(next(KEYS), body, {"row": torch.zeros(2)}).bound is not None and len(formula._known) == 1


def test_other_numbers_are_the_same_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep over hyperparameters compiles once."""
    walk(AdamW(weights(), betas=BANK), stream(weights(), 2))
    monkeypatch.setattr(compiler, "_build", lambda *_: pytest.fail("it is compiled anew"))
    for eps, momenta in ((1e-7, BANK[0]), (1e-3, (0.1, 0.2, 0.3))):  # .99 twice would be one number
        opt = AdamW(weights(), betas=(momenta, 0.998), eps=eps, weight_decay=0.03, lr=0.1)
        walk(opt, stream(owned(opt), 3))


@pytest.mark.parametrize("name", CHOOSING)
def test_a_choice_is_the_same_in_c(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions, what the groups show, and parameters to rounding."""
    opts = [OPTIMIZERS[name](weights([(300, 7), (40,)])) for _ in range(2)]
    walk(opts[0], stream(owned(opts[0]), 20))
    monkeypatch.setattr(Formula, "_bind", lambda *_: None)
    walk(opts[1], stream(owned(opts[1]), 20))
    reports = [opt.report()["groups"][0] for opt in opts]
    assert reports[0].get("chosen") == reports[1].get("chosen")
    assert reports[0]["effective_lr"] == pytest.approx(reports[1]["effective_lr"], rel=1e-9)
    for x, y in zip(*map(owned, opts), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw-auto", "sgd-auto", "full", "late", "patient", "replay"])
def test_choices_that_are_common_are_made_in_c(name: str) -> None:
    """Or this file would test nothing."""
    opt = OPTIMIZERS[name](weights())
    walk(opt, stream(owned(opt), 1))
    plan: Any = opt._plan
    assert all(scope.formula.bound for scope in plan.scopes) and all(dial.formula.bound for dial in plan.dials)
    assert all(made.formula.bound for chunk in plan.chunks for key, made in chunk.route.passes.items() if key != "look")
