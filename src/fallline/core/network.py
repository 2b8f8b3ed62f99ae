"""Network: a model's modules walked once, so that every parameter is asked where it sits."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from torch import Tensor, nn

from .guess import HEAD, LORA, WEAK_HEAD, whole
from .layer import CONVS, said
from .role import Entry, Roles, plain
from .seat import Seat, affine, spoken

Modules = dict[str, nn.Module]
ENDS = {"g": "length", "v": "direction", "orig": ""}  # of torch's older weight_norm and spectral_norm
SEVERAL = {"heads", "lm_heads", "classifiers"}  # every layer in there is an output layer


def roles(model: nn.Module, heads: bool | str | Iterable[str] = False) -> Roles:
    """What every parameter of a model is, from the modules that hold it, and why we think so.

    heads: where weights of queries, keys and values are cut head by head: everywhere, or where a name fits a pattern.
    ValueError where FSDP1 or ZeRO-3 has left pieces of parameters; ask before the model is wrapped.

    >>> from torch.nn import Embedding, Linear, Sequential
    >>> print(roles(Sequential(Embedding(9, 4), Linear(4, 8, bias=False), Linear(8, 9, bias=False))))
    parameter  shape  seen as  role       why
    0.weight   9×4             embedding  Embedding: one row for each token, and few tokens in a batch
    1.weight   8×4    8×4      hidden     Linear: outputs by inputs
    2.weight   9×8             head       output layer: one row for each class or token
    """
    wanted = [heads] if isinstance(heads, str) else ["*"] * heads if isinstance(heads, bool) else list(heads)
    modules = dict(model.named_modules())
    return Roles(_entry(seat) for seat in _seats(model, modules, wanted))


def _entry(seat: Seat) -> Entry:
    whole(seat.name, seat.p)
    role, why = said(seat)
    return Entry(seat.name, seat.shape, role, why, weakref.ref(seat.p))


def _seats(model: nn.Module, modules: Modules, wanted: list[str]) -> Iterator[Seat]:
    tied, outputs, pairs = _tied(modules), set[int](), dict[str, int]()
    outputs = _outputs(modules, bool(tied))
    first = _first(modules)
    for name, p in model.named_parameters():
        path, leaf, mark = _asked(name, modules)
        module, known = modules[path], plain(name)
        facts = {"tied": _spot(p) in tied, "output": id(module) in outputs, "first": module is first}
        facts |= {"split": any(fnmatchcase(known, pattern) for pattern in wanted), mark: True}
        pair = pairs.setdefault(LORA.sub("", known), len(pairs)) if LORA.search(known) else None
        marks = frozenset(word for word, true in facts.items() if true)
        yield Seat(known, leaf, p, module, _above(path, modules), marks, pair)


def _asked(name: str, modules: Modules) -> tuple[str, str, str]:
    """Which module a parameter belongs to, under which name, and what a parametrization makes of it."""
    path, _, leaf = name.rpartition(".")
    home, inside, weight = path.rpartition("parametrizations.")
    if inside and leaf.startswith("original"):
        kinds = {type(module).__name__ for module in modules[path].children()}
        return home.removesuffix("."), weight, _made(kinds, leaf)
    weight, _, end = leaf.rpartition("_")
    if end in ENDS and hasattr(modules[path], weight):
        return path, weight, ENDS[end]
    return path, leaf, ""


def _made(kinds: set[str], leaf: str) -> str:
    if kinds == {"_WeightNorm"}:
        return "length" if leaf == "original0" else "direction"
    return "orthogonal" if "_Orthogonal" in kinds else "" if leaf == "original" else "part"


def _above(path: str, modules: Modules) -> tuple[nn.Module, ...]:
    """The modules around one, nearest first."""
    words = path.split(".") if path else []
    return tuple(modules[".".join(words[:i])] for i in range(len(words) - 1, -1, -1))


def _spot(p: Tensor) -> int:
    """Where a parameter's numbers lie; tied ones lie at one spot, although there may be two of them."""
    try:
        return p.data_ptr() or id(p)
    except (RuntimeError, NotImplementedError):  # of somebody else's making, it lies nowhere
        return id(p)


def _tied(modules: Modules) -> set[int]:
    """Spots of weights that an embedding shares with a linear layer."""
    weights = [(m, p) for m in modules.values() if (p := m._parameters.get("weight")) is not None]
    spots = {_spot(p) for m, p in weights if isinstance(m, nn.Embedding)}
    return spots & {_spot(p) for m, p in weights if affine(m)}


def _outputs(modules: Modules, tied: bool) -> set[int]:
    """The output layers: by their names, else the last linear layer that is not a block's."""
    layers = {path: m for path, m in modules.items() if affine(m) and not LORA.search(path)}
    end = _last(modules[""])
    named = [m for path, m in _layers_and_convs(modules).items() if _says_output(path, m, modules, m is end)]
    if named or tied or not layers:
        return set(map(id, named))
    path, last = list(layers.items())[-1]
    return set() if _repeated(path, modules) else {id(last)}


def _layers_and_convs(modules: Modules) -> Modules:
    return {path: m for path, m in modules.items() if affine(m) or isinstance(m, CONVS)}


def _says_output(path: str, layer: nn.Module, modules: Modules, end: bool) -> bool:
    """Whether a layer, or a module of which it is the last layer, is called as output layers are.

    end: whether it is the network's last layer: some names say so only there.
    """
    if LORA.search(path):
        return False
    words = path.split(".")
    for i in range(len(words), 0, -1):
        home, word = ".".join(words[:i]), spoken(".".join(words[:i])).split(".")[-1]
        weak = end and word in WEAK_HEAD and i == len(words)
        if (HEAD.fullmatch(word) or weak) and not _repeated(home, modules):
            several = word in SEVERAL and isinstance(modules[home], nn.ModuleList | nn.ModuleDict)
            return several or layer is _last(modules[home])
    return False


def _last(module: nn.Module) -> nn.Module | None:
    layers = [m for name, m in module.named_modules() if (affine(m) or isinstance(m, CONVS)) and not LORA.search(name)]
    return layers[-1] if layers else None


def _repeated(path: str, modules: Modules) -> bool:
    """Whether a layer belongs to a block that stands beside others of its kind and size."""
    words = path.split(".")
    for i in range(1, len(words)):
        block, around = modules[".".join(words[:i])], modules[".".join(words[: i - 1])]
        twins = (m for m in around.children() if m is not block and type(m) is type(block))
        if any(_sizes(twin) == _sizes(block) for twin in twins):
            return True
    return False


def _sizes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in module.parameters()]


def _first(modules: Modules) -> nn.Module | None:
    """The first layer, where the network's inputs are dense: no embedding comes before it."""
    for module in modules.values():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            return None
        if affine(module) or isinstance(module, CONVS):
            return module
    return None
