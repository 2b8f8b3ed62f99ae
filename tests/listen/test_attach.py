"""Attached: every model whose optimizer steps gets an ear, and what is trained does not notice."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

import fallline
from fallline.listen import attached
from fallline.listen.attach import MOST

STEPS = 24


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 2))


def sgd(of: nn.Module | Iterable[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(of.parameters() if isinstance(of, nn.Module) else of, lr=0.01)


def train(model: Callable[[Tensor], Tensor], *opts: torch.optim.Optimizer, steps: int = STEPS) -> None:
    for _ in range(steps):
        for opt in opts:
            opt.zero_grad()
        model(torch.randn(8, 6)).square().mean().backward()
        for opt in opts:
            opt.step()


def names(here: fallline.listen.Attached, model: str) -> list[str]:  # type: ignore[name-defined]
    return [spot.name for spot in here.ears[model].desk.spots]


def test_an_optimizer_is_enough_to_find_its_model() -> None:
    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        net = network()
        return net, sgd(net)

    with attached(window=4, batch=8) as here:
        train(*build())
    (ear,) = here
    assert list(here.ears) == ["Sequential"] and not here.notes
    assert names(here, "Sequential") == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert ear.steps == STEPS
    assert ear.estimates(parameters=False).total.critical_batch is not None


def test_it_hears_what_an_ear_of_the_model_hears() -> None:
    net = network()
    with attached(window=4) as here, fallline.listen(net, window=4) as ear:
        train(net, sgd(net))
    assert torch.equal(here.ears["Sequential"].record().sums, ear.record().sums)


def test_hooks_go_with_it() -> None:
    net = network()
    opt = sgd(net)
    with attached(window=4) as here:
        train(net, opt)
    train(net, opt)
    assert here.ears["Sequential"].steps == STEPS
    with pytest.raises(ValueError, match="at least 1"):
        attached(window=0)


def test_training_is_the_same_with_it() -> None:
    ends = []
    for listening in (True, False):
        torch.manual_seed(0)
        net = network()
        with attached(window=4) if listening else torch.enable_grad():
            train(net, torch.optim.AdamW(net.parameters()))
        ends.append([*net.parameters(), torch.rand(3)])
    assert all(map(torch.equal, *ends))


def test_optimizers_that_step_on_the_same_gradients_share_an_ear() -> None:
    net = network()
    with attached(window=4) as here:
        train(net, sgd(net[0]), sgd(net[2]))
    assert names(here, "Sequential") == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(here.ears) == 1
    with fallline.listen(net, window=4) as ear:  # the first step is lost: it was half over when they met
        train(net, sgd(net[0]), sgd(net[2]), steps=9)
    assert here.ears["Sequential"].steps == STEPS - 1 and ear.steps == 9
    record = here.ears["Sequential"].record()
    assert record.steps == STEPS - 1 and (record.sums[..., 0] > 0).all()  # no row lacks a part


def test_three_of_them_too_and_one_with_the_rest_of_the_model() -> None:
    net = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    with attached(window=4) as here:
        train(net, sgd(net[0]), sgd(net[1]), sgd(net[2]))
    assert [(name, ear.steps) for name, ear in here.ears.items()] == [("Sequential", STEPS - 1)]
    inner = [net[1].weight]
    rest = [p for p in net.parameters() if p is not inner[0]]
    with attached(window=4) as here:
        train(net, sgd(rest), sgd(inner))
    assert [(name, ear.steps) for name, ear in here.ears.items()] == [("Sequential", STEPS)]


class Game(nn.Module):
    """A generator and its critic, under one roof."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = nn.Linear(6, 6), nn.Linear(6, 1)


@pytest.mark.parametrize("first", ["critic", "generator"])
def test_a_generator_and_its_critic_have_an_ear_each(first: str) -> None:
    game = Game()
    opts = {"critic": sgd(game.critic), "generator": sgd(game.generator)}
    with attached(window=4) as here:
        for step in range(2 * STEPS):
            who = ("critic", "generator")[(step + (first == "generator")) % 2]
            fake = game.generator(torch.randn(8, 6))
            loss = game.critic(fake.detach() if who == "critic" else fake).mean()
            opts[who].zero_grad()
            loss.backward()
            opts[who].step()
    assert [(name, ear.steps) for name, ear in here.ears.items()] == [("Linear", STEPS), ("Linear-2", STEPS)]


