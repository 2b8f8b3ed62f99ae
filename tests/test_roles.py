"""Roles: what a network's modules say about its parameters, what is kept of it, and that a view changes nothing."""

from __future__ import annotations

import copy
import pickle
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from fallline import AdamW, CheckpointError, Muon, NorMuon, Role, SlotError, View, roles
from fallline.core.guess import by_shape, guess
from fallline.core.role import role_of
from kit import differences, feed, owned, snapshot, stream, walk

# --- small networks ---------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A transformer block with fused or separate q, k and v."""

    def __init__(self, d: int = 16, heads: int = 4, kv: int = 4, fused: bool = True) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = heads, kv
        e = d // heads
        self.norm = nn.RMSNorm(d)
        if fused:
            self.qkv = nn.Linear(d, (heads + 2 * kv) * e)
        else:
            self.q_proj, self.k_proj, self.v_proj = nn.Linear(d, d), nn.Linear(d, kv * e), nn.Linear(d, kv * e)
        self.out, self.fc, self.fc2 = nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.layer_scale = nn.Parameter(torch.ones(d))


class GPT(nn.Module):
    """Embeddings, blocks, and a head that may be tied."""

    def __init__(self, tied: bool = False, **how) -> None:
        super().__init__()
        self.tokens, self.wpe = nn.Embedding(50, 16), nn.Embedding(8, 16)
        self.blocks = nn.ModuleList([Block(**how), Block(**how)])
        self.norm, self.lm_head = nn.LayerNorm(16), nn.Linear(16, 50, bias=False)
        if tied:
            self.lm_head.weight = self.tokens.weight


class Conv1D(nn.Module):
    """As transformers' GPT-2 has it: weight [in, out]."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.zeros(nf))


class Experts(nn.Module):
    """Three experts in one weight."""

    def __init__(self, d: int, f: int, flip: bool) -> None:
        super().__init__()
        self.hidden_size = d
        self.gate_up_proj = nn.Parameter(torch.zeros(3, d, 2 * f) if flip else torch.zeros(3, 2 * f, d))
        self.down_proj = nn.Parameter(torch.zeros(3, f, d) if flip else torch.zeros(3, d, f))
        self.down_proj_bias = nn.Parameter(torch.zeros(3, d))


class SparseMoE(nn.Module):
    """A router called gate, and experts."""

    def __init__(self, flip: bool = False) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 3, bias=False), Experts(8, 6, flip)


class Convolutions(nn.Module):
    """One of every kind, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.depthwise, self.grouped = nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 8, 3, groups=2)
        self.up, self.sound = nn.ConvTranspose2d(8, 6, 2), nn.Conv1d(8, 8, 5)
        self.up_grouped, self.solid = nn.ConvTranspose2d(8, 6, 2, groups=2), nn.Conv3d(2, 4, 3)
        self.fc = nn.Linear(8, 10)


def kinds(model: nn.Module, **how) -> dict[str, str]:
    """Roles in words, without biases."""
    return {e.name: str(e.role) for e in roles(model, **how) if e.role.kind != "bias"}


# --- what modules say -------------------------------------------------------------------------------------------------


def test_a_transformer():
    found = kinds(GPT())
    assert found["tokens.weight"] == "embedding"
    assert found["wpe.weight"] == "position"
    assert found["lm_head.weight"] == "head"
    assert found["blocks.0.qkv.weight"] == "attention groups=3"
    assert {found[f"blocks.1.{name}.weight"] for name in ("out", "fc", "fc2")} == {"hidden"}
    assert {found["norm.weight"], found["blocks.0.norm.weight"], found["blocks.0.layer_scale"]} == {"gain"}
    assert len(roles(GPT())) == len(list(GPT().parameters()))


def test_a_tied_head_is_embedding_and_head_in_one():
    found = kinds(GPT(tied=True))
    assert found["tokens.weight"] == "tied"
    assert "lm_head.weight" not in found
    apart = GPT()
    apart.lm_head.weight = nn.Parameter(apart.tokens.weight.detach())  # two parameters, one storage
    found = kinds(apart)
    assert found["tokens.weight"] == found["lm_head.weight"] == "tied"


