"""B: step()."""

from __future__ import annotations

import pytest
import torch

from conformance.recipe import Recipe
from kit import differences, feed, owned, snapshot, stream, walk


def test_b7_the_gradient_is_left_as_found(recipe: Recipe) -> None:
    """The very tensor, with the same bits."""
    opt = recipe.made()
    for now in stream(owned(opt), 3):
        feed(owned(opt), now)
        before = [(p.grad, p.grad.clone()) for p in owned(opt)]
        opt.step()
        for p, (g, old) in zip(owned(opt), before, strict=True):
            assert p.grad is g and differences(g, old) == []
