"""Ink: figures as SVG that takes its colours from the page, so that it is right on light and on dark paper."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Drawn in colours that nobody uses, which are then replaced by the variables of the page's style sheet.
COLORS = {
    "ink": "#010203",
    "muted": "#010204",
    "line": "#010205",
    "one": "#010206",
    "two": "#010207",
    "paper": "#010208",
}
INK, MUTED, LINE, ONE, TWO, PAPER = COLORS.values()
WIDTH = 4.6  # inches of 72 units: one unit is about a pixel of a phone that is 360 wide
FONT = 11.0

SETTINGS: Any = {  # matplotlib types every key by itself
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read at any zoom
    "font.size": FONT,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: measures text alike everywhere
    "axes.unicode_minus": True,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": FONT,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}
NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def inked(figure: Figure, name: str) -> str:
    """The figure as an <svg> element without outer references. name: unique on the page, for ids."""
    text = StringIO()
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}):
        FigureCanvasSVG(figure)
        figure.savefig(text, format="svg", transparent=True, metadata=NOTHING)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    for variable, color in COLORS.items():
        svg = svg.replace(color, f"var(--{variable})")
    return _short(_named(svg, name))


def _named(svg: str, name: str) -> str:
    """Ids that no other figure has, on what is referred to alone."""
    used = set(re.findall(r"#([\w-]+)[\")]", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = svg.replace("xlink:href", "href")
    return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", svg)


def _short(svg: str) -> str:
    """Without name spaces, which HTML knows, fixed sizes, comments, fonts of one machine and needless digits."""
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None, "matplotlib gives every SVG a viewBox"
    body = re.sub(r"<!--.*?-->\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", "", body, flags=re.S)
    body = re.sub(r"font: (?:[a-z0-9]+ )?([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}", tag[0]), body)
    body = re.sub(r"\n\s*", "\n", body)
    return f'<svg viewBox="{box[1]}" aria-hidden="true" focusable="false">{body}'
