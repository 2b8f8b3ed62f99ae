"""The few exceptions of Fallline. Each says what was given, where, why it cannot be, and what to do."""

from __future__ import annotations


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
