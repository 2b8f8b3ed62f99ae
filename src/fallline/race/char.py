"""A small GPT on the characters of Python's own standard library."""

import os
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fallline.race.classification import Classification, Split
from fallline.race.workload import Grid

WINDOW = 64
CAP = 1_500_000  # characters read
WIDTH, HEAD, DEPTH = 64, 16, 2  # HEAD: numbers of the stream that one head reads


def printable(path: Path) -> str:
    """A file's printable ASCII characters and line ends."""
    text = path.read_bytes().decode("ascii", errors="ignore")
    return "".join(letter for letter in text if letter == "\n" or " " <= letter <= "~")


def library_text(folder: Path) -> str:
    """Sources of the standard library's top-level modules in alphabetical order, up to CAP characters."""
    # These two are written by whoever built this Python, and hold the paths of that machine.
    paths = (path for path in sorted(folder.glob("*.py")) if not path.name.startswith(("_sysconfig", "sitecustom")))
    text = ""
    while len(text) < CAP and (path := next(paths, None)):
        text += printable(path)
    if len(text) < 100 * WINDOW:
        raise FileNotFoundError(
            f"chars reads the sources of Python's standard library and found {len(text)} characters of *.py in "
            f"{folder}; this Python ships without sources, so use a regular CPython or another workload."
        )
    return text[:CAP]


def characters(data: Path | None) -> Split:
    """Windows of 64 characters and the same shifted by one; the last tenth of the text validates."""
    text = library_text(Path(os.__file__).parent)
    letters, numbers = torch.frombuffer(bytearray(text, "ascii"), dtype=torch.uint8).unique(return_inverse=True)
    cut = len(numbers) * 9 // 10
    train = numbers[:cut].unfold(0, WINDOW + 1, 1)
    valid = numbers[cut:].unfold(0, WINDOW + 1, (len(numbers) - cut) // 129)[:128]
    return Split(train[:, :-1], train[:, 1:], valid[:, :-1], valid[:, 1:], len(letters))


class Block(nn.Module):
    """Causal attention and an MLP, each behind an RMS norm and added to the stream `[B, T, width]`."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm, self.qkv, self.out = nn.RMSNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """The stream after this block."""
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class GPT(nn.Module):
    """Characters `[B, T]` to logits `[B, T, letters]`."""

    def __init__(self, letters: int, width: int = WIDTH, depth: int = DEPTH) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Parameter(torch.randn(WINDOW, width).mul(0.02))
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.head = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, letters, bias=False))
        nn.init.normal_(self.letter.weight, std=0.02)

    def forward(self, letters: Tensor) -> Tensor:
        """Logits of the next character at every place."""
        return self.head(self.blocks(self.letter(letters) + self.place[: letters.shape[-1]]))


def gpt(split: Split) -> nn.Module:
    """The model, with one class per letter that occurs."""
    return GPT(split.classes)


CHARS = Classification(
    "chars",
    "a small GPT on the text of Python's standard library",
    characters,
    gpt,
    batch=16,
    steps=600,
    quick_steps=60,
    lrs=(
        ("adamw", Grid((5e-4, 1e-3, 2e-3, 4e-3, 8e-3), (1e-3, 3e-3, 1e-2), weight_decay=0.01)),
        ("sgd", Grid((0.01, 0.03, 0.1, 0.3, 1.0), (0.03, 0.1, 0.3))),
    ),
)
