"""One thread, known seeds, float32, and test names that can be read."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import numpy
import pytest
import torch

torch.set_num_threads(1)  # bit-for-bit comparisons must not depend on how a sum was split


def pytest_report_header() -> str:
    """Say on what the tests run."""
    return f"torch {torch.__version__}, {torch.get_num_threads()} thread, a GPU: {torch.cuda.is_available()}"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Readable test names: float32 and Adam(0.9) where pytest would count dtype0, parts1."""
    return _words(val)


def _words(val: object) -> str | None:
    if isinstance(val, torch.dtype | torch.device):
        return str(val).removeprefix("torch.")
    if dataclasses.is_dataclass(val) and not isinstance(val, type):
        return str(val)
    if callable(val):
        return getattr(val, "__name__", None) or type(val).__name__
    if isinstance(val, set | frozenset):
        return "+".join(sorted(_words(x) or str(x) for x in val))  # the order of a set differs between processes
    if isinstance(val, tuple | list) and val:
        return "-".join(_words(x) or str(x) for x in val)
    if isinstance(val, dict) and val:
        return "-".join(f"{key}={_words(x) or x}" for key, x in val.items())
    return None  # pytest's own name


@pytest.fixture(autouse=True)
def known_start() -> Iterator[None]:
    """Every test starts from the same seeds and leaves the default dtype as it was."""
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(torch.float32)
