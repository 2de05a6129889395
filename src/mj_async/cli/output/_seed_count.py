"""How far the seeds have come: a bar, a rate, and counts by outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs
from rich.console import RenderableType

from mj_async import SeedOutcome, errors

from ._bar import bar_of
from ._exit import code_of
from ._pace import Pace
from ._text import as_duration

_UNFINISHED, _LATER = "unfinished", "to ask again"
_FINAL_WORDS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.TaskNotFoundError, "unknown"),
    (errors.TaskFailedError, "failed"),
    (errors.TaskCancelledError, "cancelled"),
    (errors.MJError, "without a seed"),
)


def word_of(outcome: SeedOutcome) -> str:
    """PURE: give the word that an outcome is counted under."""
    if outcome.error is None:
        return "found"
    if outcome.final:
        return next(word for kind, word in _FINAL_WORDS if isinstance(outcome.error, kind))
    task = getattr(outcome.error, "task", None)
    return _UNFINISHED if task is not None and not task.is_final else _LATER


@attrs.define
class SeedCount:
    """The outcomes so far.

    Args:
        total: Tells how many ids there will be, or None.
        clock: Tells the time in seconds.
    """

    total: Callable[[], int | None]
    clock: Callable[[], float]
    codes: set[int] = attrs.field(factory=set, init=False)
    done: int = attrs.field(default=0, init=False)
    later: int = attrs.field(default=0, init=False)
    trouble: errors.MJError | None = attrs.field(default=None, init=False)
    _words: Counter[str] = attrs.field(factory=Counter, init=False)
    _pace: Pace = attrs.field(factory=Pace, init=False)
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()
        self._pace.note(self._began, 0)

    def add(self, outcome: SeedOutcome) -> None:
        """Count an outcome."""
        self.done += 1
        if not outcome.final:
            self.later += 1
            self.trouble = outcome.error
        self.codes.add(code_of(outcome.error))
        self._words[word_of(outcome)] += 1

    def summary(self) -> str:
        """Tell in one line what has come of all."""
        took = as_duration(self.clock() - self._began)
        ids = "1 id" if self.done == 1 else f"{self.done} ids"
        return f"{ids} in {took}{self._counts(': ')}"

    def speak(self) -> str:
        """Tell in one line how far it has come."""
        total = self.total()
        of_all = "" if total is None else f" of {total}"
        return f"{self.done}{of_all}, {self._speed()}{self._counts(': ')}"

    def draw(self, width: int, height: int) -> RenderableType:  # noqa: ARG002  # it is low
        """Draw a bar with the rate beside it, and the counts below."""
        total = self.total()
        of_all = "" if total is None else f"/{total}"
        beside = f"{self.done}{of_all} {self._speed(' ')}"
        return bar_of(self.done, total, beside, self._counts("") or "nothing yet")

    def _speed(self, between: str = ", ") -> str:
        now = self.clock()
        self._pace.note(now, self.done)
        left = self._pace.left(now, self.done, self.total())
        rate = f"{self._pace.rate(now, self.done):.1f}/s"
        return rate if left is None else f"{rate}{between}{as_duration(left)} left"

    def _counts(self, before: str) -> str:
        counts = ", ".join(f"{word} {count}" for word, count in self._words.most_common())
        return before + counts if counts else ""
