"""Our rows: fixed and self-choosing momentum in every mode, looking for bad gradients or not, as torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.row import DECAY, LR, MOMENTUM, SQUARES, Build, Params, Row

BANKS = {
    2: (0.5, 0.99),
    3: (0.5, 0.9, 0.99),
    5: (0.5, 0.8, 0.9, 0.95, 0.99),
    16: tuple(round(1 - 0.5 * 0.02 ** (k / 15), 6) for k in range(16)),  # .5 to .99, evenly in log(1 - beta)
}
IGNORE = {"on_nonfinite": "ignore"}  # torch looks at nothing: like for like


def build(family: str, momentum: Any, options: dict[str, Any]) -> Build:
    """Our optimizer of a family; imported where it is built, and a selector given by its name."""
    given = {
        "adamw": ("AdamW", {"betas": (momentum, SQUARES)}),
        "sgd": ("SGD", {"momentum": momentum}),
        "lion": ("Lion", {"betas": (momentum, 0.99)}),
    }
    name, own = given[family]

    def make(params: Params) -> Any:
        fallline = import_module("fallline")
        chosen = {"selector": getattr(fallline, options["selector"])()} if "selector" in options else {}
        return getattr(fallline, name)(params, lr=LR, weight_decay=DECAY, **own, **options | chosen)

    return make


def row(
    family: str,
    word: str,
    label: str,
    momentum: Any = MOMENTUM,
    group: str = "one buffer",
    buffers: float = 1.0,
    against: str = "",
    drawn: bool = False,
    **options: Any,
) -> Row:
    """One of ours; `buffers` are those beside the metric's."""
    return Row(
        name=f"{family}-{word}",
        label=f"ours: {label}",
        family=family,
        group=group,
        build=build(family, momentum, options),
        package="fallline",
        buffers=buffers + (family == "adamw"),
        against=f"{family}-{against}" if against else "",
        drawn=drawn,
    )


def single(family: str) -> list[Row]:
    """One parameter-sized buffer for the momentum."""
    probe: dict[str, Any] = {"momentum": "auto", "buffers": 1.1}
    many: dict[str, Any] = {"group": "2 and 16 candidates", "buffers": 1.2, **IGNORE}
    slow: dict[str, Any] = {"group": "readable", "foreach": True, **IGNORE}
    checked = {"against": "torch-checked"} if family != "lion" else {}
    nesterov = [row(family, "nesterov-ignore", "Nesterov, ignore", nesterov=True, **IGNORE)] if family == "sgd" else []
    return [
        row(family, "fixed-ignore", "fixed, ignore", drawn=True, **IGNORE),
        row(family, "fixed", "fixed", drawn=True, **checked),
        *nesterov,
        row(family, "auto-ignore", "auto, ignore", drawn=True, **probe, **IGNORE),
        row(family, "auto", "auto", drawn=True, **probe, **checked),
        row(family, "auto-late-ignore", "auto, delay 1, ignore", delay=1, **probe, **IGNORE),
        row(family, "auto-2-ignore", "auto of 2, ignore", BANKS[2], **many),
        row(family, "auto-16-ignore", "auto of 16, ignore", BANKS[16], against="auto-2-ignore", **many),
        row(family, "fixed-readable", "fixed, foreach, ignore", drawn=True, **slow),
        row(family, "auto-readable", "auto, foreach, ignore", drawn=True, **slow | probe),
    ]


def banked(family: str) -> list[Row]:
    """A buffer for every candidate."""
    rows = []
    for k in (2, 3, 5):
        full: dict[str, Any] = {"momentum": BANKS[k], "bank": "full", "buffers": k, "group": "full bank"}
        label, drawn = f"full bank of {k}", k != 2
        rows += [
            row(family, f"full-{k}-ignore", f"{label}, ignore", drawn=drawn, **full, **IGNORE),
            row(family, f"full-{k}-late-ignore", f"{label}, delay 1, ignore", drawn=drawn, delay=1, **full, **IGNORE),
        ]
    three: dict[str, Any] = {"momentum": BANKS[3], "bank": "full", "buffers": 3, "group": "full bank"}
    return [
        *rows,
        row(family, "full-3", "full bank of 3", **three),
        row(family, "full-3-late", "full bank of 3, delay 1", delay=1, **three),
        row(family, "span-ignore", "span of 3, ignore", selector="Span", drawn=True, **three, **IGNORE),
        row(family, "span", "span of 3", selector="Span", **three),
    ]
