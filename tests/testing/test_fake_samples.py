"""The fake gateway beside recorded answers: in the same situation both have the same shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import httpx
import pytest

from _samples import FOLDER, sample
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

ID, OTHER = "1730621826053455", "1730621826053456"
DONE = [(0, "SUCCESS", "100%")]
LIST = "/mj/task/list-by-condition"
FETCH, SEED = f"/mj/task/{ID}/fetch", f"/mj/task/{ID}/image-seed"
KEY = "sk-fake-gateway-key"
KEYS: Mapping[str, Mapping[str, str]] = {
    "newapi": {"authorization": f"Bearer {KEY}"},
    "onehub": {"mj-api-secret": KEY},
    "java": {"mj-api-secret": KEY},
    "csharp": {"authorization": KEY},
    "documented": {"authorization": f"Bearer {KEY}"},
}
JSON, TEXT, PAGE = "application/json", "text/plain", "text/html"
PROBLEM = "application/problem+json"

# --- situations: what the gateway knows, and what it is asked ------------------------------------

Prepare = Callable[[FakeGateway], object]


@attrs.frozen
class Ask:
    """A request of a client's.

    Args:
        path: Of the request.
        options: Further ones of httpx, a method among them.
    """

    path: str = FETCH
    options: Mapping[str, Any] = attrs.field(factory=dict)


def having(timeline: Any = DONE, **fields: Any) -> Prepare:
    """Let the gateway have a task."""
    return lambda gateway: gateway.add_task(ID, timeline, **fields)


def having_two(**fields: Any) -> Prepare:
    """Let the gateway have two tasks."""

    def prepare(gateway: FakeGateway) -> None:
        gateway.add_task(OTHER, [(0, "SUBMITTED", "0%")])
        gateway.add_task(ID, DONE, **fields)

    return prepare


def having_finished(**fields: Any) -> Prepare:
    """Let the gateway have two finished tasks."""

    def prepare(gateway: FakeGateway) -> None:
        for task_id in (OTHER, ID):
            gateway.add_task(task_id, DONE, **fields)

    return prepare


def failing(name: Any) -> Prepare:
    """Let the next answer be one with a name."""
    return lambda gateway: gateway.fail_next(like=name)


def nothing(_gateway: FakeGateway) -> None:
    """Let the gateway know no task."""


def listing(*ids: Any) -> Ask:
    """Ask for a list."""
    return Ask(LIST, {"method": "POST", "json": {"ids": list(ids)}})


def form(method: str, path: str, *ids: str) -> Ask:
    """Ask in the documented form."""
    files = [("ids", (None, one)) for one in ids]
    return Ask(path, {"method": method, "files": files})


FORM = form("POST", LIST, ID, OTHER)
NO_BODY = Ask(LIST, {"method": "POST", "content": b"", "headers": {"content-type": JSON}})
WRONG_KEY = Ask(FETCH, {"headers": {"authorization": "Bearer no", "mj-api-secret": "no"}})
RUNNING = [(0, "IN_PROGRESS", "40%")]
FAILED = [(0, "IN_PROGRESS", "40%"), (0, "FAILURE", "40%")]
VIDEO: Mapping[str, Any] = {
    "action": "VIDEO",
    "image_url": "",
    "video_url": "https://cdn.example/1.mp4",
    "video_urls": [{"url": "https://cdn.example/1.mp4"}],
}

# (sample, its status, its type, what the gateway has, what it is asked)
SPOKEN: list[tuple[str, int, str | None, Prepare, Ask]] = [
    ("newapi/fetch_success.json", 200, JSON, having(), Ask()),
    ("newapi/fetch_in_progress.json", 200, JSON, having(RUNNING), Ask()),
    ("newapi/fetch_not_refreshed.json", 200, JSON, having([(0, "", "0%")]), Ask()),
    ("newapi/fetch_failure_at_100.json", 200, JSON, having(FAILED), Ask()),
    ("newapi/fetch_failure_no_reason.json", 200, JSON, having(FAILED, fail_reason=""), Ask()),
    ("newapi/fetch_video.json", 200, JSON, having(**VIDEO), Ask()),
    ("newapi/unknown_id_400.json", 400, JSON, nothing, Ask()),
    ("newapi/unknown_id_400.json", 400, JSON, nothing, Ask(SEED)),
    ("newapi/list.json", 200, JSON, having_finished(), listing(ID, OTHER)),
    ("newapi/list_none_known.json", 200, JSON, nothing, listing(ID)),
    ("newapi/list_none_known.json", 200, JSON, having(), listing()),
    ("newapi/list_multipart_400.json", 400, TEXT, having_two(), FORM),
    ("newapi/list_multipart_400.json", 400, TEXT, having_two(), NO_BODY),
    ("newapi/list_multipart_400.json", 400, TEXT, having_two(), listing(1, 2)),
    ("newapi/seed.json", 200, TEXT, having(seed="5"), Ask(SEED)),
    ("newapi/seed_unfinished_400.json", 400, TEXT, having(RUNNING), Ask(SEED)),
    ("newapi/seed_no_account_200.json", 200, TEXT, failing("no account"), Ask(SEED)),
    (
        "newapi/seed_no_private_channel_200.json",
        200,
        TEXT,
        failing("no private channel"),
        Ask(SEED),
    ),
    ("newapi/seed_gateway_timeout_400.json", 400, JSON, having(seed="5", seed_asks=2), Ask(SEED)),
    ("newapi/seed_gateway_timeout_400.json", 400, JSON, failing("no time"), Ask(SEED)),
    ("newapi/seed_channel_disabled_400.json", 400, JSON, failing("channel disabled"), Ask(SEED)),
    ("newapi/refused_key_401.json", 401, JSON, nothing, WRONG_KEY),
    ("newapi/refused_key_401.json", 401, JSON, failing("key"), Ask()),
    ("newapi/refused_quota_401.json", 401, JSON, failing("quota"), Ask()),
    ("newapi/refused_model_403.json", 403, JSON, failing("forbidden"), Ask()),
    ("newapi/refused_rate_429.txt", 429, None, failing("rate limit"), Ask()),
    ("newapi/overloaded_429.json", 429, JSON, failing("overloaded"), Ask()),
    ("newapi/overloaded_503.json", 503, JSON, failing("unavailable"), Ask()),
    ("newapi/panic_500.json", 500, JSON, failing("server error"), Ask()),
    ("newapi/unknown_route_200.html", 200, PAGE, having(), Ask("/elsewhere")),
    ("newapi/unknown_route_200.html", 200, PAGE, having(), Ask(FETCH, {"method": "POST"})),
    ("newapi/unknown_route_200.html", 200, PAGE, failing("page"), Ask()),
    ("newapi/redirect_301.html", 301, PAGE, having(), Ask(f"{FETCH}/")),
    ("onehub/fetch_success.json", 200, JSON, having(), Ask()),
    ("onehub/unknown_id_400.json", 400, JSON, nothing, Ask()),
    ("onehub/list.json", 200, JSON, having(), listing(ID)),
    ("onehub/seed.json", 200, TEXT, having(seed="5"), Ask(SEED)),
    ("onehub/refused_key_401.json", 401, JSON, nothing, WRONG_KEY),
    ("onehub/refused_key_401.json", 401, JSON, failing("quota"), Ask()),
    ("onehub/refused_403.json", 403, JSON, failing("forbidden"), Ask()),
    ("onehub/refused_rate_429.json", 429, JSON, failing("rate limit"), Ask()),
    ("onehub/wrong_mode_400.json", 400, JSON, having(), Ask(f"/fast{FETCH}")),
    ("java/fetch_success.json", 200, JSON, having(), Ask()),
    ("java/fetch_failure.json", 200, JSON, having(FAILED), Ask()),
    ("java/fetch_not_started.json", 200, JSON, having([(0, "NOT_START", "0%")]), Ask()),
    (
        "java/fetch_waiting_to_start.json",
        200,
        JSON,
        having([(0, "IN_PROGRESS", "Waiting to start")]),
        Ask(),
    ),
    ("java/fetch_unknown.txt", 200, None, nothing, Ask()),
    ("java/list_none_known.json", 200, JSON, nothing, listing(ID)),
    ("java/list_other_order.json", 200, JSON, having_two(), listing(ID, OTHER)),
    ("java/list_other_order.json", 200, JSON, having_two(), listing(int(ID), int(OTHER))),
    ("java/list_multipart_415.json", 415, JSON, having_two(), FORM),
    ("java/list_empty_body_400.json", 400, JSON, having_two(), NO_BODY),
    ("java/seed_no_route_404.json", 404, JSON, having(seed="5"), Ask(SEED)),
    ("java/refused_key_401.txt", 401, None, nothing, WRONG_KEY),
    ("java/refused_key_401.txt", 401, None, failing("key"), Ask()),
    ("java/error_500.json", 500, JSON, failing("server error"), Ask()),
    ("csharp/fetch_unknown_204.txt", 204, None, nothing, Ask()),
    ("csharp/list_none_known.json", 200, JSON, nothing, listing(ID)),
    ("csharp/list_multipart_415.json", 415, PROBLEM, having_two(), FORM),
    ("csharp/list_numbers_refused_200.json", 200, JSON, having_two(), listing(1)),
    ("csharp/seed.json", 200, JSON, having(seed="5"), Ask(SEED)),
    ("csharp/seed_unknown_404.json", 404, JSON, nothing, Ask(SEED)),
    ("csharp/seed_unfinished_400.json", 400, JSON, having(RUNNING), Ask(SEED)),
    ("csharp/seed_not_found_200.json", 200, JSON, having(), Ask(SEED)),
    ("csharp/seed_timeout_200.json", 200, JSON, having(seed="5", seed_asks=2), Ask(SEED)),
    ("csharp/seed_no_account_200.json", 200, JSON, failing("no account"), Ask(SEED)),
    (
        "csharp/seed_no_private_channel_200.json",
        200,
        JSON,
        failing("no private channel"),
        Ask(SEED),
    ),
    ("csharp/refused_key_401.txt", 401, TEXT, nothing, WRONG_KEY),
    ("csharp/refused_unavailable_403.txt", 403, TEXT, failing("forbidden"), Ask()),
    ("csharp/refused_rate_429.txt", 429, None, failing("rate limit"), Ask()),
    ("csharp/error_business_200.json", 200, JSON, failing("refused"), Ask()),
    ("csharp/error_500.json", 500, JSON, failing("server error"), Ask()),
    ("documented/fetch_winfull.json", 200, JSON, having(), Ask()),
    ("documented/list_zhongzhuan.json", 200, JSON, having(), form("POST", LIST, ID)),
    (
        "documented/seed_winfull.json",
        200,
        JSON,
        having(),
        form("GET", "/mj/task//image-seed", ID, OTHER),
    ),
    (
        "documented/seed_quickrouter.json",
        200,
        JSON,
        having(),
        form("GET", "/mj/task//image-seed", ID),
    ),
    ("nginx/bad_gateway_502.html", 502, PAGE, failing("bad gateway"), Ask()),
]
# These have tests of their own.
ELSEWHERE = [
    "csharp/fetch_accepted.json",
    "csharp/fetch_success.json",
    "csharp/list.json",
    "nginx/unavailable_503.html",
]

NOT_SPOKEN: Mapping[str, str] = {
    "newapi/fetch_odd_buttons.json": "only by fields: odd buttons are an upstream's",
    "newapi/list_twice.json": "the fake has each task once",
    "newapi/no_route_404.txt": "the fake has the pages that such gateways come with",
    "newapi/panic_behind_task_200.txt": "one report; fail_next takes any body",
    "newapi/quota_400.json": "on submitting only",
    "newapi/refused_banned_403.json": "as the other 403, in other words",
    "newapi/refused_key_newer_401.json": "the fake speaks the older form",
    "newapi/seed_channel_failed_400.json": "as a channel that is disabled, in other words",
    "newapi/seed_upstream_empty.json": "behind the fake is a C# gateway that answers",
    "newapi/seed_upstream_html_400.json": "behind the fake is a C# gateway that answers",
    "newapi/seed_upstream_java_404.json": "behind the fake is a C# gateway",
    "newapi/seed_upstream_task_200.json": "behind the fake is a C# gateway",
    "java/fetch_leading_zero.json": "an id like any other to the fake",
    "csharp/fetch_preview.json": "previews are there where an operator asks for them",
    "csharp/refused_black_list_403.txt": "as the other 403, without words",
    "csharp/refused_disabled_401.txt": "as a bad key, in other words",
    "csharp/seed_no_private_channel_old_200.json": "the fake speaks the newer form",
    "documented/fetch_winfull.txt": "a page for people",
    "documented/list_zhongzhuan.txt": "a page for people",
    "documented/seed_quickrouter.txt": "a page for people",
    "documented/seed_winfull.txt": "a page for people",
    "nginx/no_route_404.html": "of no gateway's own; fail_next takes any status",
    "nginx/too_large_413.html": "of no gateway's own; fail_next takes any status",
}
NO_DIALECT = ("plus", "webman")


def shape_of(value: Any) -> Any:
    """Give the keys and types of JSON; a list has those of its elements."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        shapes = {json.dumps(shape_of(one)): shape_of(one) for one in value}
        return list(shapes.values())
    return type(value).__name__


