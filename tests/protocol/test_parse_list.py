"""The answers to `list-by-condition`."""

from __future__ import annotations

from typing import Any

import pytest

from _samples import DOCUMENTS, PLAIN, TASK_ID, attributes_of, response_to, sample
from mj_async import errors
from mj_async._protocol.parse import parse_list_response

OTHER_ID = "1730621826053456"
TASK = sample("newapi/fetch_success.json")
WEBMAN = sample("webman/fetch_success.json")

LISTS: list[Any] = [
    ("java: not in the order asked", "java/list_other_order.json", [OTHER_ID, TASK_ID]),
    ("java: none known", "java/list_none_known.json", []),
    ("csharp: in the order of its database", "csharp/list.json", [OTHER_ID, TASK_ID]),
    ("csharp: none known", "csharp/list_none_known.json", []),
    ("newapi: in the order of its database", "newapi/list.json", [OTHER_ID, TASK_ID]),
    ("newapi: an id twice", "newapi/list_twice.json", [TASK_ID, TASK_ID]),
    ("newapi: none known", "newapi/list_none_known.json", []),
    ("onehub: one known", "onehub/list.json", [TASK_ID]),
    ("empty body", b"", []),
    ("a blank line", b"\n", []),
    ("null", b"null", []),
    ("a list with holes", b"[null," + TASK + b",{}]", [TASK_ID]),
    ("under data", b'{"code":0,"data":[' + TASK + b"]}", [TASK_ID]),
    ("under result", b'{"code":1,"result":[' + TASK + b"]}", [TASK_ID]),
    ("under list", b'{"total":1,"list":[' + TASK + b"]}", [TASK_ID]),
    ("under data, with HTTP's code", b'{"code":200,"data":[]}', []),
    ("under data, with a code in digits", b'{"code":"1","data":[]}', []),
    ("ids as numbers", b'[{"id":1730621826053455,"status":"SUCCESS"}]', [TASK_ID]),
]


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in LISTS])
def test_list_returns_the_tasks_as_they_came(body: bytes | str, expected: list[str]) -> None:
    """Every form of a list is read; its order and repetitions are kept for the caller."""
    for headers in ({}, PLAIN):
        page = parse_list_response(response_to(body, 200, headers, task_id=None))

        assert expected == [task.id for task in page.tasks]
        assert not page.is_single_task


def test_list_answered_by_one_task() -> None:
    """The documents show one task instead of an array, Webman wraps one: the page says so."""
    documents = [f"documented/{document}.json" for document in DOCUMENTS]
    for body in (*documents, "webman/fetch_success.json"):
        page = parse_list_response(response_to(body, task_id=None))

        assert page.is_single_task
        assert [TASK_ID] == [task.id for task in page.tasks]


REFUSED: list[Any] = [
    (
        "java: multipart is 415",
        "java/list_multipart_415.json",
        415,
        errors.APIError,
        {"description": "Unsupported Media Type", "code": None},
    ),
    (
        "java: an empty body is 400",
        "java/list_empty_body_400.json",
        400,
        errors.APIError,
        {"description": "Bad Request"},
    ),
    (
        "csharp: multipart is 415",
        "csharp/list_multipart_415.json",
        415,
        errors.APIError,
        {"description": "Unsupported Media Type", "code": None},
    ),
    (
        "csharp: numbers for ids, refused in a 200",
        "csharp/list_numbers_refused_200.json",
        200,
        errors.APIError,
        {"code": -1},
    ),
    (
        "newapi: multipart is 400 as text",
        "newapi/list_multipart_400.json",
        400,
        errors.APIError,
        {"code": 4, "description": "do_request_failed"},
    ),
    (
        "newapi: key limited to other models",
        "newapi/refused_model_403.json",
        403,
        errors.PermissionDeniedError,
        {"code": None},
    ),
    (
        "webman: no such route, with an empty list beside it",
        "webman/no_route_200.json",
        200,
        errors.UnsupportedError,
        {"code": 404},
    ),
    (
        "webman: key refused, with an empty list beside it",
        "webman/refused_key_200.json",
        200,
        errors.AuthenticationError,
        {"code": 403},
    ),
    (
        "a refusal that holds a list",
        b'{"success":false,"message":"no","data":[]}',
        200,
        errors.APIError,
        {"description": "no"},
    ),
    ("a 422 says what is wrong", b'{"detail":"ids"}', 422, errors.APIError, {"description": "ids"}),
]


@pytest.mark.parametrize(
    ("body", "status", "kind", "expected"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED]
)
def test_list_tells_refusals_apart(
    body: bytes | str, status: int, kind: type[errors.APIError], expected: dict[str, Any]
) -> None:
    """A refused list is an error; it is never an empty list."""
    for headers in ({}, PLAIN):
        with pytest.raises(errors.APIError) as caught:
            parse_list_response(response_to(body, status, headers, task_id=None))

        assert kind is type(caught.value)
        assert (status, None) == (caught.value.status_code, caught.value.task_id)
        assert expected == attributes_of(caught.value, expected)


def test_a_list_of_other_things() -> None:
    """A list with an item that is no task is not of this API; nor is a refusal in a list."""
    for body in (b"[1]", b"[" + TASK + b',"1"]', b"[[" + TASK + b"]]", b'[{"error":"no"}]'):
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            parse_list_response(response_to(body, task_id=None))

        assert "json" == caught.value.reason
