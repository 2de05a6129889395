"""What a task is, and how far it has got: plain data, without I/O and without own errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload
from urllib.parse import parse_qs, urlsplit

import attrs

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SeedSource: TypeAlias = Literal["list", "image-seed", "documented"]

_PER_CENT = re.compile(r"\s*(\d{1,3})(?:\.\d+)?\s*%")
_HEX_SECONDS = re.compile(r"[0-9a-f]{1,8}", re.IGNORECASE)

# Attribute -> key on the wire, in the order of the published documents.
WIRE_NAMES = {
    "id": "id",
    "action": "action",
    "custom_id": "customId",
    "bot_type": "botType",
    "prompt": "prompt",
    "prompt_en": "promptEn",
    "description": "description",
    "state": "state",
    "submit_time": "submitTime",
    "start_time": "startTime",
    "finish_time": "finishTime",
    "image_url": "imageUrl",
    "status": "status",
    "progress_text": "progress",
    "fail_reason": "failReason",
    "buttons": "buttons",
    "mask_base64": "maskBase64",
    "properties": "properties",
    "seed": "seed",
    "image_urls": "imageUrls",
    "video_url": "videoUrl",
    "video_urls": "videoUrls",
}
# An empty value of these keys reads as an absent one; `Task.empty_keys` has the difference.
_LIST: list[Any] = []
EMPTY_VALUES = {"status": "", "buttons": _LIST, "seed": "", "imageUrls": _LIST, "videoUrls": _LIST}
BUTTON_WIRE_NAMES = {
    "custom_id": "customId",
    "emoji": "emoji",
    "label": "label",
    "type": "type",
    "style": "style",
}


class TaskStatus(StrEnum):
    """The known values of `Task.status`.

    Gateways may send others; those are kept as they came and are not final
    (gateways page, "The task").
    """

    NOT_START = "NOT_START"
    SUBMITTED = "SUBMITTED"
    MODAL = "MODAL"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCEL = "CANCEL"


FINAL_STATUSES = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILURE, TaskStatus.CANCEL})


@attrs.define(frozen=True, weakref_slot=False)
class Button:
    """A button under the picture; every part may be absent.

    Args:
        custom_id: The value to send back in order to press it.
        emoji: The picture of an icon button.
        label: The text, such as `U1`.
        type: Discord's component type; 2 is a button.
        style: Discord's button style; 2 is grey, 3 is green.
    """

    custom_id: str | None = None
    emoji: str | None = None
    label: str | None = None
    type: int | None = None
    style: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the button under its wire names, without parts that are None."""
        return _by_wire_name(self, BUTTON_WIRE_NAMES)


def _hidden(default: Any = None) -> Any:
    return attrs.field(default=default, repr=False, kw_only=True)


@attrs.define(frozen=True, weakref_slot=False)
class Task:
    """One Midjourney task, as a gateway describes it.

    Every key of an answer may be absent or null, so nearly every attribute may be None.
    A value of a wrong type is kept in `extra` under its wire name. The gateways page, "The
    task", shows which keys each gateway sends.

    Args:
        id: The task's id; a string, because ids may begin with a zero.
        status: One of `TaskStatus`, another word, or "" if the gateway sent none.
        action: Such as `IMAGINE` or `UPSCALE`; other words are possible.
        progress_text: As the gateway sent it: `"40%"`, but also `"Waiting to start"` or `""`.
        prompt: The prompt as it was submitted.
        prompt_en: The prompt in English.
        description: The answer to the submission, such as "Submit success".
        state: The text that was submitted as `state`.
        bot_type: Such as `MID_JOURNEY` or `NIJI_JOURNEY`.
        custom_id: The button that started this task.
        fail_reason: The reason of a failure; may be empty.
        image_url: The picture; a preview while the task is in progress.
            Links to Discord's CDN expire after about a day, see `image_expires_at`.
        image_urls: The single pictures, if the gateway lists them.
        video_url: The video, if there is one.
        video_urls: The single videos, if the gateway lists them.
        mask_base64: The mask of an inpainting.
        submit_time: An aware UTC datetime; None means not reached, here and below.
        start_time: When Midjourney began.
        finish_time: When it ended.
        buttons: The buttons for the next steps.
        properties: Further values of the gateway, as JSON.
        seed: The image's seed in decimal digits, if the task carries it.
        extra: Unknown keys, and values of a wrong type, as JSON.
        empty_keys: Wire names whose value was empty, for `to_dict`.
    """

    id: str
    status: str = attrs.field(default="", kw_only=True)
    action: str | None = attrs.field(default=None, kw_only=True)
    progress_text: str | None = attrs.field(default=None, kw_only=True)
    prompt: str | None = _hidden()
    prompt_en: str | None = _hidden()
    description: str | None = _hidden()
    state: str | None = _hidden()
    bot_type: str | None = _hidden()
    custom_id: str | None = _hidden()
    fail_reason: str | None = _hidden()
    image_url: str | None = _hidden()
    image_urls: tuple[str, ...] = _hidden(())
    video_url: str | None = _hidden()
    video_urls: tuple[str, ...] = _hidden(())
    mask_base64: str | None = _hidden()
    submit_time: datetime | None = _hidden()
    start_time: datetime | None = _hidden()
    finish_time: datetime | None = _hidden()
    buttons: tuple[Button, ...] = _hidden(())
    properties: Mapping[str, Any] | None = _hidden()
    seed: str | None = _hidden()
    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False, kw_only=True)
    empty_keys: tuple[str, ...] = attrs.field(default=(), repr=False, eq=False, kw_only=True)

    if TYPE_CHECKING:
        # attrs generates it; with this line mypy accepts `"id" in tasks`.
        def __eq__(self, other: object) -> bool: ...

    def __hash__(self) -> int:
        """The hash of the id, because `properties` and `extra` hold JSON."""
        return hash(self.id)

    @property
    def progress(self) -> int | None:
        """The progress in per cent, such as 45 for "45%", or None if the text has none.

        100 does not mean success: new-api sends it for failures, too.
        """
        match = _PER_CENT.match(self.progress_text or "")
        return int(match[1]) if match else None

    @property
    def is_final(self) -> bool:
        """True if the task has ended, with SUCCESS, FAILURE or CANCEL."""
        return self.status in FINAL_STATUSES

    @property
    def succeeded(self) -> bool:
        """True if the task has ended with SUCCESS."""
        return self.status == TaskStatus.SUCCESS

    @property
    def duration(self) -> float | None:
        """The seconds from submission to the end, or None before the end."""
        if self.submit_time is None or self.finish_time is None:
            return None
        return (self.finish_time - self.submit_time).total_seconds()

    @property
    def image_expires_at(self) -> datetime | None:
        """The time at which `image_url` expires, which the CDN's `ex` has in hexadecimal."""
        try:
            query = parse_qs(urlsplit(self.image_url or "").query)
        except ValueError:  # such as an unclosed bracket in the host
            return None
        (expiry, *_) = query.get("ex", [""])
        if not _HEX_SECONDS.fullmatch(expiry):
            return None
        return datetime.fromtimestamp(int(expiry, 16), UTC)

    def to_dict(self) -> dict[str, Any]:
        """Return the task under its wire names, without values that are None.

        It is equal to the gateway's JSON for a complete task.
        """
        wire = _by_wire_name(self, WIRE_NAMES)
        for key, empty in EMPTY_VALUES.items():
            if wire.get(key, empty) == empty:
                wire.pop(key, None)
                wire.update({key: empty} if key in self.empty_keys else {})
        return {**wire, **self.extra}


