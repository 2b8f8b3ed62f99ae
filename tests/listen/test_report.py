"""What a person sees of what was heard: the page, the tables, the document."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import fallline
from fallline.listen import Advice, Change, Curve, Estimate, Heard, Recommendation, document, page, tables, write
from fallline.listen.schema import whole
from fallline.listen.word import pretty

TEMPLATE = (Path(fallline.__file__).parent / "listen" / "page.html").read_text(encoding="utf-8")
VOID = {"wbr", "meta", "br", "link", "img", "hr", "input"}


def listened(steps: int = 80, first: str = "0") -> Heard:
    torch.manual_seed(3)
    net = nn.Sequential()
    net.add_module(first, nn.Linear(6, 12))
    net.add_module("act", nn.Tanh())
    net.add_module("out", nn.Linear(12, 3))
    opt = torch.optim.AdamW(net.parameters(), lr=0.01)
    with fallline.listen(net, window=8, batch=16) as ear:
        for _ in range(steps):
            opt.zero_grad()
            net(torch.randn(16, 6)).square().mean().backward()
            opt.step()
    return ear.estimates()


HEARD = listened()
HELD = Estimate(0.08, 0.03, math.inf, 0.99)
ADVICE = Advice(
    *("momentum", "hidden", "Raise it to 0.9946.", "It pays 8 % more, where a < b & c.", "+8 %"),
    *({"momentum": 0.9946, "metric": "spectral"}, 0.99, HELD, 0.02, "momentum", "pay margin", "arXiv 2512.06370"),
)
KEEP = replace(ADVICE, change="keep", what="Keep the batch.", settings={}, sure=math.nan, evidence=None, threshold=None)
ADVISED = Recommendation((ADVICE, KEEP), ("momentum",), {"ceiling": "no sharpness"}, 80, 0.95)


class Reader(HTMLParser):
    """Checks that elements close in the order in which they open, and keeps what they are called."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[tuple[tuple[str, ...], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.said.append((tuple(self.open), data.strip()))

    def words(self, tag: str) -> list[str]:
        """All that is said in elements of this kind, piece by piece."""
        return [words for where, words in self.said if tag in where]

    def count(self, tag: str) -> int:
        return sum(one == tag for one, _ in self.seen)


@pytest.fixture(scope="module")
def text() -> str:
    return page(HEARD, ADVISED)


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    return Reader(text)


def test_the_page_is_one_file_that_loads_nothing(text: str, read: Reader) -> None:
    assert "http" not in text and "//" not in text and "@import" not in text and "<script" not in text
    for tag, attrs in read.seen:
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#"), tag
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert len(text.encode()) < 1_500_000


def test_elements_close_and_ids_are_unique_and_found(text: str, read: Reader) -> None:
    assert not read.open
    ids = [attrs["id"] for _, attrs in read.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [attrs["href"] for _, attrs in read.seen if "href" in attrs] + re.findall(r"url\((#[^)]*)\)", text)
    wanted += [f"#{attrs['aria-labelledby']}" for _, attrs in read.seen if "aria-labelledby" in attrs]
    assert {str(one)[1:] for one in wanted} <= set(ids)


def test_headings_are_in_order(read: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in read.seen if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_the_page_can_be_used_without_eyes_and_mouse(text: str, read: Reader) -> None:
    seen = read.seen
    assert ("html", {"lang": "en"}) in seen and "<title>" in text and any(tag == "main" for tag, _ in seen)
    assert next(attrs for tag, attrs in seen if tag == "a") == {"class": "skip", "href": "#main"}
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in seen if tag == "th")
    assert sum(tag == "caption" for tag, _ in seen) == sum(tag == "table" for tag, _ in seen)
    regions = [attrs for _, attrs in seen if attrs.get("class") == "scroll"]
    assert regions and all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in regions)
    assert all(attrs.get("aria-hidden") == "true" for tag, attrs in seen if tag == "svg")


def test_its_parts_are_landmarks_with_names(read: Reader) -> None:
    parts = [tag for tag, _ in read.seen if tag in ("header", "nav", "main", "footer")]
    assert parts == ["header", "nav", "main", "footer"]
    assert all(attrs.get("aria-label") for tag, attrs in read.seen if tag == "nav")
    ids = {attrs["id"]: tag for tag, attrs in read.seen if "id" in attrs}
    sections = [attrs["aria-labelledby"] for tag, attrs in read.seen if tag == "section"]
    assert sections and {ids[str(one)] for one in sections} == {"h2"}
    links = [attrs["href"] for tag, attrs in read.seen if tag == "a"]
    assert [f"#{attrs['id']}" for tag, attrs in read.seen if tag == "section"] == links[1:], "all parts, in their order"