def shape_of_body(body: bytes) -> Any:
    """Give the shape of a body that may be JSON, a page, a line of text, or nothing."""
    try:
        return shape_of(json.loads(body))
    except ValueError:
        start = body.lstrip()[:1]
        return "page" if start == b"<" else "text" if start else "nothing"


async def send(gateway: FakeGateway, ask: Ask) -> httpx.Response:
    """Ask with the key as the dialect takes it, and nothing of ours between."""
    options = dict(ask.options)
    headers = {**KEYS[gateway._dialect], **options.pop("headers", {})}
    async with httpx.AsyncClient(transport=gateway.transport) as client:
        return await client.request(
            options.pop("method", "GET"), gateway.base_url + ask.path, headers=headers, **options
        )


def gateway_of(path: str) -> FakeGateway:
    """Make a gateway that speaks as the one of a sample; before nginx's stands new-api."""
    folder: Any = path.partition("/")[0]
    return FakeGateway("newapi" if folder == "nginx" else folder)


@pytest.mark.parametrize(
    ("path", "status", "content_type", "prepare", "ask"),
    [pytest.param(*row, id=f"{number}-{row[0]}") for number, row in enumerate(SPOKEN)],
)
async def test_the_fake_answers_as_was_recorded(
    path: str, status: int, content_type: str | None, prepare: Prepare, ask: Ask
) -> None:
    """In the same situation the fake's answer has the keys, types, status and type recorded."""
    gateway = gateway_of(path)
    prepare(gateway)

    answer = await send(gateway, ask)
    given_type = answer.headers.get("content-type")

    assert shape_of_body(sample(path)) == shape_of_body(answer.content)
    assert status == answer.status_code
    assert content_type == (given_type and given_type.partition(";")[0])


