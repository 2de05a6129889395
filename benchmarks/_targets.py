"""The targets: each is a number of one round, and what it may be at most, or must be at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

# What `_sample.py` is called with, but for the address: kind, name, numbers.
Sample: TypeAlias = tuple[str, ...]
Round: TypeAlias = Mapping[Sample, float]

AT_ONCE = ("1", "10", "100", "1000")
WAITS = ("1", "10", "100", "1000")
DOOR = ("import", "import mj_async")
CLIENT = ("import", "from mj_async import AsyncMJClient")
DEPENDENCIES = ("import", "import anyio, attrs, cattrs, httpx")
LOOKED_AT = "ours, buttons looked at"
SLOWLY = "ours, stdlib json"


@attrs.frozen(eq=False)
class Target:
    """A number that is to be reached.

    Args:
        row: Its number, as in the issue that sets it.
        what: What it is.
        bound: What it may be at most; at least, if `at_least`.
        samples: What is measured for it.
        value: Makes the number from one round.
        at_least: Whether more is better.
    """

    row: str
    what: str
    bound: float
    samples: tuple[Sample, ...]
    value: Callable[[Round], float]
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.bound if self.at_least else value <= self.bound


def ratio(row: str, what: str, bound: float, ours: Sample, other: Sample) -> Target:
    """Make the target that one sample costs at most so many times another."""
    return Target(row, what, bound, (ours, other), lambda found: found[ours] / found[other])


def plain(row: str, what: str, bound: float, sample: Sample, *, at_least: bool = False) -> Target:
    """Make the target that a sample itself has a bound."""
    return Target(row, what, bound, (sample,), lambda found: found[sample], at_least)


def _fetch(name: str, at_once: int, kind: str = "warm") -> Sample:
    return kind, name, str(at_once)


def _decode(name: str, keys: int) -> Sample:
    return "decoding", name, str(keys)


TARGETS = (
    plain(
        "1",
        "1000 fetches at once on a new all-default client: how many are answered",
        1000,
        ("burst", "ours", "1000"),
        at_least=True,
    ),
    ratio("2", "a fetch, 1000 at once against 10", 1.10, _fetch("ours", 1000), _fetch("ours", 10)),
    ratio(
        "3", "a fetch, 100 at once, against httpx", 0.33, _fetch("ours", 100), _fetch("httpx", 100)
    ),
    ratio(
        "3",
        "the same, on clients that are all new",
        0.33,
        _fetch("ours", 100, "cold"),
        _fetch("httpx", 100, "cold"),
    ),
    ratio(
        "4", "a fetch, one at a time, against httpx", 1.05, _fetch("ours", 1), _fetch("httpx", 1)
    ),
    ratio("5", "decoding, against pydantic", 0.80, _decode("ours", 18), _decode("pydantic", 18)),
    ratio(
        "5",
        "the same, all buttons looked at",
        0.80,
        _decode(LOOKED_AT, 18),
        _decode("pydantic", 18),
    ),
    ratio(
        "5", "without orjson, against pydantic", 1.25, _decode(SLOWLY, 18), _decode("pydantic", 18)
    ),
    ratio(
        "6",
        "without orjson, against json alone, 18 keys",
        1.6,
        _decode(SLOWLY, 18),
        _decode("json", 18),
    ),
    ratio("6", "the same, 75 keys", 1.6, _decode(SLOWLY, 75), _decode("json", 75)),
    ratio("6", "the same, 14 keys", 2.1, _decode(SLOWLY, 14), _decode("json", 14)),
    plain("7", "1000 waits: requests a tick", 10, ("requests", "ours, one poll", "1000")),
    ratio(
        "7",
        "1000 waits: CPU, against a loop for each with httpx",
        0.06,
        ("waits", "ours, one poll", "1000"),
        ("waits", "httpx, one each", "1000"),
    ),
    ratio(
        "7",
        "1000 waits: CPU, against a wait for each with ours",
        0.06,
        ("waits", "ours, one poll", "1000"),
        ("waits", "ours, one each", "1000"),
    ),
    ratio(
        "8",
        "list_tasks of 10,000, against aiohttp",
        0.25,
        ("lists", "ours"),
        ("gets", "aiohttp", "4"),  # as many as ours has lists
    ),
    ratio("10", "import mj_async, against its dependencies", 1.10, DOOR, DEPENDENCIES),
    ratio("10", "import AsyncMJClient, against the same", 1.10, CLIENT, DEPENDENCIES),
    plain("11", "bytes of an idle wait", 3000, ("memory", "nothing seen yet")),
)


def curves(clients: list[str], ways: list[str], decoders: list[str]) -> list[Sample]:
    """Name what the plots and the peers' table need."""
    fetches = [
        ("warm", name, at_once)
        for at_once in AT_ONCE
        for name in clients
        # Bare httpx answers none of a thousand at once: that is target 1.
        if (name, at_once) != ("httpx", "1000")
    ]
    decoding = [("decoding", name, "18") for name in decoders]
    waits = [("waits", way, count) for way in ways for count in WAITS]
    return [*fetches, *decoding, *waits]
