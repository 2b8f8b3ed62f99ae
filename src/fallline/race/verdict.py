"""Who won, in plain sentences, also when the fixed momentum did."""

from fallline.race.contender import NAMED
from fallline.race.store import Record

WORDS = {"constant": "Constant lr", "cosine": "Cosine schedule"}


def percent(x: float) -> str:
    """A fraction as a percentage with one decimal."""
    return f"{100 * abs(x):.1f} %"


def verdict(row: Record) -> str:
    """One contender against the best fixed momentum, or the first that was named, each at its best lr."""
    against, name, opening = row["to_best_fixed"], row["label"], WORDS[row["schedule"]]
    if row["validation"] is None:
        return f"{opening}: {name} diverged at every lr, with some seed at least ({row['diverged_runs']} runs)."
    if against is None:
        return f"{opening}: {name} ran alone; no fixed momentum was raced."
    if against["difference"] is None:
        others = against["other"] if row["contender"] == NAMED else "every fixed momentum"
        return f"{opening}: {name} wins; {others} diverged, with some seed at least."
    rival = against["other"] if row["contender"] == NAMED else f"fixed {against['other']}"
    return f"{opening}: {outcome(name, rival, against)}"


def first(row: Record) -> bool:
    """Whether this is the yardstick itself."""
    against = row["to_best_fixed"]
    return against is not None and bool(against["other"] == row["label"])


def outcome(name: str, rival: str, against: Record) -> str:
    """The comparison of two contenders that both finished."""
    difference, spread = against["difference"], against["spread"]
    if difference == 0 and not spread:
        return f"{name} is equal to {rival} in every run."
    if spread is None:
        ahead = "ahead of" if difference < 0 else "behind"
        return f"{name} is {percent(difference)} {ahead} {rival} on one seed; more seeds are needed to call it."
    if not against["certain"]:
        return (
            f"{name} and {rival}: too close to call ({percent(difference)} apart, spread over seeds {percent(spread)})."
        )
    winner, loser = (name, rival) if difference < 0 else (rival, name)
    return f"{winner} wins over {loser} by {percent(difference)} (spread over seeds {percent(spread)})."


def verdicts(rows: list[Record]) -> list[str]:
    """A sentence per contender that is measured against another, and schedule; then what to distrust."""
    said = [verdict(row) for row in rows if row["contender"] != "fixed" and not first(row)]
    return said + cautions(rows)


def cautions(rows: list[Record]) -> list[str]:
    """What a reader should know before believing the table."""
    said = []
    leaders = [r for r in rows if r["edge"] and r["validation"] is not None]
    if leaders:
        names = sorted({f"{r['label']} ({r['schedule']})" for r in leaders})
        said.append(f"At the edge of the lr grid, so perhaps not yet at their best: {', '.join(names)}. Widen --lr.")
    if lost := sum(r["diverged_runs"] for r in rows):
        said.append(f"{lost} runs diverged; a mean with a diverged run in it is infinite.")
    return said
