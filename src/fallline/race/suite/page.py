"""The results as Markdown, for docs/suite.md and for the folder of results."""

import math
from typing import Any

from fallline.race.store import Record
from fallline.race.suite.problem import CHOSEN, HELD_OUT
from fallline.race.suite.standing import NEAR

HALVES = {"all": "all", CHOSEN: "chosen", HELD_OUT: "held out"}


def page(told: Record) -> str:
    """Where Auto stands, scores, final losses by problem, problems with their targets, and on what it ran."""
    return "\n".join((*stand(told), scores(told), losses(told), *worth(told), problems(told), footing(told)))


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(x: float | None) -> str:
    """A signed percentage, in whole ones from a hundred on; infinite for null."""
    return "inf" if x is None else f"{100 * x:+.{int(abs(x) < 1)}f} %"


def by_half(told: Record, entrant: str, name: str) -> list[Any]:
    """One number of an entrant for all problems, the chosen and the held-out ones; only halves that were run."""
    found = {row["half"]: row[name] for row in told["scores"] if row["entrant"] == entrant}
    return [found[half] for half in HALVES if half in found]


def halves(told: Record) -> list[str]:
    """The halves that were run, in words."""
    return [word for half, word in HALVES.items() if any(row["half"] == half for row in told["scores"])]


def order(told: Record) -> list[str]:
    """The entrants, the best score first."""
    return [row["entrant"] for row in told["scores"] if row["half"] == "all"]


def score_row(told: Record, entrant: str) -> list[str]:
    """An entrant's scores and regrets in words."""
    cells = [f"{x:.3f}" for x in by_half(told, entrant, "steps")]
    cells += [f"{by_half(told, entrant, name)[0]:.3f}" for name in ("steps_loose", "seconds")]
    cells += [percent(x) for x in by_half(told, entrant, "regret")]
    cells += [f"{100 * x:.0f} %" for x in by_half(told, entrant, "near")]
    return [entrant, *cells, f"{by_half(told, entrant, 'failures')[0]}"]


def columns(told: Record) -> list[str]:
    """What `score_row` says, in order."""
    words = halves(told)
    return [
        "entrant",
        *(f"score, {half}" for half in words),
        "5 % looser target",
        "by time",
        *(f"regret, {half}" for half in words),
        *(f"within 2 %, {half}" for half in words),
        "failed",
    ]


def stand(told: Record) -> list[str]:
    """How far untuned Auto is from the tuned yardstick, in sentences; nothing where it did not run."""
    mine = [s for s in told["standings"] if s["entrant"] == "auto"]
    if not mine:
        return []
    halves = {p["name"]: p["half"] for p in told["problems"]}
    words = [
        f"within 2 % or lower on {sum(near(s) for s in found)} of {len(found)} {HALVES[half]} problems"
        for half in (CHOSEN, HELD_OUT)
        if (found := [s for s in mine if halves[s["problem"]] == half])
    ]
    title = f"**Where untuned Auto stands.** Against {told['yardstick']} tuned over its sweep, its mean final loss is "
    return [f"{title}{' and '.join(words)}. {gaps(mine, lost=True)} {gaps(mine, lost=False)}\n"]


def gaps(standings: list[Record], lost: bool) -> str:
    """The problems that are lost, or the others, with their gaps; the largest first."""
    found = sorted(((s["to_tuned"], s["problem"]) for s in standings if near(s) is not lost), key=largest, reverse=True)
    listed = ", ".join(f"{name} ({percent(gap)})" for gap, name in found)
    return f"{'It loses on' if lost else 'The others:'} {listed or 'none'}."


def near(standing: Record) -> bool:
    """Whether the final loss is that of the tuned yardstick, or lower."""
    return standing["to_tuned"] is not None and standing["to_tuned"] <= NEAR - 1


def largest(pair: tuple[float | None, str]) -> float:
    """A failure is the largest gap."""
    return math.inf if pair[0] is None else pair[0]


def scores(told: Record) -> str:
    """The table of scores."""
    rows = [score_row(told, entrant) for entrant in order(told)]
    return f"**Scores** ({told['seeds']} seeds, {told['runs']} runs)\n\n" + grid(columns(told), rows)


def losses(told: Record) -> str:
    """Final losses over tuned AdamW's, a line for each problem."""
    found = {(s["problem"], s["entrant"]): percent(s["to_tuned"]) for s in told["standings"]}
    names = [name for name in order(told) if name != told["yardstick"]]
    rows = [[p["name"], *(found[p["name"], name] for name in names)] for p in told["problems"]]
    return f"**Mean final loss against tuned {told['yardstick']}**; inf is a failure\n\n" + grid(
        ["problem", *names], rows
    )


def worth(told: Record) -> list[str]:
    """The ablation: geometric means over problems, and every problem."""
    rows = told.get("ablation") or []
    if not rows:
        return []
    names = list(rows[0]["problems"])
    lines = [
        [
            row["entrant"],
            *("" if row[half] is None else f"{row[half]:.3f}" for half in HALVES),
            *("inf" if row["problems"][name] is None else f"{row['problems'][name]:.2f}" for name in names),
        ]
        for row in rows
    ]
    meanings = "".join(f"- **{row['entrant']}**: {row['meaning']}\n" for row in rows[1:])
    title = f"**What Auto's parts are worth**: final loss over tuned {told['yardstick']}'s; geometric means first\n\n"
    return [title + grid(["", *HALVES.values(), *names], lines) + "\n" + meanings]


def configuration(told: Record, problem: str) -> str:
    """Where the yardstick's sweep came out."""
    mine = next(s for s in told["standings"] if (s["problem"], s["entrant"]) == (problem, told["yardstick"]))
    return f"{mine['lr']:g}, {mine['beta']:g}, {mine['schedule']}"


def problems(told: Record) -> str:
    """The problems, their halves and targets."""
    head = ["problem", "half", "what it is", "steps", "measured", "target", "tuned AdamW: lr, beta, schedule"]
    rows = [
        [
            p["name"],
            p["half"],
            p["title"],
            str(p["steps"]),
            p["metric"],
            f"{p['target']:.4g}",
            configuration(told, p["name"]),
        ]
        for p in told["problems"]
    ]
    return "**Problems**\n\n" + grid(head, rows)


def footing(told: Record) -> str:
    """On what it ran, how long, and who could not."""
    machine = told["environment"]
    lost = "".join(f" Without {name}: {reason}." for name, reason in told["skipped"].items())
    hours = told["seconds"] / 3600
    where = f"torch {machine['torch']}, Python {machine['python']}, {machine['cpu']}, {machine['cores']} cores"
    return f"({where}; {hours:.2f} hours of training on one core.{lost})\n"
