"""How far a command has come: totals, rate, time left, and the tasks under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from mj_async import SeedOutcome, Task, errors

from ._exit_codes import exit_code_for
from ._rows import elapsed_text, progress_text, status_text, style_for
from ._text import format_duration, sanitize

_UNSEEN = "not seen yet"
# STATUS, % and TIME with a space before each; the ids get the rest.
_OTHER_COLUMNS = 24
_MIN_ID_WIDTH = 6
# Seconds: long enough for seeds that take a minute, short enough to forget a pause.
_RATE_WINDOW = 120.0
_UNFINISHED, _RETRY = "unfinished", "to ask again"
_FINAL_LABELS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.TaskNotFoundError, "unknown"),
    (errors.TaskFailedError, "failed"),
    (errors.TaskCancelledError, "cancelled"),
    (errors.MJError, "without a seed"),
)


@attrs.define
class ProgressTable:
    """The ids of `list` or `wait`: the unfinished ones in a table, the finished ones in totals.

    Args:
        verb: What the command does to an id, such as "ended".
        total: Returns the number of ids, or None if it is not known.
    """

    verb: str
    total: Callable[[], int | None]
    _unfinished: dict[str, Task | None] = attrs.field(factory=dict, init=False)
    _finished: Counter[str] = attrs.field(factory=Counter, init=False)

    @property
    def unfinished(self) -> dict[str, Task | None]:
        """The unfinished ids, each with its task as last seen."""
        return dict(self._unfinished)

    def update(self, task_id: str, task: Task | None) -> None:
        """Record the task of an unfinished id; None if no answer has come yet."""
        self._unfinished[task_id] = task

    def finish(self, task_id: str, word: str) -> None:
        """Record the status, or the name of the error, that an id has ended with."""
        self._unfinished.pop(task_id, None)
        self._finished[word] += 1

    def summary(self) -> str:
        """Return the totals as one line."""
        finished, known = self._finished.total(), self.total()
        of_all = "" if known is None else f" of {known}"
        parts = [f"{finished}{of_all} {self.verb}{_format_counts(self._finished)}"]
        if self._unfinished:
            states = Counter(map(_state_of, self._unfinished.values()))
            parts.append(f"{len(self._unfinished)} under way{_format_counts(states)}")
        return "; ".join(parts)

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """Render the first unfinished tasks, as many as fit, and the totals below."""
        totals = self.summary()
        # Free lines: the heading, "and … more", the cursor's line, and the totals.
        rows = max(0, console.height - 3 - (len(totals) // console.width + 1))
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("ID", no_wrap=True)
        table.add_column("STATUS", no_wrap=True, min_width=11)
        table.add_column("%", no_wrap=True, min_width=4, justify="right")
        table.add_column("TIME", no_wrap=True, min_width=6, justify="right")
        id_width, now = max(_MIN_ID_WIDTH, console.width - _OTHER_COLUMNS), datetime.now(UTC)
        for task_id, task in islice(self._unfinished.items(), rows):
            table.add_row(_crop_start(sanitize(task_id), id_width), *_cells(task, now))
        if table.row_count:
            yield table
        if left_out := len(self._unfinished) - table.row_count:
            yield Text(f"and {left_out} more", "dim")
        yield Text(totals)


def _format_counts(words: Counter[str]) -> str:
    return ": " * bool(words) + ", ".join(f"{count} {word}" for word, count in words.most_common())


def _state_of(task: Task | None) -> str:
    return _UNSEEN if task is None else status_text(task)


def _crop_start(task_id: str, width: int) -> Text:
    # The ids of one day have the same first digits.
    return Text(task_id if len(task_id) <= width else ".." + task_id[2 - width :])


def _cells(task: Task | None, now: datetime) -> list[Text]:
    if task is None:
        return [Text("not seen", "dim")]
    status = status_text(task)
    texts = [progress_text(task), elapsed_text(task, now)]
    return [Text(status, style_for(status)), *map(Text, texts)]


def outcome_label(outcome: SeedOutcome) -> str:
    """PURE: return the word under which an outcome is counted."""
    if outcome.error is None:
        return "found"
    if outcome.final:
        return next(label for kind, label in _FINAL_LABELS if isinstance(outcome.error, kind))
    task = getattr(outcome.error, "task", None)
    return _UNFINISHED if task is not None and not task.is_final else _RETRY


def make_bar(get_time: Callable[[], float] | None = None) -> Progress:
    """Return a progress bar as wide as the terminal, with its description to the right."""
    return Progress(
        BarColumn(bar_width=None),
        TextColumn("{task.description}", markup=False),
        speed_estimate_period=_RATE_WINDOW,
        get_time=get_time,
        expand=True,
    )


@attrs.define
class SeedProgress:
    """The outcomes of `seeds` so far, with their rate.

    Args:
        total: Returns the number of ids, or None if it is not known.
        clock: Returns the time in seconds.

    Attributes:
        exit_codes: The exit codes that the single outcomes stand for.
        done: The number of outcomes.
        not_final: How many of them are not final.
        last_failure: The error of the last one that is not final.
    """

    total: Callable[[], int | None]
    clock: Callable[[], float]
    exit_codes: set[int] = attrs.field(factory=set, init=False)
    done: int = attrs.field(default=0, init=False)
    not_final: int = attrs.field(default=0, init=False)
    last_failure: errors.MJError | None = attrs.field(default=None, init=False)
    _labels: Counter[str] = attrs.field(factory=Counter, init=False)
    _bar: Progress = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bar = make_bar(self.clock)
        self._bar.advance(self._bar.add_task("", total=self.total()), 0)

    def add(self, outcome: SeedOutcome) -> None:
        """Count an outcome."""
        self.done += 1
        if not outcome.final:
            self.not_final += 1
            self.last_failure = outcome.error
        self.exit_codes.add(exit_code_for(outcome.error))
        self._labels[outcome_label(outcome)] += 1

    def final_summary(self) -> str:
        """Return the time taken and the counts as one line, for the end of the run."""
        took = format_duration(self._bar.tasks[0].elapsed or 0.0)
        ids = "1 id" if self.done == 1 else f"{self.done} ids"
        return f"{ids} in {took}{self._counts(': ')}"

    def summary(self) -> str:
        """Return the progress, rate, time left and counts as one line."""
        total = self.total()
        of_all = "" if total is None else f" of {total}"
        return f"{self.done}{of_all}, {self._measure_rate(', ')}{self._counts(': ')}"

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Render a bar with the rate to the right, and the counts below."""
        total = self.total()
        of_all = "" if total is None else f"/{total}"
        self._bar.tasks[0].description = f"{self.done}{of_all} {self._measure_rate(' ')}"
        yield self._bar
        yield Text(self._counts("") or "nothing yet")

    def _measure_rate(self, separator: str) -> str:
        task = self._bar.tasks[0]
        # Progress.update would forget the rate when a duplicate id lowers the total.
        task.total = self.total()
        # Also without new outcomes, so that the rate falls while the gateway is silent.
        self._bar.advance(task.id, self.done - task.completed)
        rate = f"{task.speed or 0.0:.1f}/s"
        if not task.speed or task.time_remaining is None:
            return rate
        return f"{rate}{separator}{format_duration(task.time_remaining)} left"

    def _counts(self, before: str) -> str:
        counts = ", ".join(f"{label} {count}" for label, count in self._labels.most_common())
        return before + counts if counts else ""