@pytest.mark.parametrize(
    ("path", "prepare", "ask"),
    [
        ("csharp/fetch_success.json", having(seed="5"), Ask()),
        ("csharp/list.json", having_finished(seed="5"), listing(ID, OTHER)),
    ],
)
async def test_csharp_tells_seeds_that_were_asked_for(
    path: str, prepare: Prepare, ask: Ask
) -> None:
    """What C# gateways tell of a task has its seed, once that was asked for."""
    gateway = FakeGateway("csharp")
    prepare(gateway)
    for task_id in (ID, OTHER):
        await send(gateway, Ask(f"/mj/task/{task_id}/image-seed"))

    assert shape_of_body(sample(path)) == shape_of_body((await send(gateway, ask)).content)


async def test_csharp_has_no_status_at_first() -> None:
    """A task that was only accepted has all keys, and null where nothing has happened."""
    gateway = FakeGateway("csharp")
    gateway.add_task(ID, [(0, "", "")])
    recorded, given = json.loads(sample("csharp/fetch_accepted.json")), await send(gateway, Ask())
    nulls = ("status", "action", "progress", "submitTime", "imageUrl", "imageUrls", "seed", "mode")

    assert set(recorded) == set(given.json())
    assert {None} == {recorded[key] for key in nulls} == {given.json()[key] for key in nulls}


