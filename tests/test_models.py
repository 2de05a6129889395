"""Tasks, buttons, lists and seeds as plain data."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from types import MemberDescriptorType
from typing import Any

import attrs
import pytest

from _samples import DOCUMENTS, sample
from mj_async import Button, ImageSeed, Task, TaskStatus, parse_task

DOCUMENTED = parse_task(sample("documented/fetch_winfull.json"))
CDN = "https://cdn.discordapp.com/attachments/1/2/cat.png"


STATUSES: list[tuple[str, bool, bool]] = [
    ("", False, False),
    ("NOT_START", False, False),
    ("SUBMITTED", False, False),
    ("MODAL", False, False),
    ("IN_PROGRESS", False, False),
    ("SUCCESS", True, True),
    ("FAILURE", True, False),
    ("CANCEL", True, False),
    ("FINISHED", False, False),
    ("success", False, False),
]


def test_the_end_of_a_task() -> None:
    """SUCCESS, FAILURE and CANCEL are final; unknown words are kept and are not final."""
    for row in STATUSES:
        task = Task("1", status=row[0])

        assert row == (task.status, task.is_final, task.succeeded)


def test_progress_does_not_end_a_task() -> None:
    """100 per cent is neither success nor the end."""
    assert not Task("1", status="IN_PROGRESS", progress_text="100%").is_final
    assert 100 == Task("1", status="FAILURE", progress_text="100%").progress
    assert not Task("1", status="FAILURE", progress_text="100%").succeeded


def test_the_known_words_of_a_status() -> None:
    """The known values are texts, so == and match work on what came over the wire."""
    words = ["NOT_START", "SUBMITTED", "MODAL", "IN_PROGRESS", "SUCCESS", "FAILURE", "CANCEL"]
    seen = []
    for word in [*words, "FINISHED", ""]:
        match Task("1", status=word).status:
            case TaskStatus.SUCCESS:
                seen.append("done")
            case TaskStatus.FAILURE | TaskStatus.CANCEL:
                seen.append("lost")
            case TaskStatus.NOT_START | TaskStatus.SUBMITTED:
                seen.append("queued")
            case TaskStatus.MODAL | TaskStatus.IN_PROGRESS:
                seen.append("busy")
            case _:
                seen.append("unknown")

    assert words == [str(status) for status in TaskStatus]
    assert ["queued", "queued", "busy", "busy", "done", "lost", "lost"] == seen[:7]
    assert ["unknown", "unknown"] == seen[7:]


PROGRESS: list[tuple[str | None, int | None]] = [
    (None, None),
    ("", None),
    (" ", None),
    ("0%", 0),
    ("40%", 40),
    ("100%", 100),
    (" 40.5 %", 40),
    ("99.99%", 99),
    ("93% (fast)", 93),
    ("Waiting to start", None),
    ("fast", None),
    ("relaxed", None),
    ("paused", None),
    ("40", None),
    ("-1%", None),
    ("1000%", None),
    ("%", None),
    (".5%", None),
    ("about 40%", None),
]


def test_progress() -> None:
    """Progress is a whole number of per cent, or None if the text has none."""
    assert PROGRESS == [(text, Task("1", progress_text=text).progress) for text, _ in PROGRESS]


def test_duration() -> None:
    """A duration is the seconds from submission to the end, once both are known."""
    start = datetime(2024, 11, 3, tzinfo=UTC)
    end = start + timedelta(seconds=12.5)

    assert 29.764 == DOCUMENTED.duration
    assert 12.5 == Task("1", submit_time=start, finish_time=end).duration
    assert Task("1", submit_time=start).duration is None
    assert Task("1", finish_time=end).duration is None


EXPIRIES: list[tuple[str | None, datetime | None]] = [
    (f"{CDN}?ex=6728831f&is=6727319f&hm=f6d7&", datetime(2024, 11, 4, 8, 17, 35, tzinfo=UTC)),
    (f"{CDN}?hm=f6d7&ex=6728831F", datetime(2024, 11, 4, 8, 17, 35, tzinfo=UTC)),
    (f"{CDN}?ex=0", datetime(1970, 1, 1, tzinfo=UTC)),
    (f"{CDN}?ex=ffffffff", datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)),
    (f"{CDN}?ex=1ffffffff", None),
    (f"{CDN}?ex=", None),
    (f"{CDN}?ex=soon", None),
    (f"{CDN}?ex=-1", None),
    (f"{CDN}?ex=0x1", None),
    (f"{CDN}?is=6727319f", None),
    (f"{CDN}#ex=6728831f", None),
    (CDN, None),
    ("http://[half?ex=6728831f", None),
    ("not an address", None),
    ("", None),
    (None, None),
]


def test_when_a_picture_expires() -> None:
    """The CDN's `ex` is the time at which a link expires; otherwise it is unknown."""
    assert EXPIRIES == [(url, Task("1", image_url=url).image_expires_at) for url, _ in EXPIRIES]


