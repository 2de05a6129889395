"""What goes in and out of a fake gateway, and a task that follows a timeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

Timeline: TypeAlias = Sequence[tuple[float, str, str]]

# The submission of the published documents' example, in milliseconds.
SUBMITTED_AT = 1_730_621_826_053
DEFAULT_TIMELINE: Timeline = (
    (0, "SUBMITTED", "0%"),
    (5, "IN_PROGRESS", "40%"),
    (12, "SUCCESS", "100%"),
)
_ENDED = ("SUCCESS", "FAILURE", "CANCEL")


@attrs.frozen
class FakeRequest:
    """A request as the gateway got it, the same in process and over TCP.

    Args:
        method: Such as "GET".
        target: The path as it was on the wire, a query included.
        headers: Names in lower case.
        body: The bytes.
        at: `FakeGateway.now` when it came.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@attrs.frozen
class Answer:
    """What the gateway sends back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def as_json(value: Any, status: int = 200, content_type: str = "application/json") -> Answer:
    """Answer with JSON, under whatever Content-Type the real gateway has."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, {"content-type": content_type})


@attrs.frozen
class FakeTask:
    """A task that follows a timeline.

    Args:
        id: Its id.
        added_at: `FakeGateway.now` when it was added.
        timeline: (seconds since then, status, progress), in order.
        seed: Its seed, or None.
        seed_asks: At which request for it the seed is there.
        fields: Keys of the wire that stand above what the dialect writes.
    """

    id: str
    added_at: float
    timeline: Timeline
    seed: str | None
    seed_asks: int
    fields: Mapping[str, Any]

    def at(self, now: float) -> Moment:
        """Give the task as it is at a time of the gateway's."""
        age = now - self.added_at
        reached = [step for step in self.timeline if step[0] <= age] or [self.timeline[0]]
        _, status, progress = reached[-1]
        return Moment(
            id=self.id,
            status=status,
            progress=progress,
            submit_time=self._time(0),
            start_time=self._first(reached, lambda word: word not in ("NOT_START", "SUBMITTED")),
            finish_time=self._first(reached, lambda word: word in _ENDED),
        )

    def _time(self, age: float) -> int:
        return SUBMITTED_AT + round(1000 * (self.added_at + age))

    def _first(self, reached: Timeline, wanted: Any) -> int | None:
        ages = (age for age, status, _ in reached if wanted(status))
        return next(map(self._time, ages), None)


@attrs.frozen(kw_only=True)
class Moment:
    """A task at one time; times in milliseconds, None where not reached."""

    id: str
    status: str
    progress: str
    submit_time: int
    start_time: int | None
    finish_time: int | None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with SUCCESS."""
        return self.status == "SUCCESS"


def camel_case(name: str) -> str:
    """Give the wire name of a field that may be written as in Python: `image_url`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
