"""Guess: what a parameter's name and shape alone say about its role, where no module can be asked."""

from __future__ import annotations

import re

from torch import Tensor

from .role import Role, plain, shape_of
from .view import View

Said = tuple[Role, str]

BIAS = re.compile(r"(^|_)(bias|b|beta|shift)(_|$)|bias$")
GAIN = re.compile(r"(^|_)(weight|gamma|scale|gain|g|ls\d?)(_|\d|$)")
POSITION = re.compile(r"(^|[._])(wpe|rpe|pos|position|positions|positional|relative)([._]|embed|\d|$)")
TOKEN = re.compile(
    r"(^|[._])(token|tokens|query|queries|latent|latents|prompt|prompts|register|registers|mask|cls)(_|$)"
)
EMBEDDING = re.compile(
    r"(^|[._])(wte|embed|embedding|embeddings|embed_tokens|tok_embeddings|embedder)([._]|$)|embeddings?\."
)
HEAD = re.compile(r"(\w+_)?heads?(_\w+)?|classifiers?|score|embed_out|unembed(ding)?|(to_)?logits|qa_outputs|readout")
WEAK_HEAD = {"fc", "output", "out"}  # of a whole network; inside a block it is something else
FUSED = {
    "qkv",
    "c_attn",
    "in_proj",
    "Wqkv",
    "wqkv",
    "query_key_value",
    "qkv_proj",
    "to_qkv",
    "attn_qkv",
    "in_proj_weight",
}
STATE_SPACE = {"A_log", "D", "dt_bias", "A"}
LORA = re.compile(r"lora_(?:embedding_)?([AB])(?=\.|$)")
TALL = 1000, 8  # rows, and rows for each column: a vocabulary, not a layer


def guess(name: str, p: Tensor) -> Said:
    """A role from a name and a shape; pass the model instead where you can.

    >>> import torch
    >>> [guess(n, torch.empty(64, 64))[0].kind for n in ("blocks.0.up.weight", "tok.embed.weight", "lm_head.weight")]
    ['hidden', 'embedding', 'head']
    """
    shape, words = whole(name, p), plain(name).split(".")
    if p.is_complex():
        return Role("other"), "its numbers are complex"
    if len(shape) < 2:
        return _vector(words[-1])
    found = _named(plain(name), words, shape) or _unnamed(shape)
    return sound(*found, shape)


def by_shape(name: str, p: Tensor) -> Said:
    """Two axes or more are matrices; nothing else is looked at."""
    shape = whole(name, p)
    kind = "other" if len(shape) < 2 or p.is_complex() else "hidden" if len(shape) == 2 else "conv"
    return Role(kind), f"you said by shape; it has {len(shape)} axes"


def whole(name: str, p: Tensor) -> tuple[int, ...]:
    """A parameter's shape; ValueError where a host has left only a part of it, or nothing, so that nobody knows it."""
    shape, who = shape_of(p), name or "a parameter"
    if type(p).__name__ == "FlatParameter" or getattr(p, "_fsdp_flattened", False):
        raise ValueError(
            f"FSDP1 does not say which part of {who} lies here, and norms of matrices need whole ones. Shard with "
            "torch.distributed.fsdp.fully_shard (FSDP2), or leave this network to AdamW."
        )
    if shape == (0,):
        raise ValueError(
            f"Nothing of {who} lies here (its shape is (0,)), so that nobody can tell what it is. If a host such as "
            "ZeRO-3 took it away, norms of matrices cannot be had: train with DDP or FSDP2, or leave this network to "
            "AdamW. If it is empty, leave it out."
        )
    return shape


def sound(role: Role, why: str, shape: tuple[int, ...]) -> Said:
    """The same, or "other" where the matrices that it speaks of are none."""
    if not role.matrix:
        return role, why
    if misfit := role.view.misfit(shape):
        return Role("other"), f"{why}; but {misfit}"
    short = min(min(m, n) for _, m, n in role.view.shapes(shape))
    said = f"{why}; but its matrices have one row or column, and a polar factor would only normalise them"
    return (Role("other"), said) if short < 2 else (role, why)


def _vector(word: str) -> Said:
    kind = "other" if word in STATE_SPACE else "bias" if BIAS.search(word) else "gain" if GAIN.search(word) else "other"
    return Role(kind), f"a vector called {word}" if word else "a vector"


def _named(name: str, words: list[str], shape: tuple[int, ...]) -> Said | None:
    """What a name says."""
    label = words[-2] if words[-1] == "weight" and len(words) > 1 else words[-1]
    top = not any(word.isdigit() for word in words[:-1])
    if found := LORA.search(name):
        return Role(f"lora_{found[1].lower()}"), "LoRA's name for its factors"
    if BIAS.search(words[-1]):
        return Role("bias"), "its name says bias"
    if POSITION.search(name):
        return Role("position"), "its name says position"
    if EMBEDDING.search(name):
        return Role("embedding"), "its name says embedding"
    if HEAD.fullmatch(label) or (label in WEAK_HEAD and top):
        return Role("head"), f"its name says {label}"
    if label == "router":
        return Role("router"), "its name says router"
    if words[-1].startswith(("weight_ih", "weight_hh")):
        return Role("other"), "gates of a recurrent layer, and only the model knows how many"
    if label in FUSED and len(shape) == 2 and shape[0] == 3 * shape[1]:
        return Role("attention", View(groups=3)), f"{label} with three rows for each column: q, k and v"
    if "expert" in name and len(shape) == 3:
        return Role("expert", View(stack=1)), "its name says experts: taken as [experts, out, in]"
    return None


def _unnamed(shape: tuple[int, ...]) -> Said:
    """What a shape says."""
    if len(shape) == 2:
        tall = shape[0] >= TALL[0] and shape[0] >= TALL[1] * shape[1]
        return (Role("embedding"), "so many rows are a vocabulary") if tall else (Role("hidden"), "a matrix")
    if shape[0] == 1:
        return Role("other"), "its first axis has length 1, so it is a table or a token, not a kernel"
    if shape[1] == 1:
        return Role("depthwise"), "one input for each output: a depthwise kernel, or one of a single channel"
    return Role("conv"), f"it has {len(shape)} axes, as kernels have"
