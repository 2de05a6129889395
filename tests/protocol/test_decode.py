"""Tasks out of JSON objects: tolerant where gateways are, and nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _samples import DOCUMENTS, FOLDER, sample
from mj_async import Button, Task
from mj_async._models import WIRE_NAMES
from mj_async._protocol.decode import structure_task

TEXTS = [
    "action",
    "customId",
    "botType",
    "prompt",
    "promptEn",
    "description",
    "state",
    "imageUrl",
    "status",
    "progress",
    "failReason",
    "maskBase64",
    "videoUrl",
]
TIMES = ["submitTime", "startTime", "finishTime"]
KEYS = ["id", *TEXTS, *TIMES, "buttons", "properties", "seed", "imageUrls", "videoUrls"]
ATTRIBUTES = {key: name for name, key in WIRE_NAMES.items()}
NOTHING = Task("")

# The types that each key may have; lists are only right with the right things in them.
FITTING: dict[str, set[type]] = {
    "id": {str, int},
    "seed": {int},
    "properties": {dict},
    "buttons": set(),
    "imageUrls": set(),
    "videoUrls": set(),
    **{key: {str} for key in TEXTS},
    **{key: {int} for key in TIMES},
}
VALUES: list[Any] = [5, "text", True, False, 1.5, 0.0, [1], [[]], {"a": 1}]
WRONG = [(key, value) for key in KEYS for value in VALUES if type(value) not in FITTING[key]]
BUTTON: dict[str, Any] = {"customId": "MJ::1", "emoji": "", "label": "U1", "type": 2, "style": 2}


def wire(key: str, value: object) -> dict[str, Any]:
    """Give a task as JSON with that key."""
    return {"id": "1", key: value}


def test_the_keys_are_those_of_the_documents() -> None:
    """The 18 documented keys are known, and those in which gateways give pictures and seeds."""
    documented = json.loads(sample("documented/fetch_winfull.json"))

    assert 18 == len(documented)
    assert set(documented) | {"seed", "imageUrls", "videoUrl", "videoUrls"} == set(KEYS)
    assert set(KEYS) == set(WIRE_NAMES.values())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_written_back(document: str) -> None:
    """A documented task gives its JSON back, the order of its keys included."""
    raw = json.loads(sample(f"documented/{document}.json"))
    task = structure_task(raw)

    assert raw == task.to_dict()
    assert list(raw) == list(task.to_dict())
    assert {} == task.extra


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(FOLDER.glob("*/fetch_*.json")) if "unknown" not in path.name],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_nothing_of_a_recorded_task_is_lost(path: Path) -> None:
    """What a gateway sent comes back, but for null and for times that were not reached."""
    raw = json.loads(path.read_bytes())
    raw = raw["data"] if "data" in raw and "id" not in raw else raw
    expected = {
        key: value
        for key, value in raw.items()
        if key not in WIRE_NAMES.values() or not (value is None or (key in TIMES and value == 0))
    }

    assert expected == structure_task(raw).to_dict()


def test_every_key() -> None:
    """Each key has its attribute."""
    raw: dict[str, Any] = {key: f"the {key}" for key in TEXTS}
    raw |= {"id": "0741", "seed": "007", "properties": {"a": [1]}, "buttons": [BUTTON]}
    raw |= {"submitTime": 1_000, "startTime": 1, "finishTime": 253402300799999}
    raw |= {"imageUrls": ["https://a", "https://b"], "videoUrls": ["https://c"]}
    task = structure_task(raw)

    assert {key: f"the {key}" for key in TEXTS} == {
        key: getattr(task, ATTRIBUTES[key]) for key in TEXTS
    }
    assert ("0741", "007", {"a": [1]}) == (task.id, task.seed, task.properties)
    assert (Button("MJ::1", "", "U1", 2, 2),) == task.buttons
    assert datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) == task.submit_time
    assert datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) == task.finish_time
    assert (("https://a", "https://b"), ("https://c",)) == (task.image_urls, task.video_urls)
    assert raw == task.to_dict()


@pytest.mark.parametrize("key", KEYS)
def test_a_key_may_be_absent_or_null(key: str) -> None:
    """A key that is null is like one that is not there."""
    raw = {"id": "1", "status": "SUCCESS"}
    absent = structure_task({name: value for name, value in raw.items() if name != key})
    null = structure_task({**raw, key: None})

    assert absent == null
    assert absent.to_dict() == null.to_dict()
    assert getattr(NOTHING, ATTRIBUTES[key]) == getattr(null, ATTRIBUTES[key])
    assert {} == null.extra


def test_an_empty_object() -> None:
    """Not even an id must be there; who asked fills it in."""
    assert NOTHING == structure_task({})


@pytest.mark.parametrize(("key", "value"), WRONG, ids=repr)
def test_a_value_of_the_wrong_type_is_set_aside(key: str, value: object) -> None:
    """A value of the wrong type is never coerced; it is kept and comes back."""
    task = structure_task(wire(key, value))

    assert {key: repr(value)} == {name: repr(kept) for name, kept in task.extra.items()}
    assert repr(value) == repr(task.to_dict()[key])
    if key != "buttons":  # those keep what can be read of them, too
        assert getattr(NOTHING, ATTRIBUTES[key]) == getattr(task, ATTRIBUTES[key])


def test_unknown_keys_are_kept() -> None:
    """Keys that are not known stay under their names, whatever they hold."""
    extra = {"jobId": "3785", "isCompleted": True, "displays": {"a": [None]}, "nothing": None}
    task = structure_task({"id": "1", **extra})

    assert extra == task.extra
    assert {"id": "1", **extra} == task.to_dict()


@pytest.mark.parametrize("key", ["status", "buttons", "imageUrls", "videoUrls"])
def test_what_came_empty_comes_back_empty(key: str) -> None:
    """An empty status or list is written back; one that did not come is not made up."""
    empty: object = "" if key == "status" else []

    assert wire(key, empty) == structure_task(wire(key, empty)).to_dict()
    assert {"id": "1"} == structure_task({"id": "1"}).to_dict()


@pytest.mark.parametrize("key", ["more", "properties", "prompt", "submitTime"])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_depth(key: str, opening: str, closing: str) -> None:
    """60 levels are kept; 70 are more than any gateway sends, and are refused."""
    kept = wire(key, {"a": json.loads(opening * 58 + "1" + closing * 58)})
    deep = wire(key, {"a": json.loads(opening * 70 + "1" + closing * 70)})

    assert kept == structure_task(kept).to_dict()
    with pytest.raises(ValueError, match="64 levels"):
        structure_task(deep)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
BUTTON_KEYS = st.sampled_from([*BUTTON, "more"])
TASKS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(KEYS) | st.text(max_size=8),
    JSON | st.lists(st.dictionaries(BUTTON_KEYS, JSON), max_size=3),
)


@given(TASKS)
def test_whatever_was_read_can_be_read_again(raw: dict[str, Any]) -> None:
    """Any object is a task, and what it is written back to reads as an equal one."""
    task = structure_task(raw)

    assert task == structure_task(task.to_dict())


@given(TASKS, st.sampled_from(["more", "properties"]), st.integers(1, 2_000))
def test_any_depth_is_read_or_refused(raw: dict[str, Any], key: str, levels: int) -> None:
    """A task nested too deeply is a ValueError and nothing else."""
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}

    if levels > 70:
        with pytest.raises(ValueError, match="64 levels"):
            structure_task({**raw, key: value})
    elif levels < 60:
        assert value == structure_task({**raw, key: value}).to_dict()[key]
