"""Requests, responses, webhooks and tasks of a fake gateway."""

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
# The status at which these fields of a task appear.
_FIELD_STATUS = {
    "imageUrl": "SUCCESS",
    "imageUrls": "SUCCESS",
    "videoUrl": "SUCCESS",
    "videoUrls": "SUCCESS",
    "buttons": "SUCCESS",
    "failReason": "FAILURE",
}


def check_timeline(timeline: Timeline) -> None:
    """Check a timeline.

    Raises:
        ConfigurationError: It is empty, has an invalid time, or is not in order.
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
    """A request that the gateway received; in process it is the same as over TCP.

    Args:
        method: The method, such as "GET".
        target: The path and query as sent.
        headers: The headers; their names are in lower case.
        body: The body.
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
        task_id: The id of the task.
        url: The address.
        body: The task at this change, as JSON.
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
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def json_response(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> FakeResponse:
    body = json.dumps(value, ensure_ascii=False).encode()
    return FakeResponse(status, body, {"content-type": content_type})


@attrs.frozen(eq=False)
class FakeTask:
    """A task that follows a timeline.

    Args:
        id: Its id.
        added_at: `FakeGateway.now` when it was added.
        added_on: The time of day then, in Unix seconds.
        timeline: Its (seconds since then, status, progress), in order.
        seed: Its seed, or None.
        seed_asks: At which request for the seed it is returned.
        notify_hook: The address of its webhooks, or None.
        fields: Keys of its JSON that replace those of the dialect.
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
        return self.snapshot_at_age(now - self.added_at)

    def snapshot_at_age(self, age: float) -> TaskSnapshot:
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
        """Return the ages at which status or progress changes, or is the same once more."""
        before = None
        for age, *state in self.timeline:
            if repeats_unchanged or state != before:
                yield age
            before = state

    def fields_at(self, snapshot: TaskSnapshot) -> dict[str, Any]:
        """Return the fields that the task has in a snapshot, named as in JSON."""
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
    """A task at one time. Times are in milliseconds, or None before they are reached."""

    id: str
    status: str
    progress: str
    submit_time: int
    start_time: int | None
    finish_time: int | None

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"


def camel_case(name: str) -> str:
    """Return the name of a field in JSON, from its name in JSON or in Python."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
