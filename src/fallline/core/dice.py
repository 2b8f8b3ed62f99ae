"""Dice: random bits that are a function of a seed, the step and the numbers at hand, not a stream.

So nothing is saved, resuming is exact, replicas with equal numbers throw alike, and neither grouping nor sharding has
a say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .field import Field, each
from .shard import coordinates

STRIDE = -0x61C88647  # 2^32 over the golden ratio: neighbours land far apart
MURMUR = ((16, -0x7A143595), (13, -0x3D4D51CB))  # of Appleby's 32-bit hash, as signed numbers


def salt(seed: int, t: Tensor) -> Tensor:
    """The bits of a step, int32, 0-d."""
    return scramble((t.long() * STRIDE + seed % 2**32).to(torch.int32))


def throw(bits: Tensor, at: Tensor, salt: Tensor) -> Tensor:
    """16 random bits for each number, by its own 32 bits and its place in the tensor."""
    salted = torch.add(salt, at.to(torch.int32), alpha=STRIDE)
    return scramble(salted.bitwise_xor_(bits)) >> 16  # the upper bits are the best mixed


def scramble(h: Tensor) -> Tensor:
    """Every bit of h has its say in the upper half of the result; in place. Multiplication is modulo 2^32."""
    for shift, factor in MURMUR:
        h.bitwise_xor_((h >> shift).bitwise_and_(0xFFFFFFFF >> shift)).mul_(factor)
    return h


def signs(x: Field, seed: int, t: Tensor) -> Field:
    """-1 or 1 at random for each coordinate of x, by its place and its number as a float32.

    The number parts tensors of one shape, whose signs must not go together.

    >>> signs(torch.tensor([0.1, 0.2, 0.3, 0.4]), 0, torch.tensor(1.0)).tolist()
    [-1.0, 1.0, 1.0, -1.0]
    """
    mark = salt(seed, t)

    def sign(one: Tensor, at: Tensor) -> Tensor:
        return 1.0 - 2.0 * (throw(one.float().view(torch.int32), at, mark) & 1).to(one.dtype)

    return each(sign, x, coordinates(x))


def uniform(seed: int, t: Tensor) -> Tensor:
    """One number in [0, 1) for the step, the same for everybody: 0-d float64.

    >>> [round(float(uniform(0, torch.tensor(float(n)))), 3) for n in (1, 2, 3)]
    [0.573, 0.238, 0.106]
    """
    high, low = salt(seed, t), scramble(salt(seed + 1, t).bitwise_not_())
    return ((high >> 16) & 0xFFFF).double().add_(((low >> 16) & 0xFFFF).double() / 2**16) / 2**16
