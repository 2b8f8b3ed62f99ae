"""Auto with one of its parts changed each: what is every part worth?"""

from typing import Any

CHANGES = {
    "without aim": "no correction by the last step's aim (kappa = 0)",
    "without distance": "the first weights' RMS for a distance, however far they have come",
    "without fall": "no shortening as gradients die away",
    "fixed step": "lr .01 for ever, of the same directions",
    "without polar": "second moments for all, no polar factor",
    "without momentum": "the gradient itself",
    "greedy momentum": "momentum chosen from the default bank",
    "without average": "the last weights",
    "schedule-free": "primal averaging in place of the polynomial average",
    "prodigy step": "ProdigyStep in place of AnchoredStep, one distance, d_0 1e-6, coefficient 2",
}


def changed(name: str) -> dict[str, Any]:
    """The arguments of Auto that make a change."""
    from dataclasses import replace

    from fallline import AnchoredStep, Constant, ProdigyStep, SecondMoment, Sign

    step = AnchoredStep()
    changes: dict[str, dict[str, Any]] = {
        "without aim": {"step": replace(step, kappa=0.0)},
        "without distance": {"step": replace(step, reach=0.0)},
        "without fall": {"step": replace(step, fall=0.0)},
        "fixed step": {"step": Constant(), "lr": 0.01},
        "without polar": {"metric": SecondMoment(0.95)},
        "without momentum": {"momentum": 0.0, "rest_betas": (0.0, 0.95)},
        "greedy momentum": {"momentum": "auto", "rest_betas": ("auto", 0.95)},
        "without average": {"average": None},
        "schedule-free": {"average": None},
        "prodigy step": {"step": ProdigyStep(coefficient=2.0, judge=Sign())},
    }
    return changes[name]
