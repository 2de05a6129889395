"""How long tasks take, as one client has seen it, and when to ask next by that. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypeVar, cast

import attrs

from ._models import Task

K = TypeVar("K")
V = TypeVar("V")

# Of each action so many of the last ones count, and so many actions are kept apart: a gateway
# may send any word as an action.
_KEPT = 100
_ACTIONS = 32
# Fewer say too little.
_FEWEST = 10
_FEWEST_LEFT = 3
# A clock that is off by more than a day is no clock.
_LONGEST_LAG = 86400.0
# The next poll comes when a task that ended meanwhile would, on average over what is known of
# such tasks, have waited this long to be seen. It trades requests for seconds: 0.9 asks a sixth
# less than the fixed schedule and is later in no percentile (benchmarks/adaptive.py prints it).
_LATENESS = 0.9


@attrs.define
class Durations:
    """The durations of the tasks that a client has seen succeed, by action.

    They count from `submitTime` to `finishTime`, both by the gateway's clock. How far that
    differs from ours is estimated by the least time that a finish took to be seen.
    """

    _seconds: dict[str | None, dict[str, float]] = attrs.field(factory=dict, init=False)
    _lags: dict[str, float] = attrs.field(factory=dict, init=False)

    def record(self, task: Task, wall_time: float) -> None:
        """Learn from a task that has just been seen; from one that has not succeeded, nothing.

        Args:
            task: The task.
            wall_time: Our time of day in Unix seconds.
        """
        if not task.succeeded or task.duration is None or task.duration < 0:
            return
        _keep(self._seconds.setdefault(task.action, {}), task.id, task.duration, _KEPT)
        _keep(self._seconds, task.action, self._seconds[task.action], _ACTIONS)
        lag = wall_time - _unix(cast("datetime", task.finish_time))
        if abs(lag) < _LONGEST_LAG:
            _keep(self._lags, task.id, lag, _KEPT)

    def next_gap(self, task: Task | None, wall_time: float) -> float | None:
        """Say in how many seconds to ask again, or None where too little is known.

        Args:
            task: The task, as just seen.
            wall_time: Our time of day in Unix seconds.

        Returns:
            Seconds, without the bounds of a `Polling`.
        """
        if task is None or task.submit_time is None:
            return None
        age = wall_time - _unix(task.submit_time) - min(self._lags.values(), default=0.0)
        known = self._seconds.get(task.action, {}).values()
        longer = sorted(seconds for seconds in known if seconds > age)
        if len(known) < _FEWEST or len(longer) < _FEWEST_LEFT:
            return None
        return best_gap([seconds - age for seconds in longer])


def best_gap(remaining: list[float]) -> float:
    """Give the shortest gap at whose end a finish has, on average, gone unseen long enough.

    Within a gap, a task that ends does so in its middle on average; so the mean lateness is the
    share of tasks that end in it times half of it.

    Args:
        remaining: Seconds that each task like this one had left at this age, sorted.
    """
    gap = math.inf
    for count, seconds in enumerate(remaining, 1):
        if seconds >= gap:
            break
        gap = min(gap, max(seconds, 2.0 * _LATENESS * len(remaining) / count))
    return gap


def _keep(kept: dict[K, V], key: K, value: V, most: int) -> None:
    """Put a value last, and drop the first where there are more than the most."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def _unix(time: datetime) -> float:
    return time.timestamp()
