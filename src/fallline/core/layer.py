"""Layer: what each kind of layer says about the parameters that it holds. The first that knows something answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import nn

from .guess import BIAS, EMBEDDING, FUSED, GAIN, LORA, POSITION, STATE_SPACE, TOKEN, Said, sound
from .role import Role
from .seat import Seat, affine, flipped
from .view import View

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
GATES: dict[type[nn.Module], int] = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3, nn.RNN: 1, nn.RNNCell: 1}
QUERY, KEY_VALUE = (
    {"q_proj", "query", "to_q", "wq", "q"},
    {"k_proj", "v_proj", "key", "value", "to_k", "to_v", "wk", "wv"},
)
KEY_VALUE |= {"k", "v"}
BOTH = {"kv", "kv_proj", "to_kv", "c_attn"}  # keys and values in one
INTERLEAVED = {"query_key_value"}  # some models keep q, k and v of each head together
SPARSE = re.compile(r"moe|sparse|expert|router|gating", re.IGNORECASE)


def said(seat: Seat) -> Said:
    """The role of a parameter, and why."""
    found = next(one for rule in RULES if (one := rule(seat)))
    return sound(*found, seat.shape)


def _unfit(seat: Seat) -> Said | None:
    if seat.p.is_complex() or not seat.p.is_floating_point():
        return Role("other"), f"its numbers are {str(seat.p.dtype)[6:]}"
    if "orthogonal" in seat.marks:
        return Role("other"), "a parametrization makes the weight orthogonal, whatever stands here"
    return (Role("other"), "one of several tensors that a parametrization makes a weight of") if _part(seat) else None


def _part(seat: Seat) -> bool:
    return "part" in seat.marks


def _lora(seat: Seat) -> Said | None:
    if found := LORA.search(seat.name):
        word = "down" if found[1] == "A" else "up"
        return Role(f"lora_{found[1].lower()}", pair=seat.pair), f"LoRA's factor {found[1]}, {word} the rank"
    return (Role("gain"), "length of a weight's columns, of DoRA") if "lora_magnitude" in seat.name else None


def _length(seat: Seat) -> Said | None:
    return (Role("gain"), "length of a weight's rows, of weight norm") if "length" in seat.marks else None


def _norm(seat: Seat) -> Said | None:
    if "norm" not in seat.kind.lower() or affine(seat.module):
        return None
    kind = "bias" if BIAS.search(seat.leaf) else "gain"
    return Role(kind), f"{kind} of {seat.kind}"


def _vector(seat: Seat) -> Said | None:
    bias = BIAS.search(seat.leaf) and not POSITION.search(seat.leaf)
    if seat.leaf in STATE_SPACE:
        return Role("other"), f"{seat.leaf} of a state space"
    if bias:
        return Role("bias"), f"bias of {seat.kind}"
    several = len(seat.shape) > 1 and (seat.leaf == "weight" or sum(n > 1 for n in seat.shape) > 1)
    if several or POSITION.search(seat.leaf):
        return None
    return Role("gain" if GAIN.search(seat.leaf) and seat.leaf != "weight" else "other"), f"a vector of {seat.kind}"


def _embedding(seat: Seat) -> Said | None:
    if not isinstance(seat.module, nn.Embedding | nn.EmbeddingBag) and not hasattr(seat.module, "num_embeddings"):
        return None
    if "tied" in seat.marks:
        return Role("tied"), f"{seat.kind} and output layer in one"
    if POSITION.search(seat.name):
        return Role("position"), f"{seat.kind} of positions, by its name"
    return Role("embedding"), f"{seat.kind}: one row for each token, and few tokens in a batch"


def _recurrent(seat: Seat) -> Said | None:
    gates = next((n for kind, n in GATES.items() if isinstance(seat.module, kind)), None)
    if gates is None or not seat.leaf.startswith("weight"):
        return None
    if seat.leaf.startswith("weight_hr"):
        return Role("hidden"), f"projection of {seat.kind}"
    return Role("gate", View(groups=gates)), f"{gates} gates of {seat.kind}" if gates > 1 else f"weight of {seat.kind}"


def _attention(seat: Seat) -> Said | None:
    if not isinstance(seat.module, nn.MultiheadAttention) or "weight" not in seat.leaf:
        return None
    split = "split" in seat.marks
    groups = (3 if seat.leaf == "in_proj_weight" else 1) * (seat.module.num_heads if split else 1)
    what = "q, k and v in one weight" if seat.leaf == "in_proj_weight" else seat.leaf.partition("_")[0]
    return Role("attention", View(groups=groups)), f"{what} of {seat.kind}{', head by head' if split else ''}"


def _convolution(seat: Seat) -> Said | None:
    module = seat.module
    if not isinstance(module, CONVS + TRANSPOSED) or seat.leaf != "weight":
        return None
    if "output" in seat.marks:
        return Role("head"), f"output layer, a {seat.kind}, by its name"
    if module.groups > 1 and module.groups == module.in_channels:
        return Role("depthwise"), f"{seat.kind}: every channel for itself, so there is no matrix"
    view = View(groups=module.groups, out=1 if isinstance(module, TRANSPOSED) else 0)
    how = [f"{module.groups} groups"] * (module.groups > 1) + ["stored inputs first"] * bool(view.out)
    return Role("conv", view), ", ".join([f"{seat.kind}: outputs by inputs times kernel", *how])


def _expert(seat: Seat) -> Said | None:
    if len(seat.shape) != 3 or not (SPARSE.search(seat.kind) or "expert" in seat.name):
        return None
    flip, how = _orientation(seat)
    return Role("expert", View(stack=1, out=int(flip))), f"a matrix for each of {seat.shape[0]} experts, {how}"


def _orientation(seat: Seat) -> tuple[bool, str]:
    """Whether experts are stored as [E, in, out], and how we know."""
    told = getattr(seat.module, "is_transposed", None)
    width = next((n for x in (seat.module, *seat.above) for n in _widths(x)), None)
    down = bool(re.search(r"down|w2|fc2|out", seat.leaf))
    _, a, b = seat.shape
    if isinstance(told, bool):
        return told, "[in, out] each" if told else "[out, in] each"
    if width in (a, b) and a != b:
        flip = width == (b if down else a)
        return flip, f"{'[in, out]' if flip else '[out, in]'} each, by the network's width {width}"
    return False, "taken as [out, in] each, as in nn.Linear"


def _widths(module: nn.Module) -> list[int]:
    sources = (module, getattr(module, "config", None))
    words = ("hidden_size", "hidden_dim", "d_model", "n_embd", "dim", "embed_dim")
    return [n for x in sources for word in words if type(n := getattr(x, word, None)) is int]


def _router(seat: Seat) -> Said | None:
    around = seat.above[0] if seat.above else None
    held = {*getattr(around, "_modules", ()), *getattr(around, "_parameters", ())} - {seat.label}
    sparse = SPARSE.search(type(around).__name__) or any("expert" in word for word in held)
    if len(seat.shape) != 2 or not ("router" in seat.kind.lower() or seat.label == "router" or _gate(seat, sparse)):
        return None
    return Role("router"), "router: one row of scores for each expert"


def _gate(seat: Seat, sparse: object) -> bool:
    return bool(sparse) and seat.label in ("gate", "gating", "wg", "gate_network")


def _linear(seat: Seat) -> Said | None:
    if not affine(seat.module) or len(seat.shape) != 2:
        return None
    if "tied" in seat.marks:
        return Role("tied"), "embedding and output layer in one"
    if "output" in seat.marks:
        return Role("head"), "output layer: one row for each class or token"
    flip = int(flipped(seat.module))
    return _fused(seat, flip) or _one_of_three(seat, flip) or (Role("hidden", View(out=flip)), _plainly(seat, flip))


def _plainly(seat: Seat, flip: int) -> str:
    how = "stored inputs first" if flip else "outputs by inputs"
    made = ", without its rows' lengths" if "direction" in seat.marks else ""
    return f"first layer, on dense inputs: {how}{made}" if "first" in seat.marks else f"{seat.kind}: {how}{made}"


def _fused(seat: Seat, flip: int) -> Said | None:
    """Queries, keys and values in one weight."""
    m, n = seat.shape[flip], seat.shape[1 - flip]
    if seat.label in BOTH and m == 2 * n:
        return Role("attention", View(groups=2, out=flip, cut=flip)), f"{seat.label}: k and v in one weight"
    if seat.label not in FUSED:
        return None
    groups, how = _cuts(seat, m, n)
    if groups == 1:
        return Role("hidden", View(out=flip)), f"{seat.label} of {m} outputs: {how}"
    return Role("attention", View(groups=groups, out=flip, cut=flip)), f"{seat.label}: {how}"


def _cuts(seat: Seat, m: int, n: int) -> tuple[int | tuple[int, ...], str]:
    """Into what q, k and v in one weight of m outputs and n inputs fall."""
    q, kv = seat.heads or (0, 0)
    total, apart = q + 2 * kv, "split" in seat.marks or seat.label in INTERLEAVED
    if q and m % total == 0 and apart:
        return total, f"q, k and v of {q} heads each for itself" if q == kv else f"{q} + {kv} + {kv} heads, one by one"
    if q and m % total == 0 and q != kv:
        d = m // total
        return (q * d, kv * d, kv * d), f"q of {q} heads, k and v of {kv}"
    if m == 3 * n and seat.label not in INTERLEAVED:
        return 3, "q, k and v in one weight"
    return 1, "kept whole, since it is not three equal parts, and nobody says how many heads it has"


def _one_of_three(seat: Seat, flip: int) -> Said | None:
    """Queries, keys or values alone, where they are to be split by heads."""
    if "split" not in seat.marks or not seat.heads or seat.label not in QUERY | KEY_VALUE:
        return None
    n = seat.heads[0 if seat.label in QUERY else 1]
    return Role("attention", View(groups=n, out=flip, cut=flip)), f"{seat.label}: {n} heads, one by one"


def _loose(seat: Seat) -> Said:
    """A parameter of a module that we do not know."""
    shape, at = seat.shape, f"that {seat.kind} holds itself"
    if POSITION.search(seat.leaf):
        return Role("position"), "its name says position"
    if sum(n > 1 for n in shape) < 2:
        return Role("other"), f"a vector {at}"
    if TOKEN.search(seat.leaf) or EMBEDDING.search(seat.leaf):
        return Role("embedding"), f"tokens {at}, by its name"
    if len(shape) == 2:
        return Role("hidden"), f"a matrix {at}, taken as outputs by inputs"
    return Role("other"), f"{len(shape)} axes {at}: say what they are, such as 'expert stack=1' or 'conv'"


RULES: tuple[Callable[[Seat], Said | None], ...] = (
    _unfit,
    _lora,
    _length,
    _norm,
    _vector,
    _embedding,
    _recurrent,
    _attention,
    _convolution,
    _router,
    _expert,
    _linear,
    _loose,
)
