"""docs/speed.md: the tables between its marks, drawn from the ledger. The prose around them is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.contender import BASELINE, ROWS
from benchmarks.inner import WAYS
from benchmarks.ledger import Ledger, Record
from benchmarks.row import Row
from benchmarks.shape import LISTS
from benchmarks.target import targets

FAMILIES = ("adamw", "sgd", "lion")


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def between(x: Record, form: str = ".2f") -> str:
    """Median and quartiles."""
    return f"{x['median']:{form}} [{x['low']:{form}}, {x['high']:{form}}]"


def cell(row: Row, found: Record | None, what: str = "ratio") -> str:
    """A number of a row, or why there is none."""
    if found is None:
        return "–" if row.installed else "not installed"
    return "failed" if "error" in found else between(found[what])


# --- the parts of the page --------------------------------------------------------------------------------------------


def machine(ledger: Ledger) -> str:
    """Versions, machine and commands; the latest run last."""
    lines = []
    for run in ledger.runs:
        e = run["environment"]
        peers = ", ".join(f"{name} {number or 'not installed'}" for name, number in run["peers"].items())
        commit = f"commit {e['commit'][:9]}{'+' * e['commit'].endswith('+')}" if e["commit"] else "no commit known"
        where = f"{e['cpu']}, {e['cores']} cores, {e['platform']}; torch {e['torch']}, Python {e['python']}; {peers}"
        told = f"seed {run['seed']}, load before {run['load_before']:.1f}"
        lines.append(f"- `{run['command']}`, {run['when']}, {told}: fallline {e['fallline']} ({commit}); {where}.")
    return "\n".join(lines) + "\n"


def ratios(ledger: Ledger, family: str, threads: int) -> str:
    """Every row of a family on every list."""
    rows = [row for row in ROWS.values() if row.family == family]
    at = {"threads": threads}
    base = [ledger.find("steps", list=name, row=BASELINE[family], **at) for name in LISTS]
    first = [f"{one['ns_per_parameter']:.2f} ns a parameter" if one else "–" for one in base]
    body = [["torch: fused, itself", *first]]
    for row in (row for row in rows if row.name != BASELINE[family]):
        body.append([row.label, *(cell(row, ledger.find("steps", list=name, row=row.name, **at)) for name in LISTS)])
    return table([f"{family}, threads: {threads}", *(one.title for one in LISTS.values())], body)


def seconds(x: float | None) -> str:
    """A time a person can read."""
    if x is None:
        return "–"
    return f"{x:.1f} s" if x >= 1 else f"{1e3 * x:.0f} ms" if x >= 0.01 else f"{1e3 * x:.1f} ms"


def beside(ledger: Ledger, family: str) -> str:
    """What does not fit into a ratio: bytes, time per tensor, first step, building, import."""
    body = []
    for row in (row for row in ROWS.values() if row.family == family and (row.drawn or row.name == BASELINE[family])):
        big = ledger.find("steps", list="resnet50", threads=1, row=row.name) or {}
        many = ledger.find("steps", list="many", threads=1, row=row.name) or {}
        start = ledger.find("starts", list="resnet50", row=row.name)
        built = ledger.find("starts", list="many", row=row.name)
        brought = ledger.find("imports", package=row.package)
        body.append(
            [
                row.label,
                f"{big['bytes_per_parameter']:.2f}" if "bytes_per_parameter" in big else "–",
                f"{many['us_per_tensor']:.2f}" if "us_per_tensor" in many else "–",
                seconds(start and start["built"] + start["first"]),
                seconds(built and built["built_again"]),
                seconds(brought and brought["seconds"]) if row.installed else "not installed",
            ]
        )
    head = ["bytes a parameter", "µs a tensor", "first step", "building", "import"]
    return table([family, *head], body)


def second(ledger: Ledger) -> str:
    """Comparisons other than with the baseline."""
    rows = [row for row in ROWS.values() if row.against]
    body = []
    for row in rows:
        for threads in (1, 2):
            found = [ledger.find("steps", list=name, threads=threads, row=row.name) for name in LISTS]
            cells = [between(one["second"]) if one and one.get("second") else "–" for one in found]
            body.append([f"{row.family}: {row.label} / {ROWS[row.against].label}", str(threads), *cells])
    return table(["ratio", "threads", *(one.title for one in LISTS.values())], body)


def inner(ledger: Ledger) -> str:
    """Errors of long inner products."""
    found = ledger.tables["inner"]
    body = [[one["data"], *(f"{one['errors'][way]:.1e}" for way in WAYS)] for one in found]
    return table(["data", *WAYS], body)


def sampling(ledger: Ledger) -> str:
    """Errors of a Probe's sample."""
    body = []
    for one in ledger.tables["sampling"]:
        share = f"{one['sample']} of {one['coordinates']}"
        errors = [between(one[key]) for key in ("alignment", "difference", "difference_of_largest")]
        agreed = [f"{one[key]:.2f}" for key in ("agreed", "agreed_averaged", "usual")]
        what = f"{one['workload']}, {one['optimizer']}, lr {one['lr']:g}"
        body.append([what, f"{one['from']}–{one['to']}", share, *errors, *agreed])
    errors = ["error of alignments", "of pay differences", "the same / largest pay"]
    return table(["run", "steps", "coordinates", *errors, "agree", "agree, averaged", "usual"], body)


def parts(ledger: Ledger) -> dict[str, str]:
    """All that is generated, by the name in its marks."""
    tables = {f"{family}-{n}": ratios(ledger, family, n) for family in FAMILIES for n in (1, 2)}
    costs = {f"{family}-beside": beside(ledger, family) for family in FAMILIES}
    return {
        "machine": machine(ledger),
        "targets": table(*targets(ledger)),
        **tables,
        **costs,
        "second": second(ledger),
        "inner": inner(ledger),
        "sampling": sampling(ledger),
    }


def fill(text: str, name: str, body: str) -> str:
    """The page with what stands between two marks replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}{body}{end}{rest.split(end)[1]}"


def write(ledger: Ledger, page: Path, out: Path) -> None:
    """Fill the page; what it says by hand stays."""
    text = page.read_text(encoding="utf-8")
    for name, body in parts(ledger).items():
        text = fill(text, name, body)
    out.write_text(text, encoding="utf-8")
