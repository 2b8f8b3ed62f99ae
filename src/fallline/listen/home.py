"""Home: the module that holds an optimizer's parameters, found without being told of it."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import final

from torch import Tensor, nn


@final
class Parts(nn.Module):
    """Stands for modules, and for parameters of no module, that an optimizer holds together."""


@final
class Homes:
    """All modules that are alive now, and who is inside whom. Ask and forget it: it keeps them alive.

    >>> net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    >>> homes = Homes()
    >>> homes.smallest(list(net[1].parameters())) is net[1][0], homes.smallest(list(net.parameters())) is net
    (True, True)
    """

    def __init__(self) -> None:
        # type(x), not isinstance: objects that stand in for others would do what they put off until now.
        self.modules = [x for x in gc.get_objects() if issubclass(type(x), nn.Module) and _ready(x)]
        self.above: dict[int, list[nn.Module]] = defaultdict(list)
        for module in self.modules:
            for child in module.children():
                self.above[id(child)].append(module)

    def smallest(self, params: Sequence[Tensor]) -> nn.Module | None:
        """Of the modules that hold all of these, the one that holds least else; None where there is none.

        Of several that hold the same (DistributedDataParallel holds a model), the one that has most names for it (a
        head that shares its weight with the embedding is a name), else the innermost.
        """
        wanted = {id(p) for p in params}
        held = self._held(wanted)
        full = [module for module, mine in held.values() if len(mine) == len(wanted)]
        return self._innermost(full, lambda m: (sum(1 for _ in trained(m)), -_names(m)))

    def cover(self, params: Sequence[Tensor], names: Sequence[str]) -> tuple[nn.Module, str]:
        """A stand-in for what no module holds: the largest modules that these parameters fill, and what is left.

        names: of the parameters, for those that are left.
        """
        parts, left = Parts(), {id(p): (name, p) for name, p in zip(names, params, strict=True)}
        held = self._held(set(left))
        called = list[str]()
        while left:
            inside = [m for m, mine in held.values() if mine and {id(p) for p in trained(m)} <= left.keys()]
            best = self._innermost(inside, lambda m: (-sum(1 for _ in trained(m)), -_names(m)))
            if best is None:
                break
            called.append(fresh(type(best).__name__, called))
            parts.add_module(called[-1], best)
            for p in trained(best):
                left.pop(id(p), None)
        for name, p in left.values():
            parts._parameters[fresh(name.replace(".", "_"), called)] = p  # type: ignore[assignment]
        return parts, "+".join(called) or "parameters"

    def around(self, module: nn.Module) -> Iterator[Tensor]:
        """The parameters of all that hold a module, and not of itself."""
        inside, todo, seen = {id(p) for p in module.parameters()}, [module], set[int]()
        while todo:
            for outer in self.above[id(todo.pop())]:
                if id(outer) not in seen:
                    seen.add(id(outer))
                    todo.append(outer)
                    yield from (p for p in trained(outer) if id(p) not in inside)

    def _held(self, wanted: set[int]) -> dict[int, tuple[nn.Module, set[int]]]:
        """Which of the wanted parameters a module holds, or what is inside it."""
        held: dict[int, tuple[nn.Module, set[int]]] = {}
        for module in self.modules:
            mine = {id(p) for p in module._parameters.values()} & wanted
            todo, seen = [module] if mine else [], set[int]()
            while todo:
                one = todo.pop()
                if id(one) not in seen:
                    seen.add(id(one))
                    held.setdefault(id(one), (one, set()))[1].update(mine)
                    todo += self.above[id(one)]
        return held

    def _innermost(self, found: list[nn.Module], key: object) -> nn.Module | None:
        """The first by the key; of equal ones one that holds none of the others."""
        if not found:
            return None
        keys = {id(m): key(m) for m in found}  # type: ignore[operator]
        first = min(keys.values())
        best = {id(m): m for m in found if keys[id(m)] == first}
        return next(m for m in best.values() if not any(id(c) in best for c in m.children()))


def trained(module: nn.Module) -> Iterator[Tensor]:
    """The parameters that an ear would hear."""
    return (p for p in module.parameters() if p.requires_grad and p.numel())


def fresh(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken.

    >>> fresh("GPT", ["GPT", "GPT-2"])
    'GPT-3'
    """
    names, n = set(taken), 1
    while (said := name if n == 1 else f"{name}-{n}") in names:
        n += 1
    return said


def _names(module: nn.Module) -> int:
    return sum(1 for _ in module.named_parameters(remove_duplicate=False))


def _ready(module: nn.Module) -> bool:
    """Neither one whose __init__ is still to come, nor one that was compiled by TorchScript."""
    known = module.__dict__
    whole = isinstance(known.get("_modules"), dict) and isinstance(known.get("_parameters"), dict)
    return whole and not isinstance(module, Parts)
