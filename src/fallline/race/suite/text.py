"""Problems on text: a GPT and an LSTM on Python's own sources, and LoRA that turns the GPT to English prose."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from fallline.race.char import GPT, library_text
from fallline.race.classification import cross_entropy
from fallline.race.suite.training import Training, seeded

LETTERS = 96  # line end, then the printable characters from blank to tilde
LENGTH = 32
WIDTH = 32  # of the GPT
RANK = 4
LESSON = 300  # steps of pre-training


def numbers(text: str) -> Tensor:
    """Letters as numbers below LETTERS: 0 for a line end; what is not printable is left out."""
    codes = torch.frombuffer(bytearray(text.encode("ascii", "ignore")), dtype=torch.uint8).long()
    return (codes[(codes == 10) | (codes >= 32) & (codes < 127)] - 31).clamp(min=0)


@cache
def sources() -> Tensor:
    """The sources of the standard library."""
    return numbers(library_text(Path(os.__file__).parent))


@cache
def prose() -> Tensor:
    """The English of Python's own help texts."""
    from pydoc_data.topics import topics

    return numbers("\n".join(topics[name] for name in sorted(topics)))


def reader(text: Tensor, batch: int) -> tuple[Callable[[nn.Module, Generator], Tensor], Callable[[nn.Module], float]]:
    """Cost and measure: cross-entropy of every next letter in windows of 32; the last tenth of the text validates."""
    cut = len(text) * 9 // 10
    seen, unseen = text[:cut].unfold(0, LENGTH + 1, 1), text[cut:].unfold(0, LENGTH + 1, (len(text) - cut) // 65)[:64]

    def cost(model: nn.Module, source: Generator) -> Tensor:
        rows = seen[torch.randint(len(seen), (batch,), generator=source)]
        return cross_entropy(model, rows[:, :-1], rows[:, 1:])

    return cost, lambda model: cross_entropy(model, unseen[:, :-1], unseen[:, 1:]).item()


def gpt(seed: int, data: Path | None) -> Training:
    """A GPT of two blocks on the text of Python's standard library."""
    with seeded(seed):
        model = GPT(LETTERS, WIDTH, 2)
    return Training(model, *reader(sources(), 12), seed)


class Memory(nn.Module):
    """An embedding, an LSTM, a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.letter, self.memory = nn.Embedding(LETTERS, width), nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, LETTERS)

    def forward(self, letters: Tensor) -> Tensor:
        """Logits of the next letter at every place."""
        return self.head(self.memory(self.letter(letters))[0])


def lstm(seed: int, data: Path | None) -> Training:
    """An LSTM of width 64 on the same text."""
    with seeded(seed):
        model = Memory(64)
    return Training(model, *reader(sources(), 12), seed)


class Adapted(nn.Module):
    """A frozen layer plus B A of rank 4, B = 0 at first."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.lora_A = nn.Linear(layer.in_features, RANK, bias=False)
        self.lora_B = nn.Linear(RANK, layer.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        """W x + 2 B A x."""
        return self.layer(x) + self.lora_B(self.lora_A(x)).mul(2)


@cache
def schooled() -> dict[str, Tensor]:
    """Weights of a GPT that has read the sources: the same for every seed, made once in a process (seconds)."""
    task = gpt(0, None)
    teacher = torch.optim.AdamW(task.parameters(), lr=4e-3, weight_decay=0.0)
    fade = torch.optim.lr_scheduler.CosineAnnealingLR(teacher, LESSON)
    for _ in range(LESSON):
        teacher.zero_grad()
        task.loss().backward()
        teacher.step()
        fade.step()
    return task.model.state_dict()


def lora(seed: int, data: Path | None) -> Training:
    """LoRA: rank 4 turns the GPT, pre-trained on sources, to English prose.

    Only the factors of the blocks' layers learn; embedding, norms and head stay as they are.
    """
    with seeded(seed):
        model = GPT(LETTERS, WIDTH, 2)
        model.load_state_dict(schooled())
        model.requires_grad_(False)
        for path, layer in list(model.blocks.named_modules()):
            if isinstance(layer, nn.Linear):
                model.blocks.set_submodule(path, Adapted(layer))
    return Training(model, *reader(prose(), 12), seed)
