"""Answers of gateways to the three calls, as functions of their requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from _fakes import Wire
from mj_async import RetryPolicy

ONCE = RetryPolicy(attempts=1)
PAGE = httpx.Response(200, html="<!doctype html><title>new-api</title>")
NOT_UNDERSTOOD = httpx.Response(415, json={"status": 415, "error": "Unsupported Media Type"})
NOT_FOUND = httpx.Response(
    400, json={"description": "task_no_found ", "type": "upstream_error", "code": 4}
)
SPRING_404 = httpx.Response(404, json={"status": 404, "error": "Not Found", "path": "/mj/x"})
Answers = Callable[[httpx.Request], httpx.Response]


def wire_task(task_id: str = "1", **fields: Any) -> dict[str, Any]:
    """Write a task as a gateway does."""
    return {"id": task_id, "status": "SUCCESS", "progress": "100%", **fields}


def found(task_id: str = "1", **fields: Any) -> httpx.Response:
    """Answer with a task."""
    return httpx.Response(200, json=wire_task(task_id, **fields))


def envelope(status: int, code: int, description: str = "") -> httpx.Response:
    """Answer image-seed without a seed."""
    body = {"code": code, "description": description, "properties": None, "result": ""}
    return httpx.Response(status, json=body)


def json_ids(request: httpx.Request) -> list[str]:
    """Read the ids of a JSON request."""
    ids: list[str] = json.loads(request.content)["ids"]
    return ids


def is_multipart(request: httpx.Request) -> bool:
    """Whether the ids come as the documents show."""
    return request.headers["content-type"].startswith("multipart/form-data")


def by_path(**answers: Answers | httpx.Response) -> Answers:
    """Answer by the last segment of the path: fetch, list, seed."""

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        name = {"list-by-condition": "list", "image-seed": "seed"}.get(last, last)
        given = answers[name]
        return given(request) if callable(given) else given

    return answer


def keys_tried(wire: Wire) -> list[str]:
    """Name the headers that carried the key, in order."""
    tried = []
    for request in wire.requests:
        given = request.headers.get("authorization", "")
        tried.append("mj-api-secret" if not given else given.split(" ")[0])
    return tried
