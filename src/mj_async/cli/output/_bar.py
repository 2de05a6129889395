"""The bar that long work is drawn with."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


def bar_of(done: int, total: int | None, beside: str, below: str) -> RenderableType:
    """PURE: draw a bar with a text beside it, and one below.

    Args:
        done: How much is done.
        total: Of how much, where that is known.
        beside: Is not wrapped.
        below: Is.
    """
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    line.add_row(ProgressBar(total=total, completed=done), Text(beside))
    return Group(line, Text(below))
