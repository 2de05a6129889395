"""How the gateways differ: keys, ids, refusals. From docs/gateways.md, not from our parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ._models import FakeResponse, json_response
from ._responses import (
    HTML_PAGE,
    PLAIN_TEXT,
    RESPONSES,
    ResponseName,
    csharp_envelope,
    csharp_error,
    go_envelope,
    spring_error,
    upstream_error,
)
from ._serializers import serialize_csharp, serialize_documented, serialize_java, serialize_newapi

if TYPE_CHECKING:
    from ._models import TaskSnapshot

_LIST = "/mj/task/list-by-condition"
_MODES = r"mj-(?:fast|turbo|relax)"

# --- keys -------------------------------------------------------------------------------------


def _bare(value: str) -> str:
    return value.removeprefix("Bearer ").removeprefix("sk-")


def accepts_newapi(headers: Mapping[str, str], key: str) -> bool:
    """`Authorization`, with or without Bearer; `mj-api-secret` only if that is missing."""
    given = headers.get("authorization") or headers.get("mj-api-secret", "")
    return _bare(given) == _bare(key)


def accepts_onehub(headers: Mapping[str, str], key: str) -> bool:
    """Only `mj-api-secret`, with or without Bearer and sk-."""
    return _bare(headers.get("mj-api-secret", "")) == _bare(key)


def accepts_java(headers: Mapping[str, str], key: str) -> bool:
    """Only `mj-api-secret`, exactly the key."""
    return headers.get("mj-api-secret") == key


def accepts_csharp(headers: Mapping[str, str], key: str) -> bool:
    """The bare key in `Authorization`; `mj-api-secret` only if that is missing."""
    return headers.get("authorization", headers.get("mj-api-secret")) == key


def accepts_documented(headers: Mapping[str, str], key: str) -> bool:
    """Only `Authorization: Bearer`."""
    return headers.get("authorization") == f"Bearer {key}"


# --- the gateways -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class GatewayDialect:
    """How one gateway differs from the others.

    Args:
        accepts: True if the headers have the key in the form that this gateway accepts.
        responses: Its responses that have a name.
        serialize: Returns a task as JSON.
        mode: The path segment that may precede `/mj`, as a regular expression.
        modes: The segments that are valid, as a regular expression.
        encoding: How it reads ids: as JSON with any Content-Type, as JSON, or as a form.
        numbers_are_ids: True if it accepts numbers as ids in JSON.
        wrong_encoding: The response to ids in another encoding.
        malformed_ids: The response to invalid ids.
        bare_list: True if its list is one task instead of an array.
        unknown: The responses to an unknown id, for fetch and for image-seed.
        no_route: The response to an unknown path or a wrong method.
        redirects: True if it redirects a path with a slash at the end.
        seed_by_path: True if it has `/mj/task/{id}/image-seed`.
        envelope: Its response to image-seed, from (status, code, description, seed).
        repeats_unchanged: True if it sends a webhook that equals the one before.
    """

    accepts: Callable[[Mapping[str, str], str], bool]
    responses: Mapping[ResponseName, FakeResponse]
    serialize: Callable[[TaskSnapshot, str | None, float], dict[str, Any]]
    mode: str = ""
    modes: str = ".*"
    encoding: Literal["any", "json", "form"]
    numbers_are_ids: bool = False
    wrong_encoding: FakeResponse
    malformed_ids: FakeResponse
    bare_list: bool = False
    unknown: Mapping[str, FakeResponse]
    no_route: Callable[[str], FakeResponse]
    redirects: bool = False
    seed_by_path: bool = True
    envelope: Callable[[int, int, str, str | None], FakeResponse] = go_envelope
    repeats_unchanged: bool = False


_NO_JSON = upstream_error("do_request_failed", content_type=PLAIN_TEXT)
_TASK_NO_FOUND = {
    "fetch": upstream_error("task_no_found"),
    "image-seed": upstream_error("task_no_found"),
}
_IN_GO: dict[str, Any] = {
    "serialize": serialize_newapi,
    "mode": r"[^/]+",
    "encoding": "any",
    "wrong_encoding": _NO_JSON,
    "malformed_ids": _NO_JSON,
    "unknown": _TASK_NO_FOUND,
    "no_route": lambda path: HTML_PAGE,
    "redirects": True,
}
_NO_STRING = "The JSON value could not be converted to System.String. Path: $.ids[0] | "

DIALECTS: Mapping[str, GatewayDialect] = {
    "newapi": GatewayDialect(accepts=accepts_newapi, responses=RESPONSES["newapi"], **_IN_GO),
    "onehub": GatewayDialect(
        accepts=accepts_onehub, responses=RESPONSES["onehub"], modes=_MODES, **_IN_GO
    ),
    "java": GatewayDialect(
        accepts=accepts_java,
        responses=RESPONSES["java"],
        serialize=serialize_java,
        encoding="json",
        numbers_are_ids=True,
        wrong_encoding=spring_error(415, "Unsupported Media Type", _LIST),
        malformed_ids=spring_error(400, "Bad Request", _LIST),
        unknown={"fetch": FakeResponse(200)},
        no_route=lambda path: spring_error(404, "Not Found", path),
        seed_by_path=False,
        repeats_unchanged=True,
    ),
    "csharp": GatewayDialect(
        accepts=accepts_csharp,
        responses=RESPONSES["csharp"],
        serialize=serialize_csharp,
        mode=_MODES,
        encoding="json",
        wrong_encoding=json_response(
            {
                "type": "https://tools.ietf.org/html/rfc9110#section-15.5.16",
                "title": "Unsupported Media Type",
                "status": 415,
                "traceId": "00-4f1b-01",
            },
            415,
            "application/problem+json",
        ),
        malformed_ids=csharp_error(200, _NO_STRING),
        unknown={
            "fetch": FakeResponse(204),
            "image-seed": csharp_envelope(404, 3, "关联任务不存在或已失效", None),
        },
        no_route=lambda path: FakeResponse(404),
        envelope=csharp_envelope,
    ),
    "documented": GatewayDialect(
        accepts=accepts_documented,
        responses=RESPONSES["documented"],
        serialize=serialize_documented,
        encoding="form",
        wrong_encoding=upstream_error("do_request_failed"),
        malformed_ids=upstream_error("do_request_failed"),
        bare_list=True,
        unknown=_TASK_NO_FOUND,
        no_route=lambda path: HTML_PAGE,
        seed_by_path=False,
    ),
}