def test_headings_captions_and_summaries_say_something(read: Reader) -> None:
    for tag in ("h1", "h2", "h3", "h4", "caption", "summary", "th"):
        assert len(read.words(tag)) >= read.count(tag) > 0, tag
    opened = [later for (tag, _), (later, _) in pairwise(read.seen) if tag == "details"]
    assert opened and set(opened) == {"summary"}
    first = [later for (tag, _), (later, _) in pairwise(read.seen) if tag == "table"]
    assert first and set(first) == {"caption"}


def test_the_keyboard_goes_where_the_page_goes(read: Reader) -> None:
    style = "".join(read.words("style"))
    assert ":focus-visible { outline: 3px" in style and "outline: none" not in style and "outline: 0" not in style
    assert {attrs["tabindex"] for _, attrs in read.seen if "tabindex" in attrs} == {"0"}
    assert not any({"accesskey", "autofocus"} & attrs.keys() for _, attrs in read.seen)


def test_paper_is_light_and_shows_all(read: Reader) -> None:
    style = "".join(read.words("style"))
    assert (
        style.count("prefers-color-scheme: dark") == style.count("@media screen and (prefers-color-scheme: dark)") == 1
    )
    paper = style[style.index("@media print") :]
    assert "details::details-content { display: block; content-visibility: visible; }" in paper
    assert ".scroll { overflow: visible;" in paper and "position: static" in paper


def test_what_is_written_below_a_plot_is_not_read_twice(read: Reader) -> None:
    found = [(tag, attrs) for tag, attrs in read.seen if tag == "figcaption" or attrs.get("role") == "img"]
    said = iter(read.words("figcaption"))
    for (_, plot), (tag, below) in pairwise(found):
        if tag == "figcaption":
            assert (next(said) == plot["aria-label"]) == (below == {"aria-hidden": "true"})


def test_each_plot_is_told_in_words_and_numbers(read: Reader) -> None:
    told = [attrs["aria-label"] for _, attrs in read.seen if attrs.get("role") == "img"]
    assert len(told) == sum(tag == "figure" for tag, _ in read.seen) > 10
    assert all(words and re.search(r"\d", words) for words in told)
    best = HEARD.total.pay["euclid"].best
    assert f"highest at {best.value:.3g} ({best.low:.3g} to {best.high:.3g})" in str(told[0])
    left = HEARD.total.signal.value / HEARD.total.power.value
    assert f"1 at lag 0, without the noise {left:.3g}" in next(one for one in map(str, told) if "Autocorr" in one)


def test_a_plot_of_pay_says_how_high_its_curves_are() -> None:
    from fallline.listen.chart import heights

    line = Curve((0.0, 0.52, 0.9, 0.99), (1.0, 0.9, 0.5, math.nan), (0.0,) * 4, (2.0,) * 4, 0.95)
    told = heights(replace(HEARD.total.pay["euclid"], same=line, clean=replace(line, value=(-0.1, 0.2, 0.3, 0.4))))
    assert "pay is 1 and -0.1 at 0; 0.9 and 0.2 at 0.5; 0.5 and 0.3 at 0.9; unknown and 0.4 at 0.99." in told


def test_numbers_of_the_axes_are_not_shortened(text: str) -> None:
    assert ">0.99<" in text and ">0.95<" in text


def test_plots_take_their_colours_from_the_page(text: str) -> None:
    drawn = "".join(re.findall(r"<svg viewBox=.*?</svg>", text, flags=re.S))
    assert not re.findall(r"#[0-9a-f]{6}\b", drawn)
    for variable in set(re.findall(r"var\((--\w+)\)", text)):
        assert text.count(f"{variable}: #") == 2, f"{variable} is there for light and for dark"


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{[^}]*\}", TEMPLATE)[scheme]))
    for paper in ("paper", "card"):
        for ink in ("ink", "muted", "one", "two", "good"):
            assert contrast(colors[ink], colors[paper]) >= 4.5, (ink, paper)
        assert contrast(colors["focus"], colors[paper]) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_advice_comes_first_and_says_all(text: str) -> None:
    text = text.replace("\u00a0", " ")
    order = [text.index(f'<section id="{mark}"') for mark in ("advice", "heard", "momentum", "memory", "noise")]
    assert order == sorted(order)
    for words in ("Raise it to 0.9946.", "It pays 8 % more", "+8 %", "momentum = 0.9946", "metric = spectral", "99 %"):
        assert words in text
    assert "arXiv 2512.06370" in text and "0.03 to ∞" in text and "no sharpness" in text
    assert "Nothing, as far as can be told" in page(silent(), replace(ADVISED, advice=(KEEP,)))
    assert "No recommendation was made" in page(silent(), None)


