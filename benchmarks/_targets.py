"""The targets: each is a number of one round, with its bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

# The arguments of `_sample.py` without the address: kind, name, numbers.
Sample: TypeAlias = tuple[str, ...]
Round: TypeAlias = Mapping[Sample, float]

AT_ONCE = ("1", "10", "100", "1000")
WAITS = ("1", "10", "100", "1000")
DOOR = ("import", "import mj_async")
CLIENT = ("import", "from mj_async import AsyncMJClient")
DEPENDENCIES = ("import", "import anyio, attrs, cattrs, httpx")
BUTTONS_READ = "mj_async, buttons read"
STDLIB_JSON = "mj_async, stdlib json"


@attrs.frozen(eq=False)
class Target:
    """A figure and its bound.

    Args:
        row: The row in the table of `docs/performance.md`.
        what: The figure in words.
        bound: The highest allowed value; the lowest, if `at_least`.
        samples: The measurements that the figure needs.
        value: Computes the figure from one round.
        at_least: True if more is better.
    """

    row: str
    what: str
    bound: float
    samples: tuple[Sample, ...]
    value: Callable[[Round], float]
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Return True if the value is within the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


def ratio(row: str, what: str, bound: float, first: Sample, second: Sample) -> Target:
    """Build a target for the ratio of two samples."""
    return Target(row, what, bound, (first, second), lambda found: found[first] / found[second])


def plain(row: str, what: str, bound: float, sample: Sample, *, at_least: bool = False) -> Target:
    """Build a target for one sample."""
    return Target(row, what, bound, (sample,), lambda found: found[sample], at_least)


def _fetch(name: str, at_once: int, kind: str = "warm") -> Sample:
    return kind, name, str(at_once)


def _decode(name: str, keys: int) -> Sample:
    return "decoding", name, str(keys)


TARGETS = (
    plain(
        "1",
        "1000 fetches at once on a new client with default settings: number of answers",
        1000,
        ("burst", "mj_async", "1000"),
        at_least=True,
    ),
    ratio(
        "2",
        "a fetch, 1000 at once against 10",
        1.10,
        _fetch("mj_async", 1000),
        _fetch("mj_async", 10),
    ),
    ratio(
        "3",
        "a fetch, 100 at once, against httpx",
        0.33,
        _fetch("mj_async", 100),
        _fetch("httpx", 100),
    ),
    ratio(
        "3",
        "the same, on new clients",
        0.33,
        _fetch("mj_async", 100, "cold"),
        _fetch("httpx", 100, "cold"),
    ),
    ratio(
        "4",
        "a fetch, one at a time, against httpx",
        1.05,
        _fetch("mj_async", 1),
        _fetch("httpx", 1),
    ),
    ratio(
        "5", "decoding, against pydantic", 0.80, _decode("mj_async", 18), _decode("pydantic", 18)
    ),
    ratio(
        "5",
        "the same, all buttons read",
        0.80,
        _decode(BUTTONS_READ, 18),
        _decode("pydantic", 18),
    ),
    ratio(
        "5",
        "without orjson, against pydantic",
        1.25,
        _decode(STDLIB_JSON, 18),
        _decode("pydantic", 18),
    ),
    ratio(
        "6",
        "without orjson, against json alone, 18 keys",
        1.6,
        _decode(STDLIB_JSON, 18),
        _decode("json", 18),
    ),
    ratio("6", "the same, 75 keys", 1.6, _decode(STDLIB_JSON, 75), _decode("json", 75)),
    ratio("6", "the same, 14 keys", 2.1, _decode(STDLIB_JSON, 14), _decode("json", 14)),
    plain("7", "1000 waits: requests per tick", 10, ("requests", "mj_async, one poll", "1000")),
    ratio(
        "7",
        "1000 waits: CPU, against a loop with httpx for each",
        0.06,
        ("waits", "mj_async, one poll", "1000"),
        ("waits", "httpx, one each", "1000"),
    ),
    ratio(
        "7",
        "1000 waits: CPU, against `wait_for_task` for each",
        0.06,
        ("waits", "mj_async, one poll", "1000"),
        ("waits", "mj_async, one each", "1000"),
    ),
    ratio(
        "8",
        "list_tasks of 10,000, against aiohttp",
        0.25,
        ("lists", "mj_async"),
        ("gets", "aiohttp", "4"),  # mj_async sends as many lists at once
    ),
    ratio("10", "import mj_async, against its dependencies", 1.10, DOOR, DEPENDENCIES),
    ratio("10", "import AsyncMJClient, against the same", 1.10, CLIENT, DEPENDENCIES),
    plain("11", "bytes of an idle wait", 3000, ("memory", "nothing seen yet")),
)


def curves(clients: list[str], ways: list[str], decoders: list[str]) -> list[Sample]:
    """Return the samples of the plots and of the table of costs."""
    fetches = [
        ("warm", name, at_once)
        for at_once in AT_ONCE
        for name in clients
        # Stock httpx completes none of a thousand requests at once: that is target 1.
        if (name, at_once) != ("httpx", "1000")
    ]
    decoding = [("decoding", name, "18") for name in decoders]
    waits = [("waits", way, count) for way in ways for count in WAITS]
    return [*fetches, *decoding, *waits]
