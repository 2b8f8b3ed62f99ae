"""Report: what was heard and advised as one HTML file that needs nothing else, and as one document for programs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .advice import Advice, Recommendation
from .estimate import Estimate, Heard
from .quantity import GLOSSARY
from .word import interval, many, number, pretty, setting, share, size

VERSION = 1
FOLDER = Path(__file__).parent


def write(heard: Heard, recommendation: Recommendation | None, path: str | Path) -> Path:
    """The page, at this path: `write(ear.estimates(), None, "report.html")`; it draws a few plots of every role."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"A report is one file, but {path} is a folder: name a file in it, as in report.html.")
    text = page(heard, recommendation)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def page(heard: Heard, recommendation: Recommendation | None) -> str:
    """The page, as text."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        from .scope import scopes, single
        from .section import sections
    except ModuleNotFoundError as error:
        raise lacking("The report", error) from error
    print_ = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    print_.filters |= dict(number=number, setting=setting, share=share, interval=interval, pretty=pretty)
    print_.tests |= dict(estimate=lambda x: isinstance(x, Estimate), unknown=lambda x: x is None or x != x)
    return print_.get_template("page.html").render(
        heard=heard,
        facts=facts(heard),
        recommendation=recommendation,
        evidence=evidence,
        sections=sections(heard),
        scopes=scopes(heard),
        single=single(heard),
        glossary=GLOSSARY,
        made=made(),
    )


def lacking(what: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The same error, with what to do about it."""
    return ModuleNotFoundError(
        f'{what} needs {error.name}, which is not installed. Run: pip install "fallline[listen]"', name=error.name
    )


def facts(heard: Heard) -> list[tuple[str, str]]:
    """What the numbers rest on."""
    total = heard.total
    step = "every step" if heard.every == 1 else f"one in {heard.every}"
    return [
        ("Steps heard", f"{heard.steps:,}, {step}"),
        ("Stretches of steps", f"{heard.stretches}"),
        ("Parameters", f"{total.numel:,} in {many(total.tensors, 'tensor')}"),
        ("Coordinates heard", f"{total.sampled:,} ({share(total.sampled / max(total.numel, 1))})"),
        ("Longest lag", many(heard.window, "step")),
        ("Memory of the ear", size(heard.bytes)),
        ("Learning rate", "several, or unknown" if total.lr is None else number(total.lr)),
        ("Momentum in use", "several, or unknown" if total.momentum is None else number(total.momentum)),
    ]


def evidence(advice: Advice) -> str:
    """What the statistic was, and what it had to pass."""
    if advice.evidence is None:
        return advice.statistic
    passed = "" if advice.threshold is None else f"; it had to pass {number(advice.threshold)}"
    return f"{advice.statistic} {number(advice.evidence.value)} ({interval(advice.evidence)}){passed}"


def made() -> Mapping[str, str]:
    """By what, and when."""
    import torch

    import fallline

    now = datetime.now(timezone.utc)
    return {
        "fallline": str(getattr(fallline, "__version__", "unknown")),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "date": now.isoformat(timespec="seconds"),
    }


def document(heard: Heard, recommendation: Recommendation | None = None) -> dict[str, Any]:
    """Both for a program, with versions and the date: what json.dump writes; `schema.whole` says how it looks."""
    advised = None if recommendation is None else recommendation.json()
    return {"version": VERSION, "made": dict(made()), "heard": heard.json(), "recommendation": advised}