def test_modules_that_no_module_holds_stand_side_by_side() -> None:
    encoder, decoder, scale = network(), nn.Linear(2, 1), torch.ones(3, requires_grad=True)
    opt = sgd([*encoder.parameters(), *decoder.parameters(), scale])
    with attached(window=4) as here:
        train(lambda x: decoder(encoder(x)) * scale, opt)
    (name,) = here.ears
    assert name == "Sequential+Linear"
    assert {"Sequential.0.weight", "Linear.bias"} < set(names(here, name))
    assert names(here, name)[0].isdecimal()  # of no module: its number
    assert here.ears[name].estimates().roles["head"].tensors


def test_parameters_of_no_module_have_the_names_that_the_optimizer_knows() -> None:
    w = torch.ones(6, 2, requires_grad=True)
    with attached(window=4) as here:
        train(lambda x: x @ w, torch.optim.SGD([("layer.w", w)], lr=0.1))
        train(lambda x: x @ w, sgd([w]))
    assert names(here, "parameters") == ["layer_w"]
    assert here.ears["parameters"].steps == 2 * STEPS


def test_the_model_is_found_inside_what_wraps_it() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4))
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.body[0].weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x))

    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.module = inner

    net = Tied()
    wrapped = Wrapper(net)
    with attached(window=4) as here:
        opt = sgd(wrapped)
        for _ in range(STEPS):
            net(torch.randint(9, (5,))).square().mean().backward()
            opt.step()
    assert names(here, "Tied")[0] == "body.0.weight"


def test_closures_and_scalers() -> None:
    net, other = network(), network()
    with attached(window=4) as here:
        opt = torch.optim.LBFGS(net.parameters(), max_iter=2)

        def closure() -> Tensor:
            opt.zero_grad()
            loss = net(torch.ones(2, 6)).square().mean()
            loss.backward()
            return loss

        for _ in range(4):
            opt.step(closure)
        scaler, plain = torch.amp.GradScaler("cpu"), sgd(other)
        for bad in (False, True, False):
            scaler.scale(other(torch.ones(2, 6)).square().mean() * (torch.inf if bad else 1)).backward()
            scaler.step(plain)
            scaler.update()
            plain.zero_grad()
    assert [ear.steps for ear in here] == [4, 2]


def test_it_stops_after_so_many_steps() -> None:
    net = network()
    with attached(window=4, steps=10) as here:
        train(net, sgd(net))
    assert here.ears["Sequential"].steps == 10


def test_many_models_are_too_many() -> None:
    with attached(window=4) as here:
        for _ in range(MOST + 2):
            net = network()
            train(net, sgd(net), steps=1)
    assert len(here.ears) == MOST and "-".join(list(here.ears)[-1:]) == f"Sequential-{MOST}"
    assert len(here.notes) == 1 and "first 8" in here.notes[0]


def test_a_model_may_be_wrapped_and_go_while_it_lasts() -> None:
    net = network()
    with attached(window=4) as here:
        train(net, sgd(net), steps=5)
        compiled = torch.compile(net, backend="eager")
        train(compiled, sgd(compiled), steps=5)
        del net, compiled
        gc.collect()
    assert [(name, ear.steps) for name, ear in here.ears.items()] == [("Sequential", 10)]


def test_what_goes_wrong_is_noted_and_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, opt: object) -> None:
        raise RuntimeError("no more paper")

    monkeypatch.setattr(fallline.listen.Ear, "_fresh", broken)  # type: ignore[attr-defined]
    net = network()
    before = net[0].weight.clone()
    with attached(window=4) as here:
        train(net, sgd(net))
    assert here.notes == ["Sequential is heard no more after 0 steps: RuntimeError: no more paper"]
    assert not torch.equal(before, net[0].weight)
