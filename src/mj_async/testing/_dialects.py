"""What sets each gateway apart: keys, ids, refusals; from the gateways page, not our reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ._parts import Answer, as_json
from ._writers import write_csharp, write_documented, write_java, write_newapi

if TYPE_CHECKING:
    from ._parts import Moment

_PAGE = b"<!doctype html><html><head><title>Gateway</title></head><body></body></html>"
_PLAIN = "text/plain; charset=utf-8"


def _page() -> Answer:
    return Answer(200, _PAGE, {"content-type": "text/html"})


def _upstream_error(
    description: str, code: int = 4, content_type: str = "application/json"
) -> Answer:
    body = {"description": f"{description} ", "type": "upstream_error", "code": code}
    return as_json(body, 400, content_type)


def _spring_error(status: int, error: str, path: str) -> Answer:
    body = {
        "timestamp": "2024-11-03T08:17:06.053+00:00",
        "status": status,
        "error": error,
        "path": path,
    }
    return as_json(body, status)


def envelope(
    status: int,
    code: int,
    description: str,
    result: str | None,
    content_type: str = "application/json",
) -> Answer:
    """Answer image-seed as every gateway that has it does."""
    body = {"code": code, "description": description, "result": result, "properties": {}}
    return as_json(body, status, content_type)


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


def _refuse_in_go(kind: str) -> Answer:
    message = "无效的令牌 (request id: 20241103081706053)"
    return as_json({"error": {"message": message, "type": kind}}, 401)


# --- the gateways -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class GatewayDialect:
    """What sets one gateway apart from the others.

    Args:
        accepts: Whether the headers carry the key as this gateway takes it.
        refusal: The answer to a bad key.
        write: A task on the wire.
        mode: What may stand before `/mj`, as a regular expression.
        encoding: How ids are read: "json" or "multipart".
        not_understood: The answer to ids in another encoding.
        bare_list: Whether a list is answered by one task instead of an array.
        unknown: The answer to an unknown id, for fetch and for image-seed.
        no_route: The answer to an unknown path or a wrong method.
        seed_by_path: Whether there is `/mj/task/{id}/image-seed`.
        seed_content_type: What image-seed calls its JSON.
        late: What image-seed answers where the seed is not yet there.
    """

    accepts: Callable[[Mapping[str, str], str], bool]
    refusal: Answer
    write: Callable[[Moment, str | None, float], dict[str, Any]]
    mode: str = ""
    encoding: str = "json"
    not_understood: Answer
    bare_list: bool = False
    unknown: Mapping[str, Answer]
    no_route: Callable[[str], Answer]
    seed_by_path: bool = True
    seed_content_type: str = "application/json"
    late: Answer = _upstream_error("do_request_failed", code=5)


_TASK_NO_FOUND = {
    "fetch": _upstream_error("task_no_found"),
    "image-seed": _upstream_error("task_no_found"),
}
_IN_GO: dict[str, Any] = {
    "write": write_newapi,
    "not_understood": _upstream_error("do_request_failed", content_type=_PLAIN),
    "unknown": _TASK_NO_FOUND,
    "no_route": lambda path: _page(),
    "seed_content_type": _PLAIN,
}

DIALECTS: Mapping[str, GatewayDialect] = {
    "newapi": GatewayDialect(
        accepts=accepts_newapi, refusal=_refuse_in_go("new_api_error"), mode=r"[^/]+", **_IN_GO
    ),
    "onehub": GatewayDialect(
        accepts=accepts_onehub,
        refusal=_refuse_in_go("one_hub_error"),
        mode=r"mj-(?:fast|turbo|relax)",
        **_IN_GO,
    ),
    "java": GatewayDialect(
        accepts=accepts_java,
        refusal=Answer(401),
        write=write_java,
        not_understood=_spring_error(415, "Unsupported Media Type", "/mj/task/list-by-condition"),
        unknown={"fetch": Answer(200)},
        no_route=lambda path: _spring_error(404, "Not Found", path),
        seed_by_path=False,
    ),
    "csharp": GatewayDialect(
        accepts=accepts_csharp,
        refusal=Answer(401, b"Authorization header missing.", {"content-type": _PLAIN}),
        write=write_csharp,
        mode=r"mj-(?:fast|turbo|relax)",
        not_understood=as_json(
            {"type": "about:blank", "title": "Unsupported Media Type", "status": 415},
            415,
            "application/problem+json",
        ),
        unknown={
            "fetch": Answer(204),
            "image-seed": envelope(404, 3, "关联任务不存在或已失效", None),
        },
        no_route=lambda path: Answer(404),
        late=envelope(200, 9, "超时，未找到 seed messageId", None),
    ),
    "documented": GatewayDialect(
        accepts=accepts_documented,
        refusal=_refuse_in_go("new_api_error"),
        write=write_documented,
        encoding="multipart",
        not_understood=_upstream_error("do_request_failed"),
        bare_list=True,
        unknown=_TASK_NO_FOUND,
        no_route=lambda path: _page(),
        seed_by_path=False,
    ),
}
