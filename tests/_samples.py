"""Recorded answers, as they come on the wire: `tests/samples`, a folder for each gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from mj_async._credentials import Secret
from mj_async._protocol.response import APIResponse

FOLDER = Path(__file__).parent / "samples"
TASK_ID = "1730621826053455"
DOCUMENTS = ("seed_winfull", "list_zhongzhuan", "fetch_winfull", "seed_quickrouter")

PLAIN = {"content-type": "text/plain; charset=utf-8"}
PAGE = {"content-type": "text/html; charset=utf-8"}


def sample(path: str) -> bytes:
    """Return one recorded answer, byte for byte."""
    return (FOLDER / path).read_bytes()


def response_to(
    body: bytes | str,
    status: int | None = 200,
    headers: Mapping[str, str] | None = None,
    *,
    task_id: str | None = TASK_ID,
    key: str = "",
    retry_after: float | None = None,
) -> APIResponse:
    """Return a response; a str names the sample that is its body."""
    return APIResponse(
        body=sample(body) if isinstance(body, str) else body,
        status=status,
        headers=httpx.Headers({"content-type": "application/json", **(headers or {})}),
        task_id=task_id,
        key=Secret(key),
        retry_after=retry_after,
    )


def attributes_of(subject: object, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a task or an error that a row has expectations for."""
    return {name: getattr(subject, name) for name in expected}
