"""Faults 26 and 27: fields of any type, and any JSON."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from _http_server import ONCE, HTTPServer, RawResponse, client_of, on_asyncio
from hypothesis import given
from hypothesis import strategies as st

from mj_async import Task, errors, parse_task
from mj_async.testing import FakeGateway

KEYS = [
    "action", "botType", "buttons", "customId", "description", "failReason", "finishTime",
    "imageHeight", "imageUrl", "imageUrls", "maskBase64", "mode", "notifyHook", "progress",
    "prompt", "promptEn", "properties", "proxy", "seed", "startTime", "state", "status",
    "submitTime", "unheardOf", "videoUrl", "videoUrls",
]  # fmt: skip
AT = datetime(2024, 11, 3, 8, 17, 6, 53_000, UTC)
BODIES: dict[str, bytes] = {
    "depth": b'{"id":"1","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"id":"1","x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "unclosed depth": b"[" * 1_000_000,
    "NaN": b'{"id":"1","status":"SUCCESS","x":NaN}',
    "infinity": b'{"id":"1","status":"SUCCESS","x":-Infinity}',
    "float beyond": b'{"id":"1","status":"SUCCESS","x":1e999}',
    "5000 digits": b'{"id":"1","status":"SUCCESS","x":' + b"9" * 5000 + b"}",
    "half a surrogate": b'{"id":"1","status":"SUCCESS","prompt":"\\ud800"}',
    "surrogate bytes": b'{"id":"1","status":"SUCCESS","prompt":"\xed\xa0\x80"}',
    "latin-1": '{"id":"1","status":"SUCCESS","prompt":"é"}'.encode("latin-1"),
    "utf-16": '{"id":"1","status":"SUCCESS"}'.encode("utf-16"),
    "single quotes": b"{'id':'1','status':'SUCCESS'}",
    "trailing comma": b'{"id":"1","status":"SUCCESS",}',
    "two documents": b'{"id":"1","status":"SUCCESS"}{"id":"1"}',
    "NUL": b'{"id":"1","status":"SUCCESS","prompt":"\x00"}',
    "comment": b'{"id":"1","status":"SUCCESS"} // done',
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "0", "100%", "1730621826053", "SUCCESS", 0, 1730621826053]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def read(**fields: Any) -> Task:
    """Parse a task with these fields."""
    return parse_task(json.dumps({"id": "1", "status": "SUCCESS", **fields}))


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"prompt": None}, "prompt", None),  # not 'None'
        ({}, "prompt", None),
        ({"prompt": {"a": 1}}, "prompt", None),  # not "{'a': 1}"
        ({"prompt": 5}, "prompt", None),
        ({"prompt": True}, "prompt", None),
        ({"status": None}, "status", ""),
        ({"status": "UNHEARD_OF"}, "status", "UNHEARD_OF"),
        ({"status": "UNHEARD_OF"}, "is_final", False),
        ({"status": "success"}, "is_final", False),
        ({"action": "UNHEARD_OF"}, "action", "UNHEARD_OF"),
        ({"submitTime": 1730621826053}, "submit_time", AT),
        ({"submitTime": "1730621826053"}, "submit_time", AT),
        ({"submitTime": 0}, "submit_time", None),
        ({"submitTime": None}, "submit_time", None),
        ({"submitTime": 1.5}, "submit_time", None),
        ({"submitTime": True}, "submit_time", None),
        ({"submitTime": 2**63}, "submit_time", None),
        ({"submitTime": -1}, "submit_time", None),
        ({"submitTime": "soon"}, "submit_time", None),
        ({"progress": "100%"}, "progress", 100),
        ({"progress": ""}, "progress", None),
        ({"progress": None}, "progress", None),
        ({"progress": "soon"}, "progress", None),
        ({"seed": 0}, "seed", "0"),
        ({"seed": 1.9}, "seed", None),  # not 1
        ({"seed": True}, "seed", None),  # not 1
        ({"seed": "x"}, "seed", None),
        ({"seed": []}, "seed", None),
        ({"buttons": None}, "buttons", ()),
        ({"buttons": "none"}, "buttons", ()),
        ({"imageUrls": {"a": 1}}, "image_urls", ()),
        ({"imageUrls": [None, 5]}, "image_urls", ()),
        ({"properties": "none"}, "properties", None),
    ],
    ids=str,
)
def test_fault_26_no_value_is_coerced(
    fields: dict[str, Any], attribute: str, expected: object
) -> None:
    """A value of the wrong type is None, is not converted, and is kept by to_dict()."""
    task = read(**fields)

    assert (expected, type(expected)) == (getattr(task, attribute), type(getattr(task, attribute)))
    kept = {key for key, value in fields.items() if value not in (None, 0) or key == "seed"}
    assert kept <= task.to_dict().keys()


def written(key: str, value: Any, task: Task) -> Any:
    """Return a value as a task writes it: a parsed value has the documented type."""
    if key in task.extra or key not in {"seed", "submitTime", "startTime", "finishTime"}:
        return value
    return str(value).strip() if key == "seed" else int(value)


@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=5))
def test_fault_26_any_value_is_kept(fields: dict[str, Any]) -> None:
    """With any values, a task is parsed, hashed and pickled, and writes the same values."""
    task = read(**fields)
    given_back = task.to_dict()

    assert (task, hash(task)) == (pickle.loads(pickle.dumps(task)), hash(task))  # noqa: S301
    assert len(repr(task)) < 500
    for key, value in fields.items():
        if value is not None and not (key.endswith("Time") and value in (0, "0")):
            assert written(key, value, task) == given_back[key]


@pytest.mark.parametrize("task_id", [None, "", [], {}, 1.5, True], ids=repr)
def test_fault_26_a_webhook_without_an_id_is_refused(task_id: object) -> None:
    """A webhook without a usable id raises UnexpectedAnswerError."""
    with pytest.raises(errors.UnexpectedAnswerError):
        read(id=task_id)


@pytest.mark.anyio
async def test_fault_26_odd_fields_come_over_the_wire() -> None:
    """On a real socket, too, odd fields are kept; fetch fills in the requested id."""
    body = json.dumps({"id": None, "status": "NEW", "progress": 40, "buttons": [5], "z": {}})
    with HTTPServer(RawResponse(body.encode())) as server:
        async with client_of(server) as client:
            task = await client.fetch_task("1")

    assert ("1", "NEW", False) == (task.id, task.status, task.is_final)
    assert {"progress": 40, "buttons": [5], "z": {}} == dict(task.extra)


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("name", BODIES)
async def test_fault_27_odd_json_is_an_error_of_ours(name: str) -> None:
    """Malformed JSON raises UnexpectedAnswerError in each call."""
    with HTTPServer(RawResponse(BODIES[name])) as server:
        async with client_of(server, retry=ONCE) as client:
            for call in (client.fetch_task, client.image_seed):
                with pytest.raises(errors.UnexpectedAnswerError) as caught:
                    await call("1")

                assert caught.value.reason in ("json", "cut short")
                assert len(str(caught.value)) < 1000

            with pytest.raises(errors.UnexpectedAnswerError):
                await client.list_tasks(["1"])


@pytest.mark.anyio
async def test_fault_27_a_byte_order_mark_is_no_fault() -> None:
    """A byte order mark before the JSON is skipped."""
    with HTTPServer(RawResponse(b'\xef\xbb\xbf{"id":"1","status":"SUCCESS"}')) as server:
        async with client_of(server) as client:
            assert "1" == (await client.fetch_task("1")).id


FRAGMENTS = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\ud800", b"\\udc00", b"\\u0041", b"1", b"-",
    b"0", b".", b"e9", b"NaN", b"null", b"true", b" ", b"\xef\xbb\xbf", b"\xff", b"\x00", b"\xc3",
    b'"id"', b'"1"', b'"status"', b'"code"', b"9" * 30, "🐷".encode(),
]  # fmt: skip
junk = st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(FRAGMENTS)).map(b"".join))


@given(
    body=st.one_of(junk, json_values.map(lambda value: json.dumps(value).encode())),
    status=st.sampled_from([200, 200, 201, 204, 302, 400, 401, 403, 404, 418, 429, 500, 599]),
)
def test_fault_27_any_bytes_are_a_result_or_an_error_of_ours(body: bytes, status: int) -> None:
    """For any answer, each call returns its result or raises an MJError."""

    async def ask() -> None:
        gateway = FakeGateway()
        gateway.fail_next(10, status, body=body)
        async with gateway.client(retry=ONCE) as client:
            for call in (client.fetch_task, client.image_seed):
                result: object = None
                try:
                    result = await call("1")
                except errors.MJError as error:
                    result = error

                assert len(str(result)) < 2000
                assert pickle.dumps(result)
                assert "1" == getattr(result, "task_id", getattr(result, "id", None))

    asyncio.run(ask())
