"""Who decides among candidates: rules that read a few inner products and write a few weights."""

from .fixed import Fixed, Replay
from .greedy import Greedy
from .span import Cone, Span

__all__ = ["Cone", "Fixed", "Greedy", "Replay", "Span"]
