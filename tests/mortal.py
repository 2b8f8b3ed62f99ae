"""A training run that may be killed at any moment, and goes on from its checkpoint as docs/checkpoints.md says."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fallline import SGD, AdamW, Descent, Greedy

ROOT = Path(__file__).parent.parent
STEPS, EVERY = 40, 4  # of a whole run; between checkpoints
BANK = ("auto", 0.99)

Build = Callable[[Any], Descent]
OPTIMIZERS: dict[str, tuple[Build, torch.dtype]] = {
    "adamw-auto": (partial(AdamW, lr=0.01, betas=BANK), torch.float32),
    "adamw-full": (partial(AdamW, lr=0.01, betas=BANK, bank="full"), torch.float32),
    "adamw-late": (partial(AdamW, lr=0.01, betas=BANK, delay=1), torch.float32),
    "sgd-auto": (partial(SGD, lr=0.01, momentum="auto"), torch.float32),
    "adamw-each": (partial(AdamW, lr=0.01, betas=BANK, selector=Greedy(scope="parameter")), torch.float32),
    "adamw-kahan": (partial(AdamW, lr=0.01, betas=BANK, write="kahan"), torch.bfloat16),
}


class Doom:
    """Ends this process with kill -9 when a moment comes for the n-th time.

    The moments are those of writing: "write" (a block, of which half arrives), "fsync", "replace", "replaced".
    """

    def __init__(self, moment: str = "", nth: int = 0) -> None:
        self.moment, self.left = moment, nth

    def near(self, moment: str) -> bool:
        """Whether the end has come."""
        self.left -= moment == self.moment
        return moment == self.moment and self.left == 0

    def meet(self, moment: str) -> None:
        """End, if it has come."""
        if self.near(moment):
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(self, number: int) -> None:
        """os.fsync, if one lives to see it."""
        self.meet("fsync")
        os.fsync(number)

    def replace(self, draft: Path, path: Path) -> None:
        """os.replace, and perhaps nothing after it."""
        self.meet("replace")
        os.replace(draft, path)
        self.meet("replaced")

    def open(self, path: Path, mode: str) -> DoomedFile:
        """A file that ends when the end has come."""
        return DoomedFile(self, path, mode)


class DoomedFile:
    """A file, as far as torch.save and the page need one."""

    def __init__(self, doom: Doom, path: Path, mode: str) -> None:
        self.doom, self.file = doom, open(path, mode)  # noqa: SIM115  # it is closed as it was opened, by `with`

    def __enter__(self) -> DoomedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, given: Any) -> int:
        """All of it, or in the end half of it."""
        if self.doom.near("write"):
            self.file.write(bytes(given)[: len(given) // 2])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(given)


def documented(doom: Doom) -> Callable[[Any, Path], None]:
    """The function `save` of docs/checkpoints.md, with a disk that ends."""
    page = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.S).group(1), names)  # type: ignore[union-attr]  # its first block
    names |= {"open": doom.open, "os": doom}
    return names["save"]


def careless(doom: Doom) -> Callable[[Any, Path], None]:
    """What many write: straight into the place of the last checkpoint."""

    def save(things: Any, path: Path) -> None:
        with doom.open(path, "wb") as file:
            torch.save(things, file)

    return save


def digest(model: nn.Module, opt: Descent) -> str:
    """Weights, memory and what the groups say, in a few letters."""
    told = opt.state_dict()
    tensors = [*model.state_dict().values(), *(x for entry in told["state"].values() for x in entry.values())]
    page = hashlib.sha256(repr(told["param_groups"]).encode())
    for x in tensors:
        page.update(x.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return page.hexdigest()[:16]


def live(name: str, folder: Path, ready: Any = None, doom: tuple[str, int] = ("", 0), safe: bool = True) -> None:
    """Train from the last checkpoint to the end, or as far as one gets; every step writes what it came to."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    build, dtype = OPTIMIZERS[name]
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Dropout(0.1), nn.Linear(24, 3)).to(dtype)
    opt = build(model.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
    parts: dict[str, Any] = {"model": model, "optimizer": opt, "scheduler": scheduler}
    path, start, save = folder / "run.pt", 0, (documented if safe else careless)(Doom(*doom))
    if path.exists():
        found = torch.load(path, weights_only=True)
        for key, part in parts.items():
            part.load_state_dict(found[key])
        torch.set_rng_state(found["rng"])
        start = found["step"]
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if ready is not None:
        ready.set()
    for step in range(start, STEPS):
        x = torch.randn(16, 8).to(dtype)
        opt.zero_grad()
        (model(x) - x[:, :3].sin()).square().mean().backward()
        opt.step()
        scheduler.step()
        os.write(log, f"{step} {digest(model, opt)}\n".encode())
        if step % EVERY == EVERY - 1:
            told = {key: part.state_dict() for key, part in parts.items()}
            save(told | {"rng": torch.get_rng_state(), "step": step + 1}, path)


def compile_and_walk(cache: Path | None, told: Path, ready: Any = None) -> None:
    """Compile what an optimizer needs, into a cache of its own or the usual one; take steps, write what came of it."""
    if cache:
        os.environ["FALLLINE_CACHE"] = str(cache)
    if ready is not None:
        ready.set()
    torch.set_num_threads(1)
    torch.manual_seed(2)
    p = nn.Parameter(torch.randn(5000))
    opt = OPTIMIZERS["adamw-full"][0]([p])
    for _ in range(3):
        p.grad = torch.randn(5000)
        opt.step()
    assert opt._plan is not None
    told.write_text(f"{type(opt._plan.chunks[0].route).__name__} {float(p.detach().double().sum()).hex()}")
