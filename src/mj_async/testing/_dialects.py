"""What sets each gateway apart: keys, ids, refusals; from the gateways page, not our reader."""

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
    """Take `Authorization` with or without Bearer; only without it `mj-api-secret`."""
    given = headers.get("authorization") or headers.get("mj-api-secret", "")
    return _bare(given) == _bare(key)


def accepts_onehub(headers: Mapping[str, str], key: str) -> bool:
    """Take `mj-api-secret` only, Bearer and sk- allowed before it."""
    return _bare(headers.get("mj-api-secret", "")) == _bare(key)


def accepts_java(headers: Mapping[str, str], key: str) -> bool:
    """Take `mj-api-secret`, to the letter."""
    return headers.get("mj-api-secret") == key


def accepts_csharp(headers: Mapping[str, str], key: str) -> bool:
    """Take the raw key in `Authorization`; where that is present, nothing else counts."""
    return headers.get("authorization", headers.get("mj-api-secret")) == key


def accepts_documented(headers: Mapping[str, str], key: str) -> bool:
    """Take `Authorization: Bearer`."""
    return headers.get("authorization") == f"Bearer {key}"


# --- the gateways -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class GatewayDialect:
    """What sets one gateway apart from the others.

    Args:
        accepts: Whether the headers carry the key as this gateway takes it.
        responses: Its answers that have a name.
        serialize: A task on the wire.
        mode: What may stand before `/mj`, as a regular expression.
        modes: Which of these are known.
        encoding: How ids are read: JSON under any Content-Type, under its own, or a form.
        numbers_are_ids: Whether a number in JSON is taken for an id.
        wrong_encoding: The answer to ids in another encoding.
        malformed_ids: The answer to ids that are none.
        bare_list: Whether a list is answered by one task instead of an array.
        unknown: The answer to an unknown id, for fetch and for image-seed.
        no_route: The answer to an unknown path or a wrong method.
        redirects: Whether a slash too many at the end is answered by a redirect.
        seed_by_path: Whether there is `/mj/task/{id}/image-seed`.
        envelope: Image-seed's answer with (status, code, description, seed).
        repeats_unchanged: Whether a webhook is sent for what is equal to the one before.
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
