"""How far a wait or a list has come: what is unfinished, as far as it fits, and totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import attrs
from rich.console import Group, RenderableType
from rich.text import Text

from mj_async import Task

from ._rows import progress_of, status_of, style_of, time_of
from ._text import clean

_UNSEEN = "not seen yet"
# Status, progress and time with a space before each; then the id gets what is left.
_OTHER_COLUMNS = 24
_SHORTEST_ID = 6


@attrs.define
class Board:
    """The ids of a run, by what is known of them.

    Args:
        verb: What becomes of them, such as "ended".
        total: Tells how many there will be, or None.
    """

    verb: str
    total: Callable[[], int | None]
    _unfinished: dict[str, Task | None] = attrs.field(factory=dict, init=False)
    _ended: Counter[str] = attrs.field(factory=Counter, init=False)

    @property
    def unfinished(self) -> dict[str, Task | None]:
        """The ids that are under way, with the task as last seen."""
        return dict(self._unfinished)

    def update(self, task_id: str, task: Task | None) -> None:
        """Note how a task is; None: nobody has seen it yet."""
        self._unfinished[task_id] = task

    def end(self, task_id: str, word: str) -> None:
        """Note with which status, or which error, an id has ended."""
        self._unfinished.pop(task_id, None)
        self._ended[word] += 1

    def speak(self) -> str:
        """Tell the totals in one line."""
        ended, known = self._ended.total(), self.total()
        of_all = "" if known is None else f" of {known}"
        parts = [f"{ended}{of_all} {self.verb}{_listed(self._ended)}"]
        if self._unfinished:
            states = Counter(map(_word_of, self._unfinished.values()))
            parts.append(f"{len(self._unfinished)} under way{_listed(states)}")
        return "; ".join(parts)

    def draw(self, width: int, height: int) -> RenderableType:
        """Draw the first unfinished, and the totals below."""
        totals = self.speak()
        room = height - 3 - (len(totals) // width + 1)
        shown = list(islice(self._unfinished.items(), max(0, room)))
        longest = max([len(task_id) for task_id, _ in shown], default=0)
        id_width = max(_SHORTEST_ID, min(longest, width - _OTHER_COLUMNS))
        now = datetime.now(UTC)
        rows = [_draw_row(task_id, task, id_width, now) for task_id, task in shown]
        heading = Text(f"{'ID':<{id_width}} {'STATUS':<11} {'%':>4} {'TIME':>6}", "bold")
        left_out = len(self._unfinished) - len(shown)
        more = [Text(f"and {left_out} more", "dim")] if left_out else []
        return Group(*([heading] if rows else []), *rows, *more, Text(totals))


def _listed(words: Counter[str]) -> str:
    """Give `: 3 SUCCESS, 1 FAILURE`, the most frequent first."""
    return ": " * bool(words) + ", ".join(f"{count} {word}" for word, count in words.most_common())


def _word_of(task: Task | None) -> str:
    return _UNSEEN if task is None else status_of(task)


def _draw_row(task_id: str, task: Task | None, id_width: int, now: datetime) -> Text:
    shown = clean(task_id)
    # Ids of one day begin alike.
    shown = shown if len(shown) <= id_width else ".." + shown[2 - id_width :]
    if task is None:
        return Text(f"{shown:<{id_width}} {_UNSEEN}", "dim", no_wrap=True, overflow="crop")
    status = status_of(task)
    fields = (f"{shown:<{id_width}} ", (f"{status:<11}", style_of(status)))
    numbers = f" {progress_of(task):>4} {time_of(task, now):>6}"
    return Text.assemble(*fields, numbers, no_wrap=True, overflow="crop")