@pytest.mark.parametrize(
    ("how", "heads", "expected"),
    [
        ({}, True, {"qkv": "attention groups=12"}),
        ({"kv": 2}, False, {"qkv": "attention groups=(16,8,8)"}),
        ({"kv": 2}, True, {"qkv": "attention groups=8"}),
        ({"fused": False}, False, {"q_proj": "hidden", "k_proj": "hidden"}),
        ({"fused": False, "kv": 2}, True, {"q_proj": "attention groups=4", "v_proj": "attention groups=2"}),
        ({"fused": False, "kv": 2}, "*.q_proj.*", {"q_proj": "attention groups=4", "v_proj": "hidden"}),
    ],
)
def test_queries_keys_and_values(how, heads, expected):
    found = kinds(GPT(**how), heads=heads)
    assert {name: found[f"blocks.0.{name}.weight"] for name in expected} == expected


def test_what_the_config_says_of_heads():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = SimpleNamespace(num_attention_heads=4, num_key_value_heads=1)
            self.query_key_value = nn.Linear(8, 12)

    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query_key_value, self.qkv = nn.Linear(8, 24), nn.Linear(8, 20)

    assert kinds(nn.ModuleList([Attention(), nn.Linear(8, 8)]))["0.query_key_value.weight"] == "attention groups=6"
    found = {e.name: e for e in roles(nn.ModuleList([Silent(), nn.Linear(8, 8)]))}
    assert str(found["0.query_key_value.weight"].role) == "hidden"
    assert "nobody says how many heads" in found["0.qkv.weight"].why


def test_convolutions():
    assert kinds(Convolutions()) == {
        "stem.weight": "conv",
        "bn.weight": "gain",
        "depthwise.weight": "depthwise",
        "grouped.weight": "conv groups=2",
        "up.weight": "conv out=1",
        "sound.weight": "conv",
        "up_grouped.weight": "conv groups=2 out=1",
        "solid.weight": "conv",
        "fc.weight": "head",
    }


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), ["hidden", "head"]),
        (nn.ModuleDict({"classifier": nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))}), ["hidden", "head"]),
        (nn.ModuleDict({"head": nn.Linear(8, 2), "body": nn.Linear(8, 8)}), ["head", "hidden"]),
        (nn.ModuleDict({"body": nn.Linear(8, 8), "heads": nn.ModuleList([nn.Linear(8, 2)] * 1)}), ["hidden", "head"]),
        (nn.Sequential(nn.Sequential(nn.Linear(8, 8)), nn.Sequential(nn.Linear(8, 8))), ["hidden", "hidden"]),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)), ["conv", "conv"]),
        (nn.ModuleDict({"body": nn.Conv2d(3, 8, 3), "classifier": nn.Conv2d(8, 5, 1)}), ["conv", "head"]),
    ],
    ids=["last", "last of classifier", "by name", "several", "blocks alone", "convolutions", "a convolution"],
)
def test_output_layers(net, expected):
    assert [kind for kind in kinds(net).values()] == expected


def test_the_first_layer_is_hidden_and_says_why():
    first = next(iter(roles(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)))))
    assert first.role == Role("hidden")
    assert "first layer" in first.why


def test_attention_of_torch():
    same, other = nn.MultiheadAttention(8, 2, add_bias_kv=True), nn.MultiheadAttention(8, 2, kdim=4, vdim=6)
    assert kinds(same)["in_proj_weight"] == "attention groups=3"
    assert kinds(same, heads=True)["in_proj_weight"] == "attention groups=6"
    assert kinds(other)["k_proj_weight"] == "attention"
    assert kinds(other, heads=True)["k_proj_weight"] == "attention groups=2"


@pytest.mark.parametrize(
    ("layer", "role"),
    [
        (nn.LSTM(5, 6), "gate groups=4"),
        (nn.GRU(5, 6, bidirectional=True), "gate groups=3"),
        (nn.RNN(5, 6), "gate"),
        (nn.LSTMCell(5, 6), "gate groups=4"),
        (nn.GRUCell(5, 6), "gate groups=3"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else x,
)
def test_gates(layer, role):
    assert set(kinds(layer).values()) == {role}
    assert kinds(nn.LSTM(5, 6, proj_size=3))["weight_hr_l0"] == "hidden"


@pytest.mark.parametrize("flip", [False, True])
def test_experts_and_their_router(flip):
    found = kinds(nn.ModuleDict({"moe": SparseMoE(flip), "head": nn.Linear(8, 3)}))
    role = "expert stack=1 out=1" if flip else "expert stack=1"
    assert found["moe.experts.gate_up_proj"] == found["moe.experts.down_proj"] == role
    assert found["moe.gate.weight"] == "router"
    assert not any("bias" in name for name in found)
    plain = nn.ModuleDict({"gate": nn.Linear(8, 16), "down": nn.Linear(16, 8), "head": nn.Linear(8, 3)})
    assert kinds(plain)["gate.weight"] == "hidden", "a gated layer without experts has no router"


def test_adapters_come_in_pairs():
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_layer = nn.Linear(8, 24)
            self.lora_A = nn.ModuleDict({"default": nn.Linear(8, 2, bias=False)})
            self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 24, bias=False)})

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = Adapted(), nn.Linear(8, 8)

    found = kinds(nn.ModuleList([Layer(), Layer()]))
    assert found["0.qkv.base_layer.weight"] == "attention groups=3"
    assert found["0.qkv.lora_A.default.weight"] == "lora_a pair=0"
    assert found["1.qkv.lora_B.default.weight"] == "lora_b pair=1"
    assert not role_of("lora_a pair=0").matrix, "they stay with the rest unless asked"
    asked = roles(nn.ModuleList([Layer()])).set("*.lora_?.*", "hidden")
    assert sum(e.role == Role("hidden") for e in asked) == 2


