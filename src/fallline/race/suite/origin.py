"""What an entrant runs on: versions, and of our own optimizers the files that define them.

A sweep must not be thrown away because some other file changed: what counts is the optimizer's class, its sentence and
the files of the parts in it. The engine (core) is left out: laws and golden values hold it to the sentence.
"""

import inspect
import platform
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fallline.race.suite.entrant import MAKERS, Ours


@cache
def origin(maker: str) -> str:
    """Versions, and a digest where the optimizer is ours."""
    versions = f"torch {torch.__version__} python {platform.python_version()}"
    return f"{versions} fallline {digest(maker)}" if isinstance(MAKERS[maker], Ours) else versions


def built(maker: str) -> Optimizer:
    """The first optimizer that it makes of a small network of many roles, with its own defaults."""
    network = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 4), nn.Linear(4, 9))
    return MAKERS[maker](network, {})[0]


def digest(maker: str) -> str:
    """Of its sentences on a small network, and of the files behind them."""
    import fallline

    optimizer: Any = built(maker)
    rules = [section.rule for section in optimizer._sections()]
    kinds = {kind for kind in type(optimizer).__mro__} | {type(part) for rule in rules for part in parts(rule)}
    files = sorted({inspect.getfile(kind) for kind in kinds if ours(kind)})
    hasher = sha256(f"{fallline.__version__} {rules}".encode())
    for file in files:
        hasher.update(Path(file).read_bytes())
    return hasher.hexdigest()[:12]


def ours(kind: type) -> bool:
    """Whether it is Fallline's, and not the engine's."""
    return kind.__module__.startswith("fallline.") and not kind.__module__.startswith("fallline.core")


def parts(value: Any) -> Iterator[Any]:
    """A part and all parts in it."""
    if is_dataclass(value):
        yield value
        for field in fields(value):
            yield from parts(getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from parts(item)
