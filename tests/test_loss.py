"""Rules that read the loss: who tells it, what happens without, and that a step that is not fit leaves it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fallline import EMA, Constant, Decoupled, Descent, Euclid, NonFiniteError, Rule
from fallline.core.chooser import Aim, Chooser
from fallline.core.field import Field, inner
from fallline.core.memory import Memory
from fallline.core.part import Step


@dataclass(frozen=True)
class Polyak(Step, Chooser):
    """lr loss / norm(g)^2, the simplest rule that reads the loss."""

    scope: ClassVar[str] = "global"
    measures: ClassVar[bool] = True
    hears: ClassVar[bool] = True

    def decisions(self, device: torch.device) -> dict[str, Tensor]:
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return {"loss": zero, "eta": zero.clone()}

    def measure(self, g: Field, mem: Memory, aim: Aim, t: Tensor) -> Tensor:
        return inner(g, g)[:, None]

    def decide(self, measured: Tensor, mem: Memory) -> None:
        mem.eta.copy_(mem.loss / measured[..., 0])

    def scale(self, mem: Memory) -> Field | float:
        return mem.eta

    def size(self, lr: float | Tensor, u: Field, d: Field, mem: Memory, t: Tensor) -> Field | float:
        return mem.eta * lr


def made(**how):
    w, v = torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.tensor([[12.0]]))
    return w, v, Descent([w, v], Rule(EMA(0.0), Euclid(), Polyak(), Decoupled()), lr=1.0, **how)


def loss_of(w, v):
    return (w.square().sum() + v.square().sum()) / 2  # 84.5, and norm(g)^2 = 169


def closure_of(w, v, opt):
    def closure():
        opt.zero_grad()
        loss = loss_of(w, v)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("late", [False, True])
def test_the_loss_comes_from_the_closure_or_by_keyword(late):
    w, v, opt = made()
    if late:
        loss = loss_of(w, v)
        loss.backward()
        assert opt.step(loss=loss) is None
    else:
        assert float(opt.step(closure_of(w, v, opt)).detach()) == 84.5
    assert_close(w.detach(), torch.tensor([1.5, 2.0]))
    assert_close(v.detach(), torch.tensor([[6.0]]))


def test_what_was_found_is_shown_in_the_group_the_line_and_the_report():
    w, v, opt = made()
    opt.step(closure_of(w, v, opt))
    assert opt.param_groups[0]["effective_lr"] == 0.5
    assert "effective lr 0.5" in opt.line()
    told = opt.report()["groups"][0]
    assert told["effective_lr"] == 0.5
    assert told["found"] == [{"rule": str(opt.rule), "parameters": 2, "step.loss": 84.5, "step.eta": 0.5}]


def test_without_a_loss_it_says_what_to_do_and_nothing_moves():
    w, v, opt = made()
    loss_of(w, v).backward()
    with pytest.raises(RuntimeError, match=r"Descent needs the loss of every step: Polyak\(\).*loss=loss"):
        opt.step()
    assert w.tolist() == [3.0, 4.0]


def test_a_loss_that_is_not_finite_changes_nothing():
    w, v, opt = made()
    loss_of(w, v).backward()
    with pytest.raises(NonFiniteError, match="loss is nan"):
        opt.step(loss=float("nan"))
    assert w.tolist() == [3.0, 4.0]


def test_a_gradient_that_is_not_finite_leaves_the_loss_as_it_was():
    w, v, opt = made()
    opt.step(closure_of(w, v, opt))
    w.grad = torch.full_like(w, torch.nan)
    with pytest.warns(UserWarning, match="skipped"):
        opt.step(loss=1.0)
    assert float(opt.state[w]["step.loss"]) == 84.5


def test_a_loss_as_a_vector_or_a_number_of_another_type_is_taken_as_its_mean():
    w, v, opt = made()
    loss_of(w, v).backward()
    opt.step(loss=torch.tensor([84.0, 85.0], dtype=torch.bfloat16).float())
    assert float(opt.state[w]["step.loss"]) == pytest.approx(84.5, abs=0.5)


def test_other_rules_take_no_notice_of_it():
    w = torch.nn.Parameter(torch.ones(2))
    opt = Descent([w], Rule(EMA(0.0), Euclid(), Constant(), Decoupled()), lr=0.5)
    w.sum().backward()
    opt.step(loss=torch.tensor(torch.nan))
    assert w.tolist() == [0.5, 0.5]
