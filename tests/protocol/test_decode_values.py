"""Single values of a task: times, buttons, addresses and seeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mj_async import Button
from mj_async._models import EPOCH, WIRE_NAMES
from mj_async._protocol.decode import parse_seed, structure_task

TIMES = ["submitTime", "startTime", "finishTime"]
ATTRIBUTES = {key: name for name, key in WIRE_NAMES.items()}
BUTTON: dict[str, Any] = {"customId": "MJ::1", "emoji": "", "label": "U1", "type": 2, "style": 2}


def wire(key: str, value: object) -> dict[str, Any]:
    """Return a task as JSON with that key."""
    return {"id": "1", key: value}


SECOND = datetime(2024, 11, 3, 8, 17, 6, 53_000, tzinfo=UTC)


READABLE_TIMES: list[tuple[Any, datetime | None]] = [
    (1730621826053, SECOND),
    ("1730621826053", SECOND),
    (0, None),
    ("0", None),
    (None, None),
]


def test_times() -> None:
    """Times are milliseconds, as a number or in digits; 0 means not reached."""
    for key, (value, expected) in product(TIMES, READABLE_TIMES):
        task = structure_task(wire(key, value))

        assert expected == getattr(task, ATTRIBUTES[key])
        assert {} == task.extra


@given(st.integers(1, 253402300799999))
@example(2**32 * 1000 - 1)
@example(2**32 * 1000)
@example(2**36 * 1000 + 1)
def test_times_are_exact(milliseconds: int) -> None:
    """Every millisecond from 1970 to the year 9999 is read as itself."""
    task = structure_task(wire("submitTime", milliseconds))

    assert EPOCH + timedelta(milliseconds=milliseconds) == task.submit_time


ODD_TIMES = [
    -1, 253402300800000, 2**64, 1e12, "", "-1", "1e12", "1 ", "１２", "2024-11-03", "9" * 16,
]  # fmt: skip


def test_times_out_of_range() -> None:
    """A time beyond the years of datetime, or in other words, is kept as it came."""
    for key, value in product(TIMES, ODD_TIMES):
        task = structure_task(wire(key, value))

        assert getattr(task, ATTRIBUTES[key]) is None
        assert {key: value} == task.extra
        assert wire(key, value) == task.to_dict()


BUTTONS: list[Any] = [
    ("all parts", BUTTON, Button("MJ::1", "", "U1", 2, 2), True),
    ("emoji null", {**BUTTON, "emoji": None}, Button("MJ::1", None, "U1", 2, 2), False),
    (
        "emoji an object",
        {**BUTTON, "emoji": {"name": "x"}},
        Button("MJ::1", None, "U1", 2, 2),
        False,
    ),
    ("type in digits", {**BUTTON, "type": "2"}, Button("MJ::1", "", "U1", None, 2), False),
    ("style true", {**BUTTON, "style": True}, Button("MJ::1", "", "U1", 2, None), False),
    ("customId a number", {**BUTTON, "customId": 7}, Button(None, "", "U1", 2, 2), False),
    ("a part more", {**BUTTON, "disabled": False}, Button("MJ::1", "", "U1", 2, 2), False),
    ("no type", {"customId": "MJ::1", "label": "U1"}, Button("MJ::1", None, "U1"), True),
    ("no part", {}, Button(), True),
]


def test_odd_buttons() -> None:
    """The readable parts of a button are read; odd buttons are written back as they came."""
    for name, button, expected, readable in BUTTONS:
        raw = wire("buttons", [BUTTON, button])
        task = structure_task(raw)

        assert (Button("MJ::1", "", "U1", 2, 2), expected) == task.buttons, name
        assert readable == ("buttons" not in task.extra), name
        assert raw == task.to_dict(), name


def test_items_that_are_no_buttons() -> None:
    """An item of another type is left out, and the list is written back as it came."""
    for item in (5, "label", ["type"], [], None):
        raw = wire("buttons", [item, BUTTON])
        task = structure_task(raw)

        assert (Button("MJ::1", "", "U1", 2, 2),) == task.buttons
        assert raw == task.to_dict()


URLS: list[Any] = [
    ([{"url": "https://a", "thumbnail": "https://t"}], ("https://a",)),
    ([{"url": "https://a"}, {"thumbnail": "https://t"}, {"url": None}], ("https://a",)),
    (["https://a", {"url": "https://b"}, 5, None], ("https://a", "https://b")),
    ([None], ()),
    ([""], ()),
    (["", "https://a"], ("https://a",)),
    ("https://a", ()),
    ({"url": "https://a"}, ()),
    ({}, ()),
    ("", ()),
]


def test_addresses_in_objects() -> None:
    """Addresses are read out of objects, too; the objects are written back."""
    for key, (value, expected) in product(("imageUrls", "videoUrls"), URLS):
        task = structure_task(wire(key, value))

        assert expected == getattr(task, ATTRIBUTES[key])
        assert wire(key, value) == task.to_dict()


SEEDS: list[Any] = [
    ("636646138", "636646138"),
    (636646138, "636646138"),
    (" 12\n", "12"),
    ("007", "007"),
    ("0", "0"),
    (0, "0"),
    (2**64 - 1, str(2**64 - 1)),
    ("9" * 20, "9" * 20),
    ("9" * 21, None),
    (2**64, None),
    (-1, None),
    ("-1", None),
    ("1.0", None),
    (1.0, None),
    (True, None),
    (False, None),
    ("", None),
    (" ", None),
    ("１２", None),
    ("²", None),
    ("seed", None),
    (None, None),
    (["5"], None),
    ({"seed": 5}, None),
]


def test_seeds() -> None:
    """Digits and whole numbers are seeds, 0 among them; nothing else is."""
    assert SEEDS == [(value, parse_seed(value)) for value, _ in SEEDS]


SEEDS_OF_TASKS: list[tuple[dict[str, Any], str | None]] = [
    ({"seed": "5", "properties": {"seed": "6"}}, "5"),
    ({"seed": None, "properties": {"seed": "6"}}, "6"),
    ({"seed": "", "properties": {"seed": 6}}, "6"),
    ({"seed": "soon", "properties": {"seed": 6}}, "6"),
    ({"properties": {"seed": "soon"}}, None),
    ({"properties": {}}, None),
]


def test_the_seed_of_a_task() -> None:
    """A task carries its seed itself or in its properties."""
    for raw, expected in SEEDS_OF_TASKS:
        assert expected == structure_task({"id": "1", **raw}).seed, raw


def test_empty_keys_are_in_one_order() -> None:
    """The order of the keys of a JSON object means nothing."""
    raw = {"videoUrls": [], "seed": "", "buttons": [], "id": "1", "imageUrls": [], "status": ""}

    task = structure_task(raw)

    assert ("status", "buttons", "seed", "imageUrls", "videoUrls") == task.empty_keys
