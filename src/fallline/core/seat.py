"""Seat: where a parameter sits in its network: which module holds it, what is around, what the network makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .role import shape_of

HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "heads")
KEYS = ("num_kv_heads", "num_key_value_heads", "n_kv_heads", "n_kv_head", "num_query_groups", "kv_heads")


@dataclass(frozen=True, eq=False)
class Seat:
    """One parameter and what is known of it.

    name: in the network, without wrappers. leaf: what its module calls it. above: the modules around, nearest first.
    marks: "tied", "output", "first", "split" (by heads), and of parametrizations: length, direction, orthogonal, part.
    """

    name: str
    leaf: str
    p: Tensor
    module: nn.Module
    above: tuple[nn.Module, ...]
    marks: frozenset[str]
    pair: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole parameter."""
        return shape_of(self.p)

    @property
    def kind(self) -> str:
        """The class of its module."""
        return type(self.module).__name__.removeprefix("Parametrized")

    @property
    def label(self) -> str:
        """What its module is called by the module around."""
        words = spoken(self.name).split(".")
        return words[-2] if len(words) > 1 else ""

    @property
    def heads(self) -> tuple[int, int] | None:
        """How many heads queries have, and keys and values; None where nobody says."""
        for module in (self.module, *self.above):
            for source in (module, getattr(module, "config", None)):
                if n := _number(source, HEADS):
                    return n, _number(source, KEYS) or _keys(module, source, n)
        return None


def spoken(name: str) -> str:
    """A name without the modules that PEFT puts around a layer.

    >>> spoken("base_model.model.classifier.modules_to_save.default.weight"), spoken("q_proj.base_layer.weight")
    ('classifier.weight', 'q_proj.weight')
    """
    words = name.removeprefix("base_model.model.").split(".")
    if "modules_to_save" in words[:-1]:
        at = words.index("modules_to_save")
        words = words[:at] + words[at + 2 :]
    return ".".join(word for word in words if word not in ("base_layer", "original_module"))


def affine(module: nn.Module) -> bool:
    """Whether a module is a linear layer, by its class or by what it says of itself."""
    weight = module._parameters.get("weight")
    says = hasattr(module, "in_features") and hasattr(module, "out_features")
    listed = "parametrizations" in module._modules
    return isinstance(module, nn.Linear) or flipped(module) or (says and (listed or (weight is not None)))


def flipped(module: nn.Module) -> bool:
    """Whether a module is GPT-2's linear layer of transformers, which stores [in, out]."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _number(source: Any, words: tuple[str, ...]) -> int | None:
    found = (getattr(source, word, None) for word in words)
    return next((n for n in found if type(n) is int and n > 0), None)


def _keys(module: nn.Module, source: Any, n: int) -> int:
    """Heads of keys and values where only the number of queries for each of them is said."""
    share = next((g for x in (module, source) if (g := _number(x, ("num_key_value_groups",)))), 1)
    return n // share
