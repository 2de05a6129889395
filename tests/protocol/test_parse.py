"""The answers to `fetch`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from _samples import DOCUMENTS, PLAIN, TASK_ID, attributes_of, response_to, sample
from mj_async import Task, errors
from mj_async._protocol.parse import parse_task_response

SUBMITTED_AT = datetime(2024, 11, 3, 8, 17, 6, 53_000, tzinfo=UTC)
FINISHED_AT = datetime(2024, 11, 3, 8, 17, 35, 817_000, tzinfo=UTC)
NO_TIMES = {"submit_time": None, "start_time": None, "finish_time": None}

FOUND: list[Any] = [
    pytest.param(
        f"documented/{document}.json",
        {
            "id": TASK_ID,
            "status": "SUCCESS",
            "action": "IMAGINE",
            "progress": 100,
            "submit_time": SUBMITTED_AT,
            "finish_time": FINISHED_AT,
            "duration": 29.764,
            "extra": {},
        },
        id=f"documented: {document}",
    )
    for document in DOCUMENTS
]
FOUND += [
    pytest.param(
        "java/fetch_success.json",
        {"status": "SUCCESS", "state": None, "fail_reason": None, "buttons": (), "extra": {}},
        id="java: success, with nulls and no buttons",
    ),
    pytest.param(
        "java/fetch_not_started.json",
        {"status": "NOT_START", "is_final": False, "progress": 0, "properties": {}, **NO_TIMES},
        id="java: not started, its times null",
    ),
    pytest.param(
        "java/fetch_waiting_to_start.json",
        {"status": "IN_PROGRESS", "progress": None, "progress_text": "Waiting to start"},
        id="java: words instead of a progress",
    ),
    pytest.param(
        "java/fetch_failure.json",
        {"status": "FAILURE", "is_final": True, "progress": None, "fail_reason": "任务超时"},
        id="java: failure with an empty progress",
    ),
    pytest.param(
        "plus/fetch_success.json",
        {"status": "SUCCESS", "succeeded": True},
        id="plus: success",
    ),
    pytest.param(
        "plus/fetch_modal.json",
        {"status": "MODAL", "is_final": False, "action": "CUSTOM_ZOOM"},
        id="plus: a dialogue is open",
    ),
    pytest.param(
        "plus/fetch_cancel.json",
        {"status": "CANCEL", "is_final": True, "succeeded": False},
        id="plus: cancelled",
    ),
    pytest.param(
        "csharp/fetch_success.json",
        {
            "seed": "636646138",
            "image_urls": ("https://cdn.example/1.png", "https://cdn.example/2.png"),
            "video_url": None,
            "video_urls": (),
        },
        id="csharp: success that carries its seed",
    ),
    pytest.param(
        "csharp/fetch_accepted.json",
        {"status": "", "action": None, "is_final": False, "progress": None, **NO_TIMES},
        id="csharp: status, action and times null",
    ),
    pytest.param(
        "csharp/fetch_preview.json",
        {"status": "IN_PROGRESS", "progress": 46, "seed": None, "image_urls": ()},
        id="csharp: in progress with a preview",
    ),
    pytest.param(
        "newapi/fetch_success.json",
        {"status": "SUCCESS", "bot_type": "", "custom_id": "", "mask_base64": "", "extra": {}},
        id="newapi: success",
    ),
    pytest.param(
        "newapi/fetch_not_refreshed.json",
        {"status": "", "is_final": False, "start_time": None, "buttons": (), "properties": None},
        id="newapi: status empty, times 0, buttons null",
    ),
    pytest.param(
        "newapi/fetch_in_progress.json",
        {"status": "IN_PROGRESS", "progress": 40, "finish_time": None, "duration": None},
        id="newapi: in progress with a picture whose address changes",
    ),
    pytest.param(
        "newapi/fetch_failure_at_100.json",
        {"succeeded": False, "progress": 100, "fail_reason": "上游任务超时（超过1小时）"},
        id="newapi: failure at 100 per cent",
    ),
    pytest.param(
        "newapi/fetch_failure_no_reason.json",
        {"id": TASK_ID, "is_final": True, "fail_reason": ""},
        id="newapi: an answer without id is about the id asked for",
    ),
    pytest.param(
        "newapi/fetch_video.json",
        {
            "image_url": "",
            "video_url": "https://cdn.example/cat.mp4",
            "video_urls": ("https://cdn.example/cat_0.mp4", "https://cdn.example/cat_1.mp4"),
        },
        id="newapi: a video",
    ),
    pytest.param("onehub/fetch_success.json", {"status": "SUCCESS"}, id="onehub: success"),
    pytest.param(
        "webman/fetch_success.json",
        {"id": TASK_ID, "status": "FINISHED", "is_final": False},
        id="webman: a task in an envelope, with a status of its own",
    ),
    pytest.param(
        b'{"id":1730621826053455,"status":"SUBMITTED"}', {"id": TASK_ID}, id="id a number"
    ),
    pytest.param(b'{"id":null,"status":"","action":""}', {"id": TASK_ID}, id="id null"),
    pytest.param(b'{"status":"NOT_START","progress":"0%"}', {"id": TASK_ID}, id="id absent"),
    pytest.param(
        b'{"id":"1730621826053455"}', {"status": "", "progress": None, **NO_TIMES}, id="id alone"
    ),
    pytest.param(
        b'{"id":"1730621826053455","code":4,"error":"x","status":"FAILURE"}',
        {"status": "FAILURE", "extra": {"code": 4, "error": "x"}},
        id="a task may have a code and an error of its own",
    ),
    pytest.param(
        b'{"code":1,"result":{"id":"1730621826053455","status":"SUCCESS"}}',
        {"status": "SUCCESS"},
        id="a task under result",
    ),
    pytest.param(
        b'\xef\xbb\xbf\r\n{"id":"1730621826053455","status":"SUCCESS"}\n',
        {"status": "SUCCESS"},
        id="a byte order mark and white space around it",
    ),
]


@pytest.mark.parametrize(("body", "expected"), FOUND)
def test_fetch_returns_the_task(body: bytes | str, expected: dict[str, Any]) -> None:
    """A task is read from any gateway, whatever its Content-Type is."""
    for headers in ({}, PLAIN):
        task = parse_task_response(response_to(body, 200, headers))

        assert isinstance(task, Task)
        assert expected == attributes_of(task, expected)


def test_a_leading_zero_stays() -> None:
    """Ids are texts: old ones begin with a zero."""
    task = parse_task_response(
        response_to("java/fetch_leading_zero.json", task_id="0191304188213322")
    )

    assert "0191304188213322" == task.id


NOT_FOUND: list[Any] = [
    ("java: unknown id is 200, empty", "java/fetch_unknown.txt", 200, None, ""),
    ("csharp: unknown id is 204", "csharp/fetch_unknown_204.txt", 204, None, ""),
    ("unknown id is 200 null", b"null", 200, None, ""),
    ("unknown id is 200, a byte order mark", b"\xef\xbb\xbf", 200, None, ""),
    ("unknown id is 200, a blank line", b" \r\n", 200, None, ""),
    (
        "newapi: unknown id is 400 task_no_found",
        "newapi/unknown_id_400.json",
        400,
        4,
        "task_no_found",
    ),
    (
        "newapi: unknown id, its status lost on the way",
        "newapi/unknown_id_400.json",
        200,
        4,
        "task_no_found",
    ),
    (
        "onehub: unknown id is 400 task_no_found",
        "onehub/unknown_id_400.json",
        400,
        4,
        "task_no_found",
    ),
    (
        "csharp: 404 with code 3",
        "csharp/seed_unknown_404.json",
        404,
        3,
        "关联任务不存在或已失效",
    ),
    (
        "csharp: 200 with code 3",
        "csharp/seed_unknown_404.json",
        200,
        3,
        "关联任务不存在或已失效",
    ),
    (
        "webman: unknown id is 200 with code 404",
        "webman/fetch_unknown_200.json",
        200,
        404,
        "未找到任务",
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "code", "description"),
    [pytest.param(*row[1:], id=row[0]) for row in NOT_FOUND],
)
def test_fetch_of_an_unknown_id(
    body: bytes | str, status: int, code: int | None, description: str
) -> None:
    """Gateways answer an unknown id in many ways; each is a TaskNotFoundError."""
    with pytest.raises(errors.TaskNotFoundError) as caught:
        parse_task_response(response_to(body, status))

    assert (status, TASK_ID) == (caught.value.status_code, caught.value.task_id)
    assert (code, description) == (caught.value.code, caught.value.description)


def test_the_documented_examples_are_those_of_the_documents() -> None:
    """The examples were copied out of the documents and not typed."""
    for document in DOCUMENTS:
        assert sample(f"documented/{document}.json") in sample(f"documented/{document}.txt")


def test_the_answer_is_about_the_task_asked_for() -> None:
    """A task with another id is refused, never returned."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        parse_task_response(response_to("newapi/fetch_success.json", task_id="1"))

    assert "other task" == caught.value.reason
    assert "1" == caught.value.task_id