def silent() -> Heard:
    """Nothing but a total of which little is known."""
    nothing = Estimate(math.nan, -math.inf, math.inf, 0.95)
    total = replace(
        HEARD.total,
        **dict.fromkeys(("power", "signal", "noise", "noise_scale", "persistence"), nothing),
        **dict.fromkeys(("critical_batch", "gradient", "buffer", "update", "lr", "momentum")),
        autocorrelation=Curve((), (), (), (), 0.95),
        pay={},
        families={},
        matrix_families={},
    )
    return replace(HEARD, total=total, roles={}, parameters={}, changes=())


def test_little_is_enough() -> None:
    text = page(silent(), None)
    assert not Reader(text).open
    assert "No alarm" in text and 'id="roles"' not in text and 'id="parameters"' not in text
    assert said_in(silent(), None)


@pytest.mark.parametrize("x", [math.nan, math.inf, -1e300])
def test_no_number_breaks_it(x: float) -> None:
    odd = Estimate(x, -math.inf if x != x else x, math.inf, 0.95)
    total = HEARD.total
    curve = replace(total.autocorrelation, **dict.fromkeys(("value", "low", "high"), (x,) * len(total.autocorrelation)))
    pay = total.pay["euclid"]
    line = replace(pay.same, **dict.fromkeys(("value", "low", "high"), (x,) * len(pay.same)))
    pay = replace(pay, same=line, clean=line, best=odd, best_clean=odd, margin=odd, margin_clean=odd, limit=x)
    shape = total.gradient and replace(total.gradient, stable_rank=odd, rows=odd, columns=odd)
    total = replace(
        total,
        **dict.fromkeys(("power", "signal", "noise", "noise_scale", "critical_batch", "persistence", "update"), odd),
        **dict.fromkeys(("gradient", "buffer"), shape),
        autocorrelation=curve,
        pay={"euclid": pay},
        families=dict.fromkeys(total.families, odd),
        matrix_families=dict.fromkeys(("row", "spectral", "another"), odd),
        lr=x,
    )
    heard = replace(HEARD, total=total, roles={"hidden": total}, parameters={})
    text = page(heard, None)
    assert not Reader(text).open and not re.search(r"\bnan\b", re.sub(r"<style.*?</style>", "", text, flags=re.S))
    assert said_in(heard, None)
    json.dumps(document(heard), allow_nan=False)


def test_names_are_escaped() -> None:
    name = 'a<b> & "$x_1$" [red]'
    heard = listened(40, name)
    change = Change(30, name, "lag-1 correlation", 120.0, 0.01)
    odd = replace(heard, roles={name: heard.roles["hidden"]}, changes=(change,))
    odd = replace(odd, roles={name: replace(heard.roles["hidden"], name=name)})
    text = page(odd, replace(ADVISED, advice=(replace(ADVICE, scope=name),)))
    assert not Reader(text).open
    assert "a<b>" not in text and "a&lt;b&gt; &amp; " in text
    assert name in said_in(odd, None, 200)


def said_in(heard: Heard, recommendation: Recommendation | None, width: int = 80, parameters: bool = True) -> str:
    from rich.console import Console

    console = Console(width=width)
    with console.capture() as said:
        console.print(tables(heard, recommendation, parameters=parameters))
    return said.get()


def test_tables_fit_a_terminal_and_begin_with_the_advice() -> None:
    said = said_in(HEARD, ADVISED)
    assert max(map(len, said.splitlines())) <= 80
    assert said.index("Raise it to 0.9946.") < said.index("What was heard") < said.index("noise / signal")
    for words in ("+8 %", "momentum = 0.9946, metric = spectral", "0.03 to inf", "99 %", "hidden", "out.weight"):
        assert words in said
    assert "out.weight" not in said_in(HEARD, None, parameters=False)


def test_the_document_follows_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for told in (document(HEARD, ADVISED), document(silent()), document(HEARD)):
        jsonschema.validate(json.loads(json.dumps(told, allow_nan=False)), whole())
    told = document(HEARD, ADVISED)
    assert told["made"]["torch"] == torch.__version__ and told["recommendation"]["advice"][0]["change"] == "momentum"
    del told["heard"]["steps"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told, whole())


def test_writing(tmp_path: Path) -> None:
    path = write(silent(), None, tmp_path / "deep" / "er.html")
    assert path == tmp_path / "deep" / "er.html" and path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        write(silent(), None, tmp_path)


def test_an_ear_writes_its_report(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    with fallline.listen(net, window=2) as ear:
        for _ in range(16):
            net(torch.ones(1, 2)).sum().backward()
            ear.observe()
    assert "16, every step" in ear.report(tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("module", "call"), [("matplotlib", "page(h, None)"), ("rich", "tables(h)")])
def test_what_is_missing_is_named(module: str, call: str) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from fallline.listen import page, tables\nh = None\n"
        f"try:\n    {call}\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert module in done.stdout and 'pip install "fallline[listen]"' in done.stdout


def test_print_knows_minus_and_infinity() -> None:
    assert pretty("ear-ly -inf 1e-05") == "ear-ly −∞ 1×10⁻⁵"
