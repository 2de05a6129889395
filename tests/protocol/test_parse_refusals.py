"""Answers in which the gateway refuses a request."""

from __future__ import annotations

from typing import Any

import pytest

from _samples import PAGE, TASK_ID, attributes_of, response_to
from mj_async import errors
from mj_async._protocol.parse import parse_task_response

REQUEST = "20250411081735817000000a1B2c3D4"

REFUSED: list[Any] = [
    ("java: key refused, empty", "java/refused_key_401.txt", 401, errors.AuthenticationError, {}),
    (
        "java: failed",
        "java/error_500.json",
        500,
        errors.ServerError,
        {"description": "Internal Server Error", "code": None},
    ),
    (
        "csharp: key refused, as text",
        "csharp/refused_key_401.txt",
        401,
        errors.AuthenticationError,
        {"description": "Authorization header missing."},
    ),
    (
        "csharp: account disabled",
        "csharp/refused_disabled_401.txt",
        401,
        errors.AuthenticationError,
        {"description": "账号已禁用"},
    ),
    (
        "csharp: account not available",
        "csharp/refused_unavailable_403.txt",
        403,
        errors.PermissionDeniedError,
        {"description": "账号不可用"},
    ),
    (
        "csharp: address on a black list, empty",
        "csharp/refused_black_list_403.txt",
        403,
        errors.PermissionDeniedError,
        {"description": "", "code": None, "request_id": None},
    ),
    (
        "csharp: too many requests, empty",
        "csharp/refused_rate_429.txt",
        429,
        errors.RateLimitError,
        {"description": "", "retry_after": None},
    ),
    (
        "csharp: business exception in a 200",
        "csharp/error_business_200.json",
        200,
        errors.APIError,
        {"code": -1, "description": "任务不存在"},
    ),
    (
        "csharp: failed",
        "csharp/error_500.json",
        500,
        errors.ServerError,
        {"code": -1, "description": "操作失败"},
    ),
    (
        "newapi: key refused",
        "newapi/refused_key_401.json",
        401,
        errors.AuthenticationError,
        {"code": None, "request_id": REQUEST, "description": f"无效的令牌 (request id: {REQUEST})"},
    ),
    (
        "newapi: key refused, with an empty code",
        "newapi/refused_key_newer_401.json",
        401,
        errors.AuthenticationError,
        {"code": None, "request_id": REQUEST},
    ),
    (
        "newapi: quota used up",
        "newapi/refused_quota_401.json",
        401,
        errors.AuthenticationError,
        {"request_id": REQUEST},
    ),
    (
        "newapi: key limited to other models",
        "newapi/refused_model_403.json",
        403,
        errors.PermissionDeniedError,
        {"request_id": REQUEST},
    ),
    (
        "newapi: user banned",
        "newapi/refused_banned_403.json",
        403,
        errors.PermissionDeniedError,
        {"request_id": REQUEST},
    ),
    (
        "newapi: overloaded, code 30",
        "newapi/overloaded_429.json",
        429,
        errors.RateLimitError,
        {"code": 30},
    ),
    (
        "newapi: overloaded, its status lost on the way",
        "newapi/overloaded_429.json",
        200,
        errors.RateLimitError,
        {"code": 30},
    ),
    (
        "newapi: too many requests, empty",
        "newapi/refused_rate_429.txt",
        429,
        errors.RateLimitError,
        {"code": None, "description": ""},
    ),
    (
        "newapi: processor overloaded",
        "newapi/overloaded_503.json",
        503,
        errors.ServerError,
        {"code": "system_cpu_overloaded", "description": "system cpu overloaded"},
    ),
    ("newapi: panic", "newapi/panic_500.json", 500, errors.ServerError, {"code": None}),
    (
        "newapi: quota on submission",
        "newapi/quota_400.json",
        400,
        errors.APIError,
        {"code": 4, "description": "quota_not_enough"},
    ),
    (
        "newapi: no route, as text",
        "newapi/no_route_404.txt",
        404,
        errors.UnsupportedError,
        {"description": "404 page not found"},
    ),
    ("onehub: key refused", "onehub/refused_key_401.json", 401, errors.AuthenticationError, {}),
    ("onehub: rate", "onehub/refused_rate_429.json", 429, errors.RateLimitError, {}),
    (
        "onehub: forbidden",
        "onehub/refused_403.json",
        403,
        errors.PermissionDeniedError,
        {"description": "API requests are not allowed"},
    ),
    (
        "onehub: mode unknown",
        "onehub/wrong_mode_400.json",
        400,
        errors.APIError,
        {"code": 4, "description": "无效的加速模式"},
    ),
    (
        "webman: key refused in a 200",
        "webman/refused_key_200.json",
        200,
        errors.AuthenticationError,
        {"code": 403, "description": "403 Api Secret 错误"},
    ),
    (
        "webman: no route in a 200",
        "webman/no_route_200.json",
        200,
        errors.UnsupportedError,
        {"code": 404, "description": "API 404 Not Found"},
    ),
    (
        "an error inside a 200",
        b'{"error":{"message":"no","code":"500"}}',
        200,
        errors.ServerError,
        {},
    ),
    ("an error in words inside a 200", b'{"error":"no"}', 200, errors.APIError, {"code": None}),
    (
        "an error with an id, and no key of a task, inside a 200",
        b'{"id":"7","error":{"message":"no","code":"500"}}',
        200,
        errors.ServerError,
        {"description": "no"},
    ),
    (
        "spring: an error with a status inside a 200",
        b'{"status":500,"error":"Internal Server Error"}',
        200,
        errors.APIError,
        {"code": None, "description": "Internal Server Error"},
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "kind", "expected"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED]
)
def test_fetch_tells_refusals_apart(
    body: bytes | str, status: int, kind: type[errors.APIError], expected: dict[str, Any]
) -> None:
    """The status and the body decide; the error has the gateway's own text and code."""
    for headers in ({}, PAGE):
        with pytest.raises(errors.APIError) as caught:
            parse_task_response(response_to(body, status, headers))

        assert kind is type(caught.value)
        assert (status, TASK_ID) == (caught.value.status_code, caught.value.task_id)
        assert expected == attributes_of(caught.value, expected)
