"""The workloads by name, and the names that stand for several."""

from fallline.race import char, digit, fashion, grokking, powerlaw, quadratic
from fallline.race.workload import Workload

WORKLOADS: dict[str, Workload] = {
    "digits-mlp": digit.MLP,
    "digits-cnn": digit.CNN,
    "chars": char.CHARS,
    "quadratic": quadratic.QUADRATIC,
    "fashion": fashion.FASHION,
    "grokking": grokking.GROKKING,
    "power-law": powerlaw.POWER_LAW,
}
ALIASES = {"digits": ("digits-mlp", "digits-cnn")}


def expand(names: list[str]) -> list[str]:
    """Workload names with aliases replaced; an unknown name is an error that lists the known ones."""
    known = {**ALIASES, **{name: (name,) for name in WORKLOADS}}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"Unknown workload {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    return list(dict.fromkeys(real for name in names for real in known[name]))
