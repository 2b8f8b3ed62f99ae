"""F4: timm's factory of optimizers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from conformance.recipe import Recipe
from fallline import SGD, AdamW, Lion, Muon, roles
from host import need
from kit import differences, feed, owned, snapshot, stream, walk

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("default")]  # what hosts warn of is their authors' business

# By timm's name: the class, whether it chooses, and what else timm is told.
NAMED: dict[str, tuple[type[torch.optim.Optimizer], bool, dict[str, Any]]] = {
    "fallline": (AdamW, True, {"eps": 1e-7}),
    "fallline-sgd": (SGD, False, {}),
    "fallline-sgd-auto": (SGD, True, {}),
    "fallline-adamw": (AdamW, False, {"eps": 1e-7}),
    "fallline-adamw-auto": (AdamW, True, {"eps": 1e-7}),
    "fallline-lion": (Lion, True, {"betas": ((0.5, 0.9), 0.99), "eps": 1e-7}),  # it has no eps: timm takes that away
}


def model() -> Any:
    """A vision transformer of timm's, made for tests."""
    torch.manual_seed(0)
    return need("timm").create_model("test_vit", img_size=32, num_classes=4)


def create(name: str, **options: Any) -> Any:
    """An optimizer by its name."""
    return need("timm.optim").create_optimizer_v2(model(), opt=name, lr=0.01, weight_decay=0.05, **options)


@pytest.fixture(autouse=True)
def registered() -> None:
    """timm knows our names."""
    need("timm")
    from fallline.integrations.timm import register

    assert set(NAMED) <= set(register()) <= set(need("timm.optim").list_optimizers("fallline*"))
    assert register() == register()


@pytest.mark.parametrize("name", NAMED)
def test_f4_names_build_what_they_say(name: str) -> None:
    """The class, the choice, and timm's two groups: vectors and what the model exempts do not decay."""
    kind, chooses, options = NAMED[name]
    optimizer = create(name, **options)
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.05]
    assert all(bool(group["candidates"]) == chooses for group in optimizer.param_groups)
    exempt = [p.shape for p in optimizer.param_groups[0]["params"]]
    assert model().pos_embed.shape in exempt and all(p.ndim > 1 for p in optimizer.param_groups[1]["params"])


@pytest.mark.parametrize("name", NAMED)
def test_f4_flags_are_true_to_fact(name: str) -> None:
    """What timm believes of it is what its constructor takes."""
    info = need("timm.optim").get_optimizer_info(name)
    group = create(name, **NAMED[name][2]).param_groups[0]
    assert (info.has_eps, info.has_momentum, info.has_betas) == tuple(x in group for x in ("eps", "momentum", "betas"))
    assert info.num_betas == 2 and not info.second_order


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_f4_fixed_ones_are_torchs(name: str) -> None:
    """The same groups and the same steps as under timm's own names."""
    ours, torchs = create(f"fallline-{name}"), create(name, **({} if name == "adamw" else {"nesterov": False}))
    gradients = stream(owned(ours), 4)
    walk(ours, gradients)
    walk(torchs, gradients)
    for p, q in zip(owned(ours), owned(torchs), strict=True):
        torch.testing.assert_close(p, q)


def test_f4_rates_by_layer_and_marks_of_timm_stay() -> None:
    """layer_decay makes many groups with lr_scale, which timm's schedulers multiply with."""
    optimizer = create("fallline-adamw-auto", layer_decay=0.5, fallback_list=("head*",))
    schedule = need("timm.scheduler").CosineLRScheduler(optimizer, t_initial=10)
    walk(optimizer, stream(owned(optimizer), 2))
    schedule.step(5)
    rates = [group["lr"] / group["lr_scale"] for group in optimizer.param_groups]
    assert len(rates) > 4 and rates == pytest.approx([0.005] * len(rates))
    assert any(group.get("use_fallback") for group in optimizer.param_groups)
    assert len({group["betas"][0] for group in optimizer.param_groups}) == 1, "one choice for all groups"


@pytest.mark.parametrize("name", ["fallline-muon", "fallline-muon-auto"])
def test_f4_roles_pass_through_the_factory(name: str) -> None:
    """What the model says of its parameters reaches timm's groups."""
    vit = model()
    optimizer = need("timm.optim").create_optimizer_v2(vit, opt=name, lr=0.01, weight_decay=0.05, roles=roles(vit))
    said = {
        p: role for group in optimizer.param_groups for p, role in zip(group["params"], group["roles"], strict=True)
    }
    group = optimizer.param_groups[0]
    assert type(optimizer) is Muon and group["momentum"] == (group["candidates"] or [0.95])[0]
    assert said[vit.blocks[0].attn.qkv.weight] == "attention groups=3"
    assert (said[vit.head.weight], said[vit.pos_embed], said[vit.patch_embed.proj.weight]) == (
        "head",
        "position",
        "conv",
    )
    walk(optimizer, stream(owned(optimizer), 2))


def test_f4_lookahead_wraps_it(chooser: Recipe) -> None:
    """timm's wrapper shares the groups and the state of what it wraps."""
    inner = chooser.build([p := torch.nn.Parameter(torch.ones(4, 2))])
    optimizer = need("timm.optim").Lookahead(inner, k=2)
    for _ in range(4):
        feed([p], [torch.ones(4, 2)])
        optimizer.step()
    assert int(inner.state[p]["step"]) == 4 and inner.report()["step"] == 4


def test_f4_save_and_load() -> None:
    """What timm's checkpoint saver writes goes on bit by bit."""
    name = "fallline-adamw-auto"
    whole, heir = create(name), create(name)
    gradients = stream(owned(whole), 6)
    walk(whole, gradients[:3])
    heir.load_state_dict(whole.state_dict())
    for p, q in zip(owned(heir), owned(whole), strict=True):
        p.data.copy_(q.data)
    walk(whole, gradients[3:])
    walk(heir, gradients[3:])
    assert differences(snapshot(heir), snapshot(whole)) == []
