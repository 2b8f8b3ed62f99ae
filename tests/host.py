"""Hosts: the libraries that train with an optimizer they did not write, imported where a test needs one."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch

# Operators that torchvision's Python files register something for. Its compiled library defines them, and that library
# does not load beside another build of torch (here: torch for the CPU alone). Nobody here calls them.
VISION = ("nms", "qnms", "roi_align", "qroi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
VISION += tuple(
    f"_{name}_backward" for name in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
)

_declared: list[torch.library.Library] = []  # what a library declares goes when the library goes


def need(package: str) -> ModuleType:
    """A host's package; where it is not installed the test is skipped, and says so."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed; make hosts installs it")
    declare_vision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a host says while it is imported is its authors' business
        return import_module(package)


def declare_vision() -> None:
    """Let torchvision be imported, which timm and Lightning do, although its compiled half is for another torch."""
    if _declared or find_spec("torchvision") is None or _loads():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in VISION:
        library.define(f"{name}(Tensor x) -> Tensor")
    _declared.append(library)


def _loads() -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("torchvision")
    except (ImportError, RuntimeError):
        return False
    return True
