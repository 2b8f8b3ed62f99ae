"""The few exceptions of Fallline. Each says what was given, where, why it cannot be, and what to do."""

from __future__ import annotations

import torch


class SlotError(TypeError):
    """A part was put where it cannot work."""


class NonFiniteError(FloatingPointError):
    """Gradients were not finite, and the policy says to stop."""


class OwnershipError(RuntimeError):
    """Two owners write the same hyperparameter, such as a selector and a momentum-cycling scheduler."""


class CheckpointError(ValueError):
    """A state dict was written by a rule that remembers other things than this optimizer."""


class AgreementError(RuntimeError):
    """Processes that train the same parameters decided differently."""


def narrow(given: object) -> str:
    """Why a dtype is no dtype of state."""
    half = given in (torch.bfloat16, torch.float16)
    why = "An average with decay .999 stands still there: what it adds is below half the spacing. " if half else ""
    return f"Invalid state_dtype: {given!r}. {why}Give torch.float32 or torch.float64."


def stranger(slot: str, kind: type, part: object, slots: dict[str, type]) -> str:
    """Why a part does not fit into a slot."""
    home = [name for name, other in slots.items() if isinstance(part, other)]
    given = f"{type(part).__name__} (a part for the slot {home[0]!r})" if home else repr(part)
    noun = kind.__name__
    return (
        f"The slot {slot!r} of a Rule takes a {noun}, but got {given}. Give it one of fallline.{noun.lower()}s, "
        f"for example Rule(EMA(0.9), SecondMoment(0.999), Constant(), Decoupled(0.01))."
    )