async def test_a_proxy_stands_before_other_gateways() -> None:
    """Where a gateway has no 503 of its own, it is that of the proxy before it."""
    gateway = FakeGateway("java")
    gateway.fail_next(like="unavailable")
    answer = await send(gateway, Ask())

    assert sample("nginx/unavailable_503.html") == answer.content
    assert (503, PAGE) == (answer.status_code, answer.headers["content-type"])


def test_each_sample_is_spoken_or_has_a_reason() -> None:
    """No recorded answer of a dialect's is forgotten, and none has a row for nothing."""
    recorded = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.*")
        if path.parent.name not in NO_DIALECT
    }
    spoken = {row[0] for row in SPOKEN} | set(ELSEWHERE)

    assert recorded == spoken | set(NOT_SPOKEN)
    assert set() == spoken & set(NOT_SPOKEN)


def test_shapes_tell_apart_what_differs() -> None:
    """A wrong type, a missing key and an odd element are other shapes."""
    task = {"id": "1", "times": [1, 2], "buttons": None}

    assert shape_of(task) == shape_of({"id": "2", "times": [3], "buttons": None})
    others: list[dict[str, Any]] = [
        {"id": 1},
        {"times": [1, "2"]},
        {"buttons": []},
        {"new": True},
    ]
    for other in others:
        assert shape_of(task) != shape_of({**task, **other})
