"""Models of a few thousand weights, made from configurations alone, and what they are trained on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from host import need

VOCABULARY = 32


def language_model() -> Any:
    """A llama of one layer with random weights."""
    transformers = need("transformers")
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=16,
        )
    )


def sentences(count: int = 24) -> list[dict[str, Tensor]]:
    """Sequences of eight tokens: the same one with a few slips, so that gradients persist and a long memory pays."""
    source = torch.Generator().manual_seed(1)
    slips = torch.randint(VOCABULARY, (count, 8), generator=source)
    tokens = torch.where(torch.rand(count, 8, generator=source) < 0.05, slips, torch.arange(8))
    return [{"input_ids": x, "labels": x} for x in tokens]


def network() -> torch.nn.Sequential:
    """A perceptron."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1))


def matrices() -> torch.nn.Sequential:
    """The same without biases: matrices alone, for optimizers that move nothing else."""
    torch.manual_seed(0)
    narrow, wide = torch.nn.Linear(6, 12, bias=False), torch.nn.Linear(12, 1, bias=False)
    return torch.nn.Sequential(narrow, torch.nn.Tanh(), wide)


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    """A regression in batches of four; the first three are the same, so that a long memory pays for a while."""
    source = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, 6, generator=source)
    x[:3] = x[:1]
    return [(now, now.sum(1, keepdim=True)) for now in x]