def test_when_the_documents_picture_expired() -> None:
    """The picture of the documents lived for a day."""
    for document in DOCUMENTS:
        task = parse_task(sample(f"documented/{document}.json"))

        assert datetime(2024, 11, 4, 8, 17, 35, tzinfo=UTC) == task.image_expires_at


def test_a_task_is_hashed_by_its_id() -> None:
    """Tasks go into sets though they hold JSON; equal is what is equal in all parts."""
    one = Task("1", status="SUCCESS", extra={"a": [1]}, properties={"b": {}})
    same = Task("1", status="SUCCESS", extra={"a": [1]}, properties={"b": {}})
    older = Task("1", status="SUBMITTED")

    assert 1 == len({one, same})
    assert 2 == len({one, older})
    assert hash(one) == hash(older) == hash("1")
    assert one != "1"


@pytest.mark.parametrize("task", [Task("1"), DOCUMENTED], ids=["bare", "documented"])
def test_a_task_travels(task: Task) -> None:
    """Tasks can be pickled and copied, and give the same JSON afterwards."""
    for other in (pickle.loads(pickle.dumps(task)), copy.copy(task), copy.deepcopy(task)):  # noqa: S301
        assert task == other
        assert json.dumps(task.to_dict()) == json.dumps(other.to_dict())


def test_a_task_is_changed_by_evolve_alone() -> None:
    """Tasks are frozen; evolve makes another one."""
    failed = attrs.evolve(DOCUMENTED, status="FAILURE", fail_reason="late")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        DOCUMENTED.status = "FAILURE"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        DOCUMENTED.colour = "red"  # type: ignore[attr-defined]

    assert ("FAILURE", "late", "SUCCESS") == (failed.status, failed.fail_reason, DOCUMENTED.status)
    assert {**DOCUMENTED.to_dict(), "status": "FAILURE", "failReason": "late"} == failed.to_dict()


def test_the_repr_of_a_task_is_short() -> None:
    """The repr shows neither mask nor prompt nor buttons, which may be megabytes."""
    task = attrs.evolve(DOCUMENTED, mask_base64="x" * 1_000_000, extra={"a": "secret"})

    assert (
        "Task(id='1730621826053455', status='SUCCESS', action='IMAGINE', progress_text='100%')"
    ) == repr(task)


def test_a_task_made_by_hand() -> None:
    """All but the id is by keyword, and None is not written."""
    ahead = timezone(timedelta(hours=8))
    start = datetime(2024, 11, 3, 16, 17, 6, 53_000, tzinfo=ahead)
    task = Task("1", status="SUBMITTED", submit_time=start, video_urls=("https://a",))

    assert {
        "id": "1",
        "submitTime": 1730621826053,
        "status": "SUBMITTED",
        "videoUrls": ["https://a"],
    } == task.to_dict()
    assert {"id": "1"} == Task("1").to_dict()


def test_the_buttons_of_a_task() -> None:
    """A task that was read has its buttons in a plain, frozen slot."""
    task = parse_task(sample("documented/fetch_winfull.json"))
    written = json.loads(sample("documented/fetch_winfull.json"))["buttons"]

    assert written == [button.to_dict() for button in task.buttons]
    assert all(type(button) is Button for button in task.buttons)
    assert isinstance(vars(Task)["buttons"], MemberDescriptorType)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        task.buttons = ()  # type: ignore[misc]


def test_buttons() -> None:
    """`to_dict` returns the parts under their wire names, without those that are None."""
    button = Button("MJ::1", emoji="", label="U1", type=2, style=0)
    raw: dict[str, Any] = {"customId": "MJ::1", "emoji": "", "label": "U1", "type": 2, "style": 0}

    assert raw == button.to_dict()
    assert {} == Button().to_dict()
    assert 1 == len({button, Button("MJ::1", "", "U1", 2, 0)})
    assert button == pickle.loads(pickle.dumps(button))  # noqa: S301
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        button.label = "U2"  # type: ignore[misc]


def test_seeds() -> None:
    """A seed knows its task and where it came from; its repr does not show the task."""
    seed = ImageSeed("1", "0", "list", DOCUMENTED)

    assert ("1", "0", "list", DOCUMENTED) == attrs.astuple(seed, recurse=False)
    assert "ImageSeed(task_id='1', seed='0', source='list')" == repr(seed)
    assert ImageSeed("1", None, "documented").task is None
    assert seed == pickle.loads(pickle.dumps(seed))  # noqa: S301
    assert 1 == len({seed, ImageSeed("1", "0", "list", DOCUMENTED)})