def test_what_stores_inputs_first():
    block = nn.ModuleDict(
        {"c_attn": Conv1D(24, 8), "c_proj": Conv1D(8, 8), "cross": nn.ModuleDict({"c_attn": Conv1D(16, 8)})}
    )
    found = kinds(nn.ModuleDict({"block": block, "lm_head": nn.Linear(8, 9)}))
    assert found["block.c_attn.weight"] == "attention groups=3 out=1 cut=1"
    assert found["block.cross.c_attn.weight"] == "attention groups=2 out=1 cut=1"
    assert found["block.c_proj.weight"] == "hidden out=1"


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
def test_parametrised_weights():
    def layer() -> nn.Linear:
        return nn.Linear(8, 8)

    class Halves(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

        def right_inverse(self, w: Tensor) -> tuple[Tensor, Tensor]:
            return w / 2, w / 2

    halves = layer()
    nn.utils.parametrize.register_parametrization(halves, "weight", Halves())
    net = nn.ModuleDict(
        {
            "wn": parametrizations.weight_norm(layer()),
            "sn": parametrizations.spectral_norm(layer()),
            "orth": parametrizations.orthogonal(layer()),
            "old": nn.utils.weight_norm(layer()),
            "old_sn": nn.utils.spectral_norm(layer()),
            "halves": halves,
            "head": layer(),
        }
    )
    assert kinds(net) == {
        "wn.parametrizations.weight.original0": "gain",
        "wn.parametrizations.weight.original1": "hidden",
        "sn.parametrizations.weight.original": "hidden",
        "orth.parametrizations.weight.original": "other",
        "old.weight_g": "gain",
        "old.weight_v": "hidden",
        "old_sn.weight_orig": "hidden",
        "halves.parametrizations.weight.original0": "other",
        "halves.parametrizations.weight.original1": "other",
        "head.weight": "head",
    }


def test_parameters_that_a_module_holds_itself():
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, shape in SHAPES.items():
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
            self.turned = nn.Parameter(torch.zeros(3, 3, dtype=torch.complex64))

    SHAPES = {"cls_token": (1, 1, 8), "pos_embed": (1, 9, 8), "relative_position_bias_table": (9, 4), "A_log": (9, 4)}
    SHAPES |= {"temperature": (), "mixing": (9, 4), "thing": (3, 4, 5), "row": (1, 8), "query_tokens": (1, 5, 8)}
    found = kinds(Loose())
    assert found == {
        "cls_token": "other",
        "pos_embed": "position",
        "relative_position_bias_table": "position",
        "A_log": "other",
        "temperature": "other",
        "mixing": "hidden",
        "thing": "other",
        "row": "other",
        "query_tokens": "embedding",
        "turned": "other",
    }


def test_matrices_of_one_row_are_none():
    thin = nn.Sequential(nn.Linear(8, 1), nn.Linear(1, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    found = list(roles(thin))
    assert [e.role.kind for e in found if e.name.endswith("weight")] == ["other", "other", "hidden", "head"]
    assert "only normalise" in found[0].why


def test_wrappers_do_not_hide_anything():
    net = GPT()
    wrapped = nn.ModuleDict({"module": nn.ModuleDict({"_orig_mod": net})})  # of DDP and torch.compile
    assert kinds(wrapped) == kinds(net)
    assert [e.name for e in roles(wrapped)] == [name for name, _ in net.named_parameters()]


# --- what names and shapes say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "role"),
    [
        ("h.0.mlp.up.weight", (64, 16), "hidden"),
        ("transformer.wte.weight", (50, 16), "embedding"),
        ("model.embed_tokens.weight", (50, 16), "embedding"),
        ("transformer.wpe.weight", (50, 16), "position"),
        ("lm_head.weight", (50, 16), "head"),
        ("multihead.weight", (16, 16), "hidden"),
        ("fc.weight", (10, 16), "head"),
        ("h.0.fc.weight", (64, 16), "hidden"),
        ("h.0.attn.qkv.weight", (48, 16), "attention groups=3"),
        ("h.0.qkv.weight", (40, 16), "hidden"),
        ("module.h.0.norm.weight", (16,), "gain"),
        ("h.0.norm.bias", (16,), "bias"),
        ("q.lora_A.default.weight", (4, 16), "lora_a"),
        ("moe.experts.w1", (3, 16, 16), "expert stack=1"),
        ("rnn.weight_ih_l0", (16, 4), "other"),
        ("", (50000, 768), "embedding"),
        ("", (3072, 768), "hidden"),
        ("", (8, 3, 3, 3), "conv"),
        ("", (8, 1, 3, 3), "depthwise"),
        ("", (1, 9, 8), "other"),
        ("", (8,), "other"),
        ("", (1, 8), "other"),
    ],
)
def test_guesses(name, shape, role):
    assert str(guess(name, torch.empty(shape))[0]) == role


def test_by_shape_looks_at_nothing_else():
    assert [by_shape("embed", torch.empty(shape))[0].kind for shape in ((9, 4), (9, 4, 3), (9,))] == [
        "hidden",
        "conv",
        "other",
    ]


def test_guessing_warns_once():
    with pytest.warns(UserWarning, match="guesses from names and shapes") as told:
        opt = Muon(nn.Linear(8, 8).named_parameters())
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.add_param_group({"params": [("more.weight", nn.Linear(8, 8).weight)]})
        Muon(GPT())
        Muon(nn.Linear(8, 8).parameters(), roles="by shape")
        Muon([{"params": list(nn.Linear(8, 8).parameters()), "roles": ["hidden", "bias"]}])


# --- whose shape is not there -----------------------------------------------------------------------------------------


def test_what_a_host_has_taken_away():
    gone = nn.Linear(8, 8)
    gone.weight = nn.Parameter(torch.empty(0))
    with pytest.raises(ValueError, match=r"Nothing of weight lies here.*ZeRO-3.*DDP"):
        roles(gone)
    with pytest.raises(ValueError, match="Nothing of weight lies here"), pytest.warns(UserWarning, match="guesses"):
        Muon(gone.named_parameters())
    gone.weight.ds_shape = torch.Size((8, 8))
    net = nn.Sequential(gone, nn.Linear(8, 2))
    assert kinds(net)["0.weight"] == "hidden"
    with pytest.raises(ValueError, match=r"ZeRO-3 has taken its \(8, 8\) numbers away.*DDP"):
        Muon(net)


def test_flat_parameters():
    flat = nn.Linear(8, 8)
    flat.weight._fsdp_flattened = True
    with pytest.raises(ValueError, match=r"FSDP1 does not say which part of weight lies here.*fully_shard"):
        roles(flat)


# --- the table --------------------------------------------------------------------------------------------------------


def test_you_have_the_last_word():
    net = GPT()
    table = roles(net).set("blocks.*.fc2.weight", "other").set(lambda name, p: p.dim() == 1, Role("gain"))
    found = {e.name: e for e in table}
    assert found["blocks.1.fc2.weight"].role == Role("other")
    assert found["blocks.1.fc2.weight"].why == "you said so"
    assert found["blocks.1.fc2.bias"].role.kind == "gain"
    opt = Muon(net, roles=table)
    assert opt.param_groups[0]["roles"] == tuple(str(e.role) for e in table)
    with pytest.raises(ValueError, match=r"No parameter is meant by 'block\.\*'"):
        table.set("block.*", "other")
    with pytest.raises(ValueError, match="does not fall into groups of 7"):
        table.set("blocks.0.fc.weight", Role("hidden", View(groups=7)))
    with pytest.raises(ValueError, match="Invalid role: 'matrix'"):
        table.set("blocks.0.fc.weight", "matrix")


def test_groups_may_say_it_themselves():
    a, b = nn.Linear(8, 8), nn.Linear(8, 8)
    groups = [
        {"params": [a.weight, b.weight], "roles": "hidden"},
        {"params": [a.bias, b.bias], "roles": [Role("bias")] * 2},
    ]
    opt = Muon(groups)
    assert [group["roles"] for group in opt.param_groups] == [("hidden", "hidden"), ("bias", "bias")]
    with pytest.raises(ValueError, match="2 parameters but 1 roles"):
        Muon([{"params": [a.weight, b.weight], "roles": ["hidden"]}])
    with pytest.raises(ValueError, match="No role: 'hidden groups=x'"):
        Muon([{"params": [a.weight], "roles": "hidden groups=x"}])
    with pytest.raises(TypeError, match="Invalid roles: 3"):
        Muon([a.weight], roles=3)


def test_a_table_knows_what_hosts_put_in_place():
    """Shards and copies are found by their names, where their shapes are the same."""
    net = GPT()
    table = roles(net)
    twin = copy.deepcopy(net)
    opt = Muon([(f"module.{name}", p) for name, p in twin.named_parameters()], roles=table)
    assert opt.param_groups[0]["roles"] == tuple(str(e.role) for e in table)
    assert table.get(nn.Parameter(torch.zeros(2, 2)), "lm_head.weight") is None
    del net
    assert all(e.p is None for e in table), "a table keeps no weight alive"


def test_the_table_says_everything():
    net = GPT(tied=True)
    told = Muon(net).table()
    lines = told.split("\n\n")[0].splitlines()
    assert len(lines) == 1 + len(list(net.parameters()))
    qkv = next(line for line in lines if line.startswith("blocks.0.qkv.weight"))
    assert all(word in qkv for word in ("48×16", "3 of 16×16", "attention groups=3", "0.8", "q, k and v in one weight"))
    assert "1: " in told
    assert "SecondMoment" in told
    assert all(e.name in str(roles(net)) for e in roles(net))
    assert "hidden" in repr(roles(net))
    assert len(repr(roles(net))) < 200


def test_nothing_to_do_is_an_error():
    with pytest.raises(ValueError, match=r"Muon got no hidden matrix: it got 1 head, 1 bias.*\.set\(.*AdamW"):
        Muon(nn.Linear(8, 2))
    with pytest.raises(ValueError, match="no hidden matrix: it got 1 other"):
        Muon([nn.Parameter(torch.zeros(8))], roles="by shape")


def test_only_frozen_matrices_are_told():
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    net[0].weight.requires_grad_(False)
    with pytest.warns(UserWarning, match=r"Muon moves no matrix: all that it has are frozen.*LoRA"):
        Muon(net)


def test_reasons_do_not_fill_the_groups():
    opt = Muon(GPT())
    assert not any("why" in group for group in opt.param_groups)
    twin = pickle.loads(pickle.dumps(opt))
    assert twin.table() == opt.table()
    assert "q, k and v" in twin.table()


# --- a view changes nothing else --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "shape", "apart"),
    [
        ("attention groups=3", (12, 5), lambda w: w.chunk(3)),
        ("attention groups=12", (12, 5), lambda w: w.chunk(12)),
        ("attention groups=(8,2,2)", (12, 5), lambda w: w.split((8, 2, 2))),
        ("attention groups=3 out=1 cut=1", (5, 12), lambda w: [x.T for x in w.chunk(3, 1)]),
        ("attention groups=(8,2,2) out=1 cut=1", (5, 12), lambda w: [x.T for x in w.split((8, 2, 2), 1)]),
        ("hidden groups=4 cut=1", (6, 8), lambda w: w.chunk(4, 1)),
        ("hidden out=1", (6, 8), lambda w: [w.T]),
        ("gate groups=4", (24, 5), lambda w: w.chunk(4)),
        ("conv", (6, 2, 3, 3), lambda w: [w.flatten(1)]),
        ("conv groups=2", (6, 2, 3, 3), lambda w: [x.flatten(1) for x in w.chunk(2)]),
        ("conv out=1", (4, 6, 3, 3), lambda w: [w.transpose(0, 1).flatten(1)]),
        ("conv groups=2 out=1", (4, 3, 3, 3), lambda w: [x.transpose(0, 1).flatten(1) for x in w.chunk(2)]),
        ("expert stack=1", (3, 4, 5), lambda w: w.unbind()),
        ("expert stack=1 out=1", (3, 4, 5), lambda w: [x.T for x in w.unbind()]),
        ("expert groups=2 out=1 cut=1 stack=1", (3, 4, 6), lambda w: [y.T for x in w.unbind() for y in x.chunk(2, 1)]),
    ],
)
def test_seen_as_several_it_walks_as_several(role, shape, apart):
    source = torch.Generator().manual_seed(3)
    whole = nn.Parameter(torch.randn(shape, dtype=torch.float64, generator=source))
    pieces = [nn.Parameter(x.detach().clone()) for x in apart(whole.data)]
    one = Muon([{"params": [whole], "roles": role}], lr=0.1)
    other = Muon([{"params": pieces, "roles": "hidden"}], lr=0.1)
    for _ in range(3):
        g = torch.randn(shape, dtype=torch.float64, generator=source)
        walk(one, [[g]])
        walk(other, [[x.contiguous() for x in apart(g)]])
    for x, y in zip(apart(whole.data), pieces, strict=True):
        torch.testing.assert_close(x, y.data, rtol=0, atol=1e-12)


def every_view(rank: int):
    """Views that fit a weight whose axes have length 6, behind those that count matrices."""
    for stack in (0, 1):
        for groups in (1, 3, (2, 4)):
            for out in range(rank):
                yield from (View(stack, groups, out, cut) for cut in range(rank))


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_a_view_is_undone(rank):
    for view in every_view(rank):
        x = torch.randn((2,) * view.stack + (6,) * rank)
        assert torch.equal(view.close(view.open(x), x), x), str(view)
        assert role_of(str(Role("conv", view))).view == view
        assert sum(k * m * n for k, m, n in view.shapes(tuple(x.shape))) == x.numel()


def test_every_role_of_a_network_is_undone():
    for net in (GPT(kv=2), Convolutions(), SparseMoE(True), nn.LSTM(5, 6), nn.MultiheadAttention(8, 2)):
        for entry in roles(net, heads=True):
            if entry.role.matrix:
                x = torch.randn(entry.shape)
                assert torch.equal(entry.role.view.close(entry.role.view.open(x), x), x), entry.name


def test_parts_of_several_sizes_are_told_from_equal_heads():
    """What remembers something of each matrix wants them alike; heads are."""
    net = GPT(kv=2)
    with pytest.raises(SlotError, match=r"several shapes.*roles\(model, heads=True\)"):
        NorMuon(net)
    opt = NorMuon(net, roles=roles(net, heads=True))
    walk(opt, stream(owned(opt), 2))
    assert all(bool(p.isfinite().all()) for p in net.parameters())


def test_a_network_trains():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    opt = Muon(net, lr=0.02)
    x = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = x.mean((1, 2, 3)).sign().long() + 1
    losses = []
    for _ in range(20):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def trained(table=None) -> tuple[nn.Module, Muon]:
    torch.manual_seed(0)
    net = GPT()
    opt = Muon(net, roles=table(roles(net)) if table else None)
    walk(opt, stream(owned(opt), 2))
    return net, opt


def test_other_roles_are_refused_and_nothing_is_loaded():
    _, opt = trained()
    _, other = trained(lambda table: table.set("blocks.1.qkv.weight", "hidden").set("blocks.1.fc.weight", "other"))
    saved, before = opt.state_dict(), snapshot(other)
    with pytest.raises(CheckpointError) as told:
        other.load_state_dict(saved)
    assert all(word in str(told.value) for word in ("blocks.1.qkv.weight", "'attention groups=3'", "'hidden'"))
    assert not differences(before, snapshot(other))


def test_a_checkpoint_without_roles_keeps_ours():
    _, opt = trained()
    _, other = trained()
    saved = copy.deepcopy(opt.state_dict())
    for group in saved["param_groups"]:
        del group["roles"]
    with pytest.warns(UserWarning, match="says no roles"):
        other.load_state_dict(saved)
    assert other.param_groups[0]["roles"] == opt.param_groups[0]["roles"]
    assert "roles" not in saved["param_groups"][0], "what was given is left alone"
    feed(owned(other), stream(owned(other), 1)[0])
    other.step()


def test_an_optimizer_without_roles_is_told_so():
    net, opt = trained()
    other = AdamW(net.named_parameters())
    with pytest.raises(CheckpointError):
        other.load_state_dict(opt.state_dict())
    with pytest.raises(CheckpointError):
        opt.load_state_dict(other.state_dict())


def test_parameters_that_somebody_has_exchanged():
    _, opt = trained()
    opt.param_groups[0]["params"] = opt.param_groups[0]["params"][:3]
    with pytest.raises(ValueError, match="was made with 25"):
        opt.step()
