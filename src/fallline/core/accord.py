"""Accord: what processes that hold parts of the same parameters settle together: sums, and whether a step is fit.

One all-reduce per step sums everything that was measured; one of two numbers says whether the gradients are finite
everywhere. Replicas (DDP) hold equal gradients and have nothing to settle.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .border import Team
from .chunk import Chunk
from .error import AgreementError
from .shard import Sampled

if TYPE_CHECKING:
    from .plan import Scope

Told = dict[int, dict[str, Tensor]]  # what was measured in a step, by chunk and slot


def circles(groups: list[dict[str, Any]], chunks: list[Chunk]) -> list[Any]:
    """The process groups whose members hold parts of these parameters: they must move together or not at all."""
    found = {id(group): group for team in dict.fromkeys(c.team for c in chunks) if team for group in team.groups}
    if any(getattr(p, "_fsdp_flattened", False) for group in groups for p in group["params"]):
        found |= {0: torch.distributed.group.WORLD}  # FSDP1 tells nobody with whom it shares
    return list(found.values())


def add_up(x: Tensor, groups: Iterable[Any]) -> Tensor:
    """x summed over all members of the groups, in place."""
    for group in groups:
        torch.distributed.all_reduce(x, group=group)
    return x


def joint(chunks: list[Chunk]) -> bool:
    """Whether one all-reduce is enough for all: every rule scouts, and all parts are held by one team in one group.

    All processes must answer alike, whichever routes their parts take.
    """
    teams = {chunk.team for chunk in chunks} - {None}
    return all(chunk.rule.scouts for chunk in chunks) and sum(len(team.dims) for team in teams if team) == 1


def pooled(scopes: list[Scope], told: Told, flags: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
    """What was measured of whole tensors, [rows, numbers] for each scope: every team's rows in one all-reduce.

    flags: numbers to be summed along with the rows of the only team.
    """
    if all(chunk.team is None for scope in scopes for chunk in scope.chunks):
        return [_side_by_side([told[id(c)][scope.slot] for c in scope.chunks]) for scope in scopes], torch.empty(0)
    parts = [list(_parts(scope, told)) for scope in scopes]
    heard: dict[Team, list[Tensor]] = {}
    for team, rows in (part for each in parts for part in each):
        if team:
            heard.setdefault(team, []).append(rows)
    extra = [] if flags is None else [flags]
    whole = {team: iter(_summed([*rows, *extra], team)) for team, rows in heard.items()}
    found = [[next(whole[team]) if team else rows for team, rows in each] for each in parts]
    return list(map(_side_by_side, found)), next(next(iter(whole.values()))) if extra else torch.empty(0)


def _parts(scope: Scope, told: Told) -> Iterator[tuple[Team | None, Tensor]]:
    """A scope's rows by the team that holds their tensors.

    Where all decide together they become one row: processes may have cut their parts into chunks differently.
    """
    for team, chunks in groupby(scope.chunks, key=lambda chunk: chunk.team):
        rows = [told[id(chunk)][scope.slot] for chunk in chunks]
        seen = _side_by_side(rows)
        yield team, seen.sum(0, keepdim=True) if team and scope.part.scope == "global" else seen


def _side_by_side(rows: list[Tensor]) -> Tensor:
    return torch.cat(rows) if len(rows) > 1 else rows[0]


def _summed(rows: list[Tensor], team: Team) -> list[Tensor]:
    vector = add_up(torch.cat([x.reshape(-1) for x in rows]), team.groups)
    return [x.view_as(like) for x, like in zip(vector.split([x.numel() for x in rows]), rows, strict=True)]


def complete(samples: dict[Team, list[tuple[Tensor, Sampled]]]) -> None:
    """Fill samples with what others hold of them, in place, with one all-reduce for each team."""
    for team, found in ((team, found) for team, found in samples.items() if found):
        whole = _summed([place.mine(x).double() for x, place in found], team)
        for (x, _), full in zip(found, whole, strict=True):
            x.copy_(full)


# --- a check for those who doubt --------------------------------------------------------------------------------------


def compare(scopes: list[Scope], chunks: list[Chunk]) -> None:
    """With FALLLINE_AGREE=1: raise AgreementError on all processes unless all decided alike and took as many steps.

    It waits for the device and for everybody, in every step.
    """
    if os.environ.get("FALLLINE_AGREE", "0") in ("", "0") or not _together():
        return
    decided = [x for scope in scopes for x in scope.tensors()]
    decided += [torch.stack([chunk.clock for chunk in chunks]).amax()] if chunks else []
    told: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(told, _mark(decided))
    if len(set(told)) > 1:
        first = next(rank for rank, mark in enumerate(told) if mark != told[0])
        raise AgreementError(
            f"Process {first} decided otherwise than process 0 (FALLLINE_AGREE=1 compares them after every step). "
            "Processes that train the same parameters need the same gradients: let DDP or FSDP average them, or sum "
            "them yourself before step(). If they train different models, unset FALLLINE_AGREE."
        )


def _together() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _mark(tensors: list[Tensor]) -> str:
    """A hash of every bit."""
    said = hashlib.sha256()
    for x in tensors:
        said.update(str(x.double().tolist()).encode())
    return said.hexdigest()
