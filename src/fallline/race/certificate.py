"""What is known of a workload beforehand, measured again when it is raced in full."""

from collections.abc import Callable
from dataclasses import dataclass

from fallline.race import check, phase, plateau


@dataclass(frozen=True)
class Sheet:
    """A table to be shown: words for everything."""

    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


Certificate = tuple[list[Sheet], tuple[str, ...]]  # and what differs from what is known


def quadratic() -> Certificate:
    """Four momenta and three choices at equal step energy."""
    found = check.table()
    values = tuple(tuple(f"{value:.4f}" for value in row) for row in found.values)
    rows = tuple(f"{sigma:g}" for sigma in check.SIGMAS)
    title = "Equal step energy, mean loss over 3000 steps, 5 seeds"
    return [Sheet(title, "noise", check.COLUMNS, rows, values)], found.faults


def grokking() -> Certificate:
    """Steps until 95 % of the seen sums are right, and of the unseen ones."""
    found = plateau.table()
    values = tuple(tuple(f"{_steps(j.fitted)} / {_steps(j.grokked)}" for j in row) for row in found.journeys.values())
    columns = tuple(f"seed {seed}" for seed in range(len(values[0])))
    title = "Steps until 95 % of seen / unseen sums are right"
    return [Sheet(title, "", columns, tuple(found.journeys), values)], found.faults


def _steps(n: int | None) -> str:
    return "never" if n is None else str(n)


def power_law() -> Certificate:
    """Exponents by batch size, risks by how steeply variances fall."""
    found = phase.table()
    batches = tuple(f"batch {batch}" for batch in phase.BATCHES)
    alphas = tuple(f"i^-{alpha:g}" for alpha in phase.ALPHAS)
    slopes = tuple(tuple(f"{x:.2f}" for x in row) for row in found.exponents.values())
    risks = tuple(tuple(f"{x:.4f}" for x in row) for row in found.risks.values())
    first = Sheet("Progress grows with variance to the power of", "", batches, tuple(found.exponents), slopes)
    return [first, Sheet("Risk after 100 steps at the best lr", "", alphas, tuple(found.risks), risks)], found.faults


CERTIFICATES: dict[str, Callable[[], Certificate]] = {
    "quadratic": quadratic,
    "grokking": grokking,
    "power-law": power_law,
}
