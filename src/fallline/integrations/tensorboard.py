"""A writer for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TensorBoard:
    """Rows as scalars, words as texts where they changed.

    board: a `torch.utils.tensorboard.SummaryWriter`, whose owner closes it. prefix: what all names begin with.

    >>> import torch, tempfile
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> from fallline import AdamW
    >>> from fallline.integrations.record import record
    >>> optimizer = AdamW([torch.nn.Parameter(torch.ones(9))], betas=("auto", 0.999))
    >>> with SummaryWriter(tempfile.mkdtemp()) as board:
    ...     record(optimizer, TensorBoard(board))
    """

    def __init__(self, board: Any, prefix: str = "fallline") -> None:
        self.board, self.prefix = board, prefix
        self._said: dict[str, str] = {}

    def numbers(self, row: Mapping[str, float], step: int) -> None:
        """One scalar for each name."""
        for name, value in row.items():
            self.board.add_scalar(f"{self.prefix}/{name}", value, step)

    def words(self, row: Mapping[str, str], step: int) -> None:
        """One text for each name whose words are new."""
        for name, text in row.items():
            if self._said.get(name) != text:
                self.board.add_text(f"{self.prefix}/{name}", text, step)
        self._said = dict(row)
