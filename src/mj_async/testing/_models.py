"""What goes in and out of a fake gateway, and a task that follows a timeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from .._config import check_option, zero_or_more
from ..errors import ConfigurationError

Timeline: TypeAlias = Sequence[tuple[float, str, str]]

# The submission of the published documents' example, in Unix seconds.
STARTED_AT = 1_730_621_826.053
DEFAULT_TIMELINE: Timeline = (
    (0, "SUBMITTED", "0%"),
    (5, "IN_PROGRESS", "40%"),
    (12, "SUCCESS", "100%"),
)
_NOT_STARTED = ("", "NOT_START", "SUBMITTED", "MODAL")
_ENDED = ("SUCCESS", "FAILURE", "CANCEL")
# What comes of a task is not there before it has come, though it is given from the beginning.
_FIELD_STATUS = {
    "imageUrl": "SUCCESS",
    "imageUrls": "SUCCESS",
    "videoUrl": "SUCCESS",
    "videoUrls": "SUCCESS",
    "buttons": "SUCCESS",
    "failReason": "FAILURE",
}


def check_timeline(timeline: Timeline) -> None:
    """Refuse a timeline that cannot be followed.

    Raises:
        ConfigurationError: It is empty, one of its times is none, or they are not in order.
    """
    steps: Sequence[Sequence[Any]] = timeline
    times = [step[0] for step in steps if len(step) == 3]
    if not times or len(times) < len(steps):
        raise ConfigurationError("a timeline has at least one (seconds, status, progress)")
    for time in times:
        check_option("a time of the timeline", time, zero_or_more)
    if times != sorted(times):
        raise ConfigurationError(f"the times of a timeline must be in order, not {times}")


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
class FakeWebhook:
    """A webhook that the gateway has sent.

    Args:
        task_id: The task that it is about.
        url: Where it was posted to.
        body: The task at that change, as JSON.
        at: `FakeGateway.now` when it was sent.
        status: The HTTP status of the answer; None: there was no answer.
    """

    task_id: str
    url: str
    body: bytes
    at: float
    status: int | None


@attrs.frozen
class FakeResponse:
    """What the gateway sends back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def json_response(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> FakeResponse:
    """Answer with JSON, under whatever Content-Type the real gateway has."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return FakeResponse(status, body, {"content-type": content_type})


@attrs.frozen(eq=False)
class FakeTask:
    """A task that follows a timeline.

    Args:
        id: Its id.
        added_at: `FakeGateway.now` when it was added.
        added_on: The time of day then, in Unix seconds.
        timeline: (seconds since then, status, progress), in order.
        seed: Its seed, or None.
        seed_asks: At which request for it the seed is there.
        notify_hook: Where its webhooks go, or None.
        fields: Keys of the wire that stand above what the dialect writes.
    """

    id: str
    added_at: float
    added_on: float
    timeline: Timeline
    seed: str | None
    seed_asks: int
    notify_hook: str | None
    fields: Mapping[str, Any]

    def snapshot_at(self, now: float) -> TaskSnapshot:
        """Give the task as it is at a time of the gateway's."""
        return self.snapshot_at_age(now - self.added_at)

    def snapshot_at_age(self, age: float) -> TaskSnapshot:
        """Give the task as it is so many seconds after it was added."""
        reached = [step for step in self.timeline if step[0] <= age] or [self.timeline[0]]
        _, status, progress = reached[-1]
        return TaskSnapshot(
            id=self.id,
            status=status,
            progress=progress,
            submit_time=self._time(0),
            start_time=self._first(reached, lambda word: word not in _NOT_STARTED),
            finish_time=self._first(reached, lambda word: word in _ENDED),
        )

    def changes(self, *, repeats_unchanged: bool) -> Iterator[float]:
        """Give the ages at which status or progress changes, or at which equal ones are told."""
        before = None
        for age, *state in self.timeline:
            if repeats_unchanged or state != before:
                yield age
            before = state

    def fields_at(self, snapshot: TaskSnapshot) -> dict[str, Any]:
        """Give those fields that are there at a snapshot, under their names on the wire."""
        named = {camel_case(name): value for name, value in self.fields.items()}
        return {
            name: value
            for name, value in named.items()
            if _FIELD_STATUS.get(name, snapshot.status) == snapshot.status
        }

    def _time(self, age: float) -> int:
        return round(1000 * (self.added_on + age))

    def _first(self, reached: Timeline, wanted: Any) -> int | None:
        ages = (age for age, status, _ in reached if wanted(status))
        return next(map(self._time, ages), None)


@attrs.frozen(kw_only=True)
class TaskSnapshot:
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
