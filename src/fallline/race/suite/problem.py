"""The problems by name, and the half that each belongs to."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fallline.race import char, classification, digit
from fallline.race.suite import clothing, equation, image, text, training
from fallline.race.suite.training import Training

CHOSEN, HELD_OUT = "chosen", "held-out"
ERROR = "relative error, 1 % at least"
NATS = "validation loss (nats)"
COMMON = (char, classification, digit, image, training)  # what problems share: a change there makes all of them new


@dataclass(frozen=True)
class Problem:
    """One problem: `make(seed, data)` builds it; `metric` says what its validation returns, positive, lower is better.

    kind: problems of a kind stand beside each other, and of every two one is held out.
    """

    name: str
    kind: str
    half: str
    make: Callable[[int, Path | None], Training]
    steps: int
    metric: str = NATS
    data: bool = False

    @property
    def title(self) -> str:
        """What it is: the first line of what its maker says."""
        return (self.make.__doc__ or "").partition("\n")[0].rstrip(".")

    def fingerprint(self, data: Path | None) -> str:
        """Digest of the source text that defines it, and of the data where they come from outside."""
        files = sorted({inspect.getfile(one) for one in (*COMMON, inspect.getmodule(self.make) or training)})
        hasher = sha256(b"".join(Path(file).read_bytes() for file in files))
        hasher.update(clothing.digest(data).encode() if self.data else b"")
        return hasher.hexdigest()[:12]


ALL = (
    Problem("digits-mlp", "plain nets", CHOSEN, image.mlp, 400),
    Problem("digits-cnn", "plain nets", HELD_OUT, image.cnn, 300),
    Problem("digits-resnet", "deep image nets", HELD_OUT, image.residual, 200),
    Problem("digits-vit", "deep image nets", CHOSEN, image.vit, 250),
    Problem("large-batch", "batch sizes", CHOSEN, image.large_batch, 250),
    Problem("tiny-batch", "batch sizes", HELD_OUT, image.tiny_batch, 500),
    Problem("denoiser", "regression", HELD_OUT, image.denoiser, 400, "mean squared error"),
    Problem("completion", "regression", CHOSEN, equation.completion, 600, "mean squared error"),
    Problem("chars-gpt", "text", CHOSEN, text.gpt, 250),
    Problem("chars-lstm", "text", HELD_OUT, text.lstm, 250),
    Problem("lora", "odd targets", HELD_OUT, text.lora, 200),
    Problem("noisy-labels", "odd targets", CHOSEN, image.noisy_labels, 400),
    Problem("poisson", "physics", CHOSEN, equation.poisson, 300, ERROR),
    Problem("burgers", "physics", HELD_OUT, equation.burgers, 400, ERROR),
    Problem("bowl", "ill-conditioned", HELD_OUT, equation.straight_bowl, 500, "loss without noise"),
    Problem("turned-bowl", "ill-conditioned", CHOSEN, equation.turned_bowl, 500, "loss without noise"),
    Problem("fashion-mlp", "with data", CHOSEN, clothing.mlp, 600, data=True),
    Problem("fashion-resnet", "with data", HELD_OUT, clothing.residual, 300, data=True),
)
PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in ALL}


def wanted(names: tuple[str, ...], data: Path | None) -> list[Problem]:
    """The problems of these names; without names all that need no data, and those that do where there are."""
    if unknown := [name for name in names if name not in PROBLEMS]:
        raise ValueError(f"--problems is {', '.join(unknown)}; known are {', '.join(PROBLEMS)}.")
    return [p for p in ALL if (p.name in names if names else data is not None or not p.data)]
