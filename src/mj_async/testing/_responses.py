"""Responses of real gateways, from docs/gateways.md; `fail_next` uses their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from ._models import FakeResponse, json_response

ResponseName: TypeAlias = Literal[
    "bad gateway",
    "channel disabled",
    "forbidden",
    "key",
    "no account",
    "no private channel",
    "no time",
    "overloaded",
    "page",
    "quota",
    "rate limit",
    "refused",
    "server error",
    "unavailable",
]

PLAIN_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_REQUEST = "(request id: 20241103081706053)"
_TIMESTAMP = "1730621855817"

HTML_PAGE = FakeResponse(
    200,
    b"<!doctype html><html><head><title>Gateway</title></head><body></body></html>",
    {"content-type": _HTML},
)


def upstream_error(
    description: str, code: int = 4, content_type: str = "application/json"
) -> FakeResponse:
    """A refusal of new-api and one-hub on Midjourney routes, with their space at the end."""
    body = {"description": f"{description} ", "type": "upstream_error", "code": code}
    return json_response(body, 400, content_type)


def go_error(status: int, message: str, kind: str = "new_api_error") -> FakeResponse:
    """A refusal of new-api and one-hub before a route is reached."""
    return json_response({"error": {"message": message, "type": kind}}, status)


def spring_error(status: int, error: str, path: str) -> FakeResponse:
    """A refusal of Spring, the web framework of the Java gateway."""
    body = {
        "timestamp": "2024-11-03T08:17:06.053+00:00",
        "status": status,
        "error": error,
        "path": path,
    }
    return json_response(body, status)


def csharp_error(status: int, message: str) -> FakeResponse:
    """A refusal of the C# gateway after an exception."""
    body = {"success": False, "code": -1, "message": message, "timestamp": _TIMESTAMP}
    return json_response(body, status)


def go_envelope(status: int, code: int, description: str, result: str | None) -> FakeResponse:
    """Image-seed as new-api and one-hub relay it: as text/plain, and without null."""
    body = {"code": code, "description": description, "properties": {}, "result": result or ""}
    return json_response(body, status, PLAIN_TEXT)


def csharp_envelope(status: int, code: int, description: str, result: str | None) -> FakeResponse:
    """Image-seed of the C# gateway."""
    body = {"code": code, "description": description, "result": result, "properties": {}}
    return json_response(body, status)


def _nginx(status: int, words: str) -> FakeResponse:
    body = f"<html>\r\n<head><title>{status} {words}</title></head>\r\n</html>\r\n"
    return FakeResponse(status, body.encode(), {"content-type": "text/html"})


_ANYWHERE: Mapping[ResponseName, FakeResponse] = {
    "page": HTML_PAGE,
    "bad gateway": _nginx(502, "Bad Gateway"),
    "unavailable": _nginx(503, "Service Temporarily Unavailable"),
}
_NO_TIME = upstream_error("do_request_failed", code=5)
_IN_GO: Mapping[ResponseName, FakeResponse] = {
    "no time": _NO_TIME,
    "no account": go_envelope(200, 3, "无可用的账号实例", None),
    "no private channel": go_envelope(200, 9, "请配置私聊频道", None),
    "channel disabled": upstream_error("该任务所属渠道已被禁用"),
}
_QUOTA = f"该令牌额度已用尽 TokenStatusExhausted[sk-abc***xyz] {_REQUEST}"
_OVERLOADED = {
    "description": "当前分组负载已饱和，请稍后再试，或升级账户以提升服务质量。",
    "type": "upstream_error",
    "code": 30,
}
_PANIC = "Panic detected, error: runtime error: invalid memory address or nil pointer dereference"
_CPU = {
    "message": "system cpu overloaded",
    "type": "new_api_error",
    "code": "system_cpu_overloaded",
}
_NEWAPI: Mapping[ResponseName, FakeResponse] = {
    **_ANYWHERE,
    "key": go_error(401, f"无效的令牌 {_REQUEST}"),
    "quota": go_error(401, _QUOTA),
    "forbidden": go_error(403, f"该令牌无权访问模型  {_REQUEST}"),
    "rate limit": FakeResponse(429),
    "overloaded": json_response(_OVERLOADED, 429),
    "unavailable": json_response({"error": _CPU}, 503),
    "server error": go_error(500, _PANIC, "new_api_panic"),
}

RESPONSES: Mapping[str, Mapping[ResponseName, FakeResponse]] = {
    "newapi": {**_NEWAPI, **_IN_GO},
    "onehub": {
        **_ANYWHERE,
        **_IN_GO,
        "key": go_error(401, "无效的令牌", "one_hub_error"),
        "quota": go_error(401, "该令牌额度已用尽", "one_hub_error"),
        "forbidden": go_error(403, "API requests are not allowed", "one_hub_error"),
        "rate limit": go_error(429, "您的速率达到上限，请稍后再试。", "one_hub_error"),
    },
    "java": {
        **_ANYWHERE,
        "key": FakeResponse(401),
        "server error": spring_error(500, "Internal Server Error", "/mj/task"),
    },
    "csharp": {
        **_ANYWHERE,
        "key": FakeResponse(401, b"Authorization header missing.", {"content-type": PLAIN_TEXT}),
        "forbidden": FakeResponse(403, "账号不可用".encode(), {"content-type": PLAIN_TEXT}),
        "rate limit": FakeResponse(429),
        "refused": csharp_error(200, "任务不存在"),
        "server error": csharp_error(500, "操作失败"),
        "no time": csharp_envelope(200, 9, "超时，未找到 seed messageId", None),
        "no account": csharp_envelope(200, 3, "无可用的账号实例", None),
        "no private channel": csharp_envelope(200, 9, "请配置私聊频道", None),
    },
    "documented": {**_NEWAPI, "no time": _NO_TIME},
}
