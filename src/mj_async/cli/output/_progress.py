"""How far a command has come: totals, rate, remaining time, and the tasks under way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import attrs
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mj_async import SeedOutcome, Task, errors

from ._exit_codes import exit_code_for
from ._rows import elapsed_text, progress_text, status_text, style_for
from ._text import format_duration, sanitize

_UNSEEN = "not seen yet"
# Status, progress and time with a space before each; then the id gets what is left.
_OTHER_COLUMNS = 24
_SHORTEST_ID = 6


@attrs.define
class ProgressTable:
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

    def finish(self, task_id: str, word: str) -> None:
        """Note with which status, or which error, an id has ended."""
        self._unfinished.pop(task_id, None)
        self._ended[word] += 1

    def summary(self) -> str:
        """Tell the totals in one line."""
        ended, known = self._ended.total(), self.total()
        of_all = "" if known is None else f" of {known}"
        parts = [f"{ended}{of_all} {self.verb}{_format_counts(self._ended)}"]
        if self._unfinished:
            states = Counter(map(_state_of, self._unfinished.values()))
            parts.append(f"{len(self._unfinished)} under way{_format_counts(states)}")
        return "; ".join(parts)

    def render(self, width: int, height: int) -> RenderableType:
        """Draw the first unfinished, and the totals below."""
        totals = self.summary()
        room = height - 3 - (len(totals) // width + 1)
        shown = list(islice(self._unfinished.items(), max(0, room)))
        longest = max([len(task_id) for task_id, _ in shown], default=0)
        id_width = max(_SHORTEST_ID, min(longest, width - _OTHER_COLUMNS))
        now = datetime.now(UTC)
        rows = [_render_row(task_id, task, id_width, now) for task_id, task in shown]
        heading = Text(f"{'ID':<{id_width}} {'STATUS':<11} {'%':>4} {'TIME':>6}", "bold")
        left_out = len(self._unfinished) - len(shown)
        more = [Text(f"and {left_out} more", "dim")] if left_out else []
        return Group(*([heading] if rows else []), *rows, *more, Text(totals))


def _format_counts(words: Counter[str]) -> str:
    """Give `: 3 SUCCESS, 1 FAILURE`, the most frequent first."""
    return ": " * bool(words) + ", ".join(f"{count} {word}" for word, count in words.most_common())


def _state_of(task: Task | None) -> str:
    return _UNSEEN if task is None else status_text(task)


def _render_row(task_id: str, task: Task | None, id_width: int, now: datetime) -> Text:
    shown = sanitize(task_id)
    # Ids of one day begin alike.
    shown = shown if len(shown) <= id_width else ".." + shown[2 - id_width :]
    if task is None:
        return Text(f"{shown:<{id_width}} {_UNSEEN}", "dim", no_wrap=True, overflow="crop")
    status = status_text(task)
    fields = (f"{shown:<{id_width}} ", (f"{status:<11}", style_for(status)))
    numbers = f" {progress_text(task):>4} {elapsed_text(task, now):>6}"
    return Text.assemble(*fields, numbers, no_wrap=True, overflow="crop")


# Long enough for seeds that take a minute, short enough to forget a pause.
_WINDOW = 120.0
_APART = 1.0


@attrs.define
class RateMeter:
    """The rate over the last two minutes, from samples at most one a second."""

    _samples: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)

    def record(self, now: float, done: int) -> None:
        """Note how much is done at a time."""
        if self._samples and now - self._samples[-1][0] < _APART:
            return
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()

    def rate(self, now: float, done: int) -> float:
        """Give how much is done a second; 0 before there is anything to tell."""
        if not self._samples or now <= self._samples[0][0]:
            return 0.0
        began, before = self._samples[0]
        return (done - before) / (now - began)

    def seconds_left(self, now: float, done: int, total: int | None) -> float | None:
        """Give the seconds until everything is done, or None where nobody can know."""
        rate = self.rate(now, done)
        return None if total is None or not rate else (total - done) / rate


_UNFINISHED, _LATER = "unfinished", "to ask again"
_FINAL_WORDS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.TaskNotFoundError, "unknown"),
    (errors.TaskFailedError, "failed"),
    (errors.TaskCancelledError, "cancelled"),
    (errors.MJError, "without a seed"),
)


def outcome_label(outcome: SeedOutcome) -> str:
    """PURE: give the word that an outcome is counted under."""
    if outcome.error is None:
        return "found"
    if outcome.final:
        return next(word for kind, word in _FINAL_WORDS if isinstance(outcome.error, kind))
    task = getattr(outcome.error, "task", None)
    return _UNFINISHED if task is not None and not task.is_final else _LATER


@attrs.define
class SeedProgress:
    """The outcomes so far.

    Args:
        total: Tells how many ids there will be, or None.
        clock: Tells the time in seconds.
    """

    total: Callable[[], int | None]
    clock: Callable[[], float]
    exit_codes: set[int] = attrs.field(factory=set, init=False)
    done: int = attrs.field(default=0, init=False)
    not_final: int = attrs.field(default=0, init=False)
    last_failure: errors.MJError | None = attrs.field(default=None, init=False)
    _words: Counter[str] = attrs.field(factory=Counter, init=False)
    _meter: RateMeter = attrs.field(factory=RateMeter, init=False)
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()
        self._meter.record(self._began, 0)

    def add(self, outcome: SeedOutcome) -> None:
        """Count an outcome."""
        self.done += 1
        if not outcome.final:
            self.not_final += 1
            self.last_failure = outcome.error
        self.exit_codes.add(exit_code_for(outcome.error))
        self._words[outcome_label(outcome)] += 1

    def final_summary(self) -> str:
        """Tell in one line what has come of all."""
        took = format_duration(self.clock() - self._began)
        ids = "1 id" if self.done == 1 else f"{self.done} ids"
        return f"{ids} in {took}{self._counts(': ')}"

    def summary(self) -> str:
        """Tell in one line how far it has come."""
        total = self.total()
        of_all = "" if total is None else f" of {total}"
        return f"{self.done}{of_all}, {self._speed()}{self._counts(': ')}"

    def render(self, width: int, height: int) -> RenderableType:  # noqa: ARG002  # it is low
        """Draw a bar with the rate beside it, and the counts below."""
        total = self.total()
        of_all = "" if total is None else f"/{total}"
        beside = f"{self.done}{of_all} {self._speed(' ')}"
        return bar_of(self.done, total, beside, self._counts("") or "nothing yet")

    def _speed(self, between: str = ", ") -> str:
        now = self.clock()
        self._meter.record(now, self.done)
        left = self._meter.seconds_left(now, self.done, self.total())
        rate = f"{self._meter.rate(now, self.done):.1f}/s"
        return rate if left is None else f"{rate}{between}{format_duration(left)} left"

    def _counts(self, before: str) -> str:
        counts = ", ".join(f"{word} {count}" for word, count in self._words.most_common())
        return before + counts if counts else ""


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
