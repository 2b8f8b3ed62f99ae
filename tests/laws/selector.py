"""Laws of selectors: a choice does not depend on how candidates are scaled or ordered, nor on the loss's unit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from fallline.core.chooser import Selector
from fallline.core.memory import Memory
from fallline.statistics.alignment import pay


def fresh(part: Selector, scopes: int, k: int) -> Memory:
    """Memory of a selector before its first decision."""
    return Memory({name: x.expand(scopes, *x.shape).clone() for name, x in part.decisions(k).items()})


def paid(part: Selector, alignment: Tensor, power: Tensor) -> Tensor:
    """The pay of the mixture that the selector chooses, one per scope."""
    w = part.choose(alignment, power, fresh(part, *alignment.shape))
    return (w * alignment).sum(-1) / torch.einsum("si,sij,sj->s", w, power, w).sqrt()


def filter_scale_does_not_matter(part: Selector, alignment: Tensor, power: Tensor) -> None:
    """Multiplying the candidates' taps by constants changes no pay."""
    c = torch.linspace(0.1, 10, alignment.shape[1], dtype=alignment.dtype)
    assert_close(paid(part, alignment * c, power * c[:, None] * c), paid(part, alignment, power))


def loss_scale_does_not_matter(part: Selector, alignment: Tensor, power: Tensor) -> None:
    """A loss in other units changes no choice."""
    a = part.choose(alignment, power, fresh(part, *alignment.shape))
    b = part.choose(alignment * 1e6, power, fresh(part, *alignment.shape))
    assert_close(a / a.abs().sum(-1, keepdim=True), b / b.abs().sum(-1, keepdim=True))


def order_does_not_matter(part: Selector, alignment: Tensor, power: Tensor) -> None:
    """Permuted candidates, permuted weights."""
    turn = torch.arange(alignment.shape[1]).flip(0)
    assert_close(paid(part, alignment[:, turn], power[:, turn][:, :, turn]), paid(part, alignment, power))


def scopes_do_not_mix(part: Selector, alignment: Tensor, power: Tensor) -> None:
    """Deciding for many scopes at once is deciding for each."""
    together = part.choose(alignment, power, fresh(part, *alignment.shape))
    for i in range(len(alignment)):
        alone = part.choose(alignment[i : i + 1], power[i : i + 1], fresh(part, 1, alignment.shape[1]))
        assert_close(alone[0], together[i])


def nothing_better_was_left(part: Selector, alignment: Tensor, power: Tensor) -> None:
    """The choice pays at least as much as every single candidate."""
    assert (paid(part, alignment, power) >= pay(alignment, power).amax(-1) * (1 - 1e-6)).all()


LAWS = (
    filter_scale_does_not_matter,
    loss_scale_does_not_matter,
    order_does_not_matter,
    scopes_do_not_mix,
    nothing_better_was_left,
)
