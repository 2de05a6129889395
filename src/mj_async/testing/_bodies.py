"""The ids in the body of a request, read the way each gateway does."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._parts import FakeRequest


class NotUnderstoodError(Exception):
    """Raised when ids are in another encoding than the gateway reads."""


class MalformedError(Exception):
    """Raised when ids are no list of ids."""


def read_form(request: FakeRequest) -> list[str]:
    """Read the fields `ids` of a multipart form.

    Raises:
        NotUnderstoodError: It is none.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        raise NotUnderstoodError
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parts: Iterable[Any] = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
    return [
        part.get_payload(decode=True).decode()
        for part in parts
        if part.get_param("name", header="content-disposition") == "ids"
    ]


def read_json(request: FakeRequest, *, any_type: bool, numbers_are_ids: bool) -> list[str]:
    """Read `{"ids": […]}`; without ids, it is a list of none.

    Args:
        request: The request.
        any_type: Whether the Content-Type does not matter.
        numbers_are_ids: Whether numbers are taken for ids.

    Raises:
        NotUnderstoodError: The Content-Type is another.
        MalformedError: There is no JSON, or what it has are no ids.
    """
    if not (any_type or "json" in request.headers.get("content-type", "")):
        raise NotUnderstoodError
    try:
        ids = json.loads(request.body).get("ids") or []
    except (ValueError, AttributeError):
        raise MalformedError from None
    kinds = (str, int) if numbers_are_ids else str
    if not (isinstance(ids, list) and all(isinstance(one, kinds) for one in ids)):
        raise MalformedError
    return list(map(str, ids))