def _by_wire_name(model: Task | Button, names: Mapping[str, str]) -> dict[str, Any]:
    values = ((key, getattr(model, name)) for name, key in names.items())
    return {key: _to_wire(value) for key, value in values if value is not None}


def _to_wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, tuple):
        return [item.to_dict() if isinstance(item, Button) else item for item in value]
    return value


@attrs.frozen
class ImageSeed:
    """The seed of one task's image.

    Args:
        task_id: The task's id.
        seed: Decimal digits (also "0"), or None if the documented answer was a task without one.
        source: "list" if the task carried it, else the form of the endpoint: "image-seed" or
            "documented".
        task: The task, if the gateway sent one.
    """

    task_id: str
    seed: str | None
    source: SeedSource
    task: Task | None = attrs.field(default=None, repr=False)


class TaskList(Sequence[Task]):
    """Tasks in the order of the ids that were given, each id once.

    `tasks[0]`, `tasks["id"]`, `"id" in tasks` and iteration over the tasks all work.

    Args:
        tasks: The tasks that the gateway knows.
        missing: The ids that it does not know, in the order given.
    """

    __slots__ = ("_by_id", "_tasks", "missing")

    def __init__(self, tasks: Sequence[Task] = (), missing: Sequence[str] = ()) -> None:
        self._tasks = tuple(tasks)
        self._by_id = {task.id: task for task in self._tasks}
        self.missing: tuple[str, ...] = tuple(missing)

    @overload
    def __getitem__(self, key: int | str) -> Task: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Task | tuple[Task, ...]:
        if isinstance(key, str):
            return self._by_id[key]
        return self._tasks[key]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __contains__(self, key: object) -> bool:
        return key in self._by_id if isinstance(key, str) else key in self._tasks

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskList):
            return NotImplemented
        return (self._tasks, self.missing) == (other._tasks, other.missing)

    def __hash__(self) -> int:
        return hash((self._tasks, self.missing))

    def __repr__(self) -> str:
        return f"<TaskList(tasks={len(self)}, missing={len(self.missing)})>"


_STATUS_ORDER: dict[str, int] = {
    TaskStatus.NOT_START: 1,
    TaskStatus.SUBMITTED: 2,
    TaskStatus.MODAL: 2,
    TaskStatus.IN_PROGRESS: 3,
    TaskStatus.CANCEL: 4,
    TaskStatus.FAILURE: 4,
    TaskStatus.SUCCESS: 5,
}
# Their result is text, so a missing picture means nothing.
_TEXT_ACTIONS = frozenset({"DESCRIBE", "SHORTEN", "PIC_READER"})


def is_further(task: Task, other: Task | None) -> bool:
    """Return True if the task is further than the other; any task is further than None."""
    return other is None or _how_far(task) > _how_far(other)


def _how_far(task: Task) -> tuple[int, int]:
    # By status first: new-api sends 100 % for failures, too.
    return _STATUS_ORDER.get(task.status, 0), task.progress or 0


def is_change(task: Task, other: Task | None) -> bool:
    """Return True if status or progress differ."""
    # Not the picture's URL: new-api changes its `?rand=` at every poll.
    if other is None or task.status != other.status:
        return True
    return task.progress_text != other.progress_text and task.progress != other.progress


def lacks_picture(task: Task) -> bool:
    """Return True for a success without picture or video: gateways send it a moment too early."""
    if not task.succeeded or task.action in _TEXT_ACTIONS:
        return False
    return not (task.image_url or task.image_urls or task.video_url or task.video_urls)
