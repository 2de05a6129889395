"""The fake gateway and recorded answers: in the same situation, both have the same shape."""

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
KEY_HEADERS: Mapping[str, Mapping[str, str]] = {
    "newapi": {"authorization": f"Bearer {KEY}"},
    "onehub": {"mj-api-secret": KEY},
    "java": {"mj-api-secret": KEY},
    "csharp": {"authorization": KEY},
    "documented": {"authorization": f"Bearer {KEY}"},
}
JSON, TEXT, PAGE = "application/json", "text/plain", "text/html"
PROBLEM = "application/problem+json"

# --- situations: the tasks of the gateway, and a request ------------------------------------------

Prepare = Callable[[FakeGateway], object]


@attrs.frozen
class Request:
    """A request.

    Args:
        path: The path.
        options: Further options of httpx, such as the method.
    """

    path: str = FETCH
    options: Mapping[str, Any] = attrs.field(factory=dict)


def with_task(timeline: Any = DONE, **fields: Any) -> Prepare:
    """Return a function that adds a task."""
    return lambda gateway: gateway.add_task(ID, timeline, **fields)


def with_two_tasks(**fields: Any) -> Prepare:
    """Return a function that adds two tasks."""

    def prepare(gateway: FakeGateway) -> None:
        gateway.add_task(OTHER, [(0, "SUBMITTED", "0%")])
        gateway.add_task(ID, DONE, **fields)

    return prepare


def with_finished_tasks(**fields: Any) -> Prepare:
    """Return a function that adds two finished tasks."""

    def prepare(gateway: FakeGateway) -> None:
        for task_id in (OTHER, ID):
            gateway.add_task(task_id, DONE, **fields)

    return prepare


def failing(name: Any) -> Prepare:
    """Return a function that makes the next request fail, with a named response."""
    return lambda gateway: gateway.fail_next(like=name)


def no_tasks(_gateway: FakeGateway) -> None:
    """Add no task."""


def listing(*ids: Any) -> Request:
    """Return a request for a list."""
    return Request(LIST, {"method": "POST", "json": {"ids": list(ids)}})


def form(method: str, path: str, *ids: str) -> Request:
    """Return a request with the documented multipart form."""
    files = [("ids", (None, one)) for one in ids]
    return Request(path, {"method": method, "files": files})


FORM = form("POST", LIST, ID, OTHER)
NO_BODY = Request(LIST, {"method": "POST", "content": b"", "headers": {"content-type": JSON}})
WRONG_KEY = Request(FETCH, {"headers": {"authorization": "Bearer no", "mj-api-secret": "no"}})
RUNNING = [(0, "IN_PROGRESS", "40%")]
FAILED = [(0, "IN_PROGRESS", "40%"), (0, "FAILURE", "40%")]
VIDEO: Mapping[str, Any] = {
    "action": "VIDEO",
    "image_url": "",
    "video_url": "https://cdn.example/1.mp4",
    "video_urls": [{"url": "https://cdn.example/1.mp4"}],
}

# (sample, its status, its Content-Type, the tasks, the request)
COVERED: list[tuple[str, int, str | None, Prepare, Request]] = [
    ("newapi/fetch_success.json", 200, JSON, with_task(), Request()),
    ("newapi/fetch_in_progress.json", 200, JSON, with_task(RUNNING), Request()),
    ("newapi/fetch_not_refreshed.json", 200, JSON, with_task([(0, "", "0%")]), Request()),
    ("newapi/fetch_failure_at_100.json", 200, JSON, with_task(FAILED), Request()),
    (
        "newapi/fetch_failure_no_reason.json",
        200,
        JSON,
        with_task(FAILED, fail_reason=""),
        Request(),
    ),
    ("newapi/fetch_video.json", 200, JSON, with_task(**VIDEO), Request()),
    ("newapi/unknown_id_400.json", 400, JSON, no_tasks, Request()),
    ("newapi/unknown_id_400.json", 400, JSON, no_tasks, Request(SEED)),
    ("newapi/list.json", 200, JSON, with_finished_tasks(), listing(ID, OTHER)),
    ("newapi/list_none_known.json", 200, JSON, no_tasks, listing(ID)),
    ("newapi/list_none_known.json", 200, JSON, with_task(), listing()),
    ("newapi/list_multipart_400.json", 400, TEXT, with_two_tasks(), FORM),
    ("newapi/list_multipart_400.json", 400, TEXT, with_two_tasks(), NO_BODY),
    ("newapi/list_multipart_400.json", 400, TEXT, with_two_tasks(), listing(1, 2)),
    ("newapi/seed.json", 200, TEXT, with_task(seed="5"), Request(SEED)),
    ("newapi/seed_unfinished_400.json", 400, TEXT, with_task(RUNNING), Request(SEED)),
    ("newapi/seed_no_account_200.json", 200, TEXT, failing("no account"), Request(SEED)),
    (
        "newapi/seed_no_private_channel_200.json",
        200,
        TEXT,
        failing("no private channel"),
        Request(SEED),
    ),
    (
        "newapi/seed_gateway_timeout_400.json",
        400,
        JSON,
        with_task(seed="5", seed_asks=2),
        Request(SEED),
    ),
    ("newapi/seed_gateway_timeout_400.json", 400, JSON, failing("no time"), Request(SEED)),
    (
        "newapi/seed_channel_disabled_400.json",
        400,
        JSON,
        failing("channel disabled"),
        Request(SEED),
    ),
    ("newapi/refused_key_401.json", 401, JSON, no_tasks, WRONG_KEY),
    ("newapi/refused_key_401.json", 401, JSON, failing("key"), Request()),
    ("newapi/refused_quota_401.json", 401, JSON, failing("quota"), Request()),
    ("newapi/refused_model_403.json", 403, JSON, failing("forbidden"), Request()),
    ("newapi/refused_rate_429.txt", 429, None, failing("rate limit"), Request()),
    ("newapi/overloaded_429.json", 429, JSON, failing("overloaded"), Request()),
    ("newapi/overloaded_503.json", 503, JSON, failing("unavailable"), Request()),
    ("newapi/panic_500.json", 500, JSON, failing("server error"), Request()),
    ("newapi/unknown_route_200.html", 200, PAGE, with_task(), Request("/elsewhere")),
    ("newapi/unknown_route_200.html", 200, PAGE, with_task(), Request(FETCH, {"method": "POST"})),
    ("newapi/unknown_route_200.html", 200, PAGE, failing("page"), Request()),
    ("newapi/redirect_301.html", 301, PAGE, with_task(), Request(f"{FETCH}/")),
    ("onehub/fetch_success.json", 200, JSON, with_task(), Request()),
    ("onehub/unknown_id_400.json", 400, JSON, no_tasks, Request()),
    ("onehub/list.json", 200, JSON, with_task(), listing(ID)),
    ("onehub/seed.json", 200, TEXT, with_task(seed="5"), Request(SEED)),
    ("onehub/refused_key_401.json", 401, JSON, no_tasks, WRONG_KEY),
    ("onehub/refused_key_401.json", 401, JSON, failing("quota"), Request()),
    ("onehub/refused_403.json", 403, JSON, failing("forbidden"), Request()),
    ("onehub/refused_rate_429.json", 429, JSON, failing("rate limit"), Request()),
    ("onehub/wrong_mode_400.json", 400, JSON, with_task(), Request(f"/fast{FETCH}")),
    ("java/fetch_success.json", 200, JSON, with_task(), Request()),
    ("java/fetch_failure.json", 200, JSON, with_task(FAILED), Request()),
    ("java/fetch_not_started.json", 200, JSON, with_task([(0, "NOT_START", "0%")]), Request()),
    (
        "java/fetch_waiting_to_start.json",
        200,
        JSON,
        with_task([(0, "IN_PROGRESS", "Waiting to start")]),
        Request(),
    ),
    ("java/fetch_unknown.txt", 200, None, no_tasks, Request()),
    ("java/list_none_known.json", 200, JSON, no_tasks, listing(ID)),
    ("java/list_other_order.json", 200, JSON, with_two_tasks(), listing(ID, OTHER)),
    ("java/list_other_order.json", 200, JSON, with_two_tasks(), listing(int(ID), int(OTHER))),
    ("java/list_multipart_415.json", 415, JSON, with_two_tasks(), FORM),
    ("java/list_empty_body_400.json", 400, JSON, with_two_tasks(), NO_BODY),
    ("java/seed_no_route_404.json", 404, JSON, with_task(seed="5"), Request(SEED)),
    ("java/refused_key_401.txt", 401, None, no_tasks, WRONG_KEY),
    ("java/refused_key_401.txt", 401, None, failing("key"), Request()),
    ("java/error_500.json", 500, JSON, failing("server error"), Request()),
    ("csharp/fetch_unknown_204.txt", 204, None, no_tasks, Request()),
    ("csharp/list_none_known.json", 200, JSON, no_tasks, listing(ID)),
    ("csharp/list_multipart_415.json", 415, PROBLEM, with_two_tasks(), FORM),
    ("csharp/list_numbers_refused_200.json", 200, JSON, with_two_tasks(), listing(1)),
    ("csharp/seed.json", 200, JSON, with_task(seed="5"), Request(SEED)),
    ("csharp/seed_unknown_404.json", 404, JSON, no_tasks, Request(SEED)),
    ("csharp/seed_unfinished_400.json", 400, JSON, with_task(RUNNING), Request(SEED)),
    ("csharp/seed_not_found_200.json", 200, JSON, with_task(), Request(SEED)),
    ("csharp/seed_timeout_200.json", 200, JSON, with_task(seed="5", seed_asks=2), Request(SEED)),
    ("csharp/seed_no_account_200.json", 200, JSON, failing("no account"), Request(SEED)),
    (
        "csharp/seed_no_private_channel_200.json",
        200,
        JSON,
        failing("no private channel"),
        Request(SEED),
    ),
    ("csharp/refused_key_401.txt", 401, TEXT, no_tasks, WRONG_KEY),
    ("csharp/refused_unavailable_403.txt", 403, TEXT, failing("forbidden"), Request()),
    ("csharp/refused_rate_429.txt", 429, None, failing("rate limit"), Request()),
    ("csharp/error_business_200.json", 200, JSON, failing("refused"), Request()),
    ("csharp/error_500.json", 500, JSON, failing("server error"), Request()),
    ("documented/fetch_winfull.json", 200, JSON, with_task(), Request()),
    ("documented/list_zhongzhuan.json", 200, JSON, with_task(), form("POST", LIST, ID)),
    (
        "documented/seed_winfull.json",
        200,
        JSON,
        with_task(),
        form("GET", "/mj/task//image-seed", ID, OTHER),
    ),
    (
        "documented/seed_quickrouter.json",
        200,
        JSON,
        with_task(),
        form("GET", "/mj/task//image-seed", ID),
    ),
    ("nginx/bad_gateway_502.html", 502, PAGE, failing("bad gateway"), Request()),
]
# These have their own tests.
ELSEWHERE = [
    "csharp/fetch_accepted.json",
    "csharp/fetch_success.json",
    "csharp/list.json",
    "nginx/unavailable_503.html",
]

NOT_COVERED: Mapping[str, str] = {
    "newapi/fetch_odd_buttons.json": "use fields: such buttons come from an upstream",
    "newapi/list_twice.json": "the fake has each task once",
    "newapi/no_route_404.txt": "the fake has the pages that such gateways come with",
    "newapi/panic_behind_task_200.txt": "one report; fail_next accepts any body",
    "newapi/quota_400.json": "on submitting only",
    "newapi/refused_banned_403.json": "as the other 403, in other words",
    "newapi/refused_key_newer_401.json": "the fake has the older form",
    "newapi/seed_channel_failed_400.json": "as a channel that is disabled, in other words",
    "newapi/seed_upstream_empty.json": "behind the fake is a C# gateway that answers",
    "newapi/seed_upstream_html_400.json": "behind the fake is a C# gateway that answers",
    "newapi/seed_upstream_java_404.json": "behind the fake is a C# gateway",
    "newapi/seed_upstream_task_200.json": "behind the fake is a C# gateway",
    "java/fetch_leading_zero.json": "for the fake, an id like any other",
    "csharp/fetch_preview.json": "only if the operator has enabled previews",
    "csharp/refused_black_list_403.txt": "as the other 403, without words",
    "csharp/refused_disabled_401.txt": "as a bad key, in other words",
    "csharp/seed_no_private_channel_old_200.json": "the fake has the newer form",
    "documented/fetch_winfull.txt": "documentation, not JSON",
    "documented/list_zhongzhuan.txt": "documentation, not JSON",
    "documented/seed_quickrouter.txt": "documentation, not JSON",
    "documented/seed_winfull.txt": "documentation, not JSON",
    "nginx/no_route_404.html": "not of a gateway; fail_next accepts any status",
    "nginx/too_large_413.html": "not of a gateway; fail_next accepts any status",
}
NO_DIALECT = ("plus", "webman")


def shape_of(value: Any) -> Any:
    """Return the keys and types of JSON; for a list, the different ones of its elements."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        shapes = {json.dumps(shape_of(one)): shape_of(one) for one in value}
        return list(shapes.values())
    return type(value).__name__


def shape_of_body(body: bytes) -> Any:
    """Return the shape of a body: of JSON, or "page", "text" or "nothing"."""
    try:
        return shape_of(json.loads(body))
    except ValueError:
        start = body.lstrip()[:1]
        return "page" if start == b"<" else "text" if start else "nothing"


async def send(gateway: FakeGateway, call: Request) -> httpx.Response:
    """Send a request with the key as the dialect accepts it, by httpx alone."""
    options = dict(call.options)
    headers = {**KEY_HEADERS[gateway._dialect], **options.pop("headers", {})}
    async with httpx.AsyncClient(transport=gateway.transport) as client:
        return await client.request(
            options.pop("method", "GET"),
            gateway.base_url + call.path,
            headers=headers,
            **options,
        )


def gateway_of(path: str) -> FakeGateway:
    """Return a gateway in the dialect of a sample; behind nginx it is new-api."""
    folder: Any = path.partition("/")[0]
    return FakeGateway("newapi" if folder == "nginx" else folder)


@pytest.fixture
def anyio_backend() -> str:
    """Return one event loop: the answers do not depend on it."""
    return "asyncio"


@pytest.mark.parametrize(
    ("path", "status", "content_type", "prepare", "call"),
    [pytest.param(*row, id=f"{number}-{row[0]}") for number, row in enumerate(COVERED)],
)
async def test_the_fake_answers_as_was_recorded(
    path: str, status: int, content_type: str | None, prepare: Prepare, call: Request
) -> None:
    """In the same situation, the response has the recorded shape, status and Content-Type."""
    gateway = gateway_of(path)
    prepare(gateway)

    answer = await send(gateway, call)
    given_type = answer.headers.get("content-type")

    assert shape_of_body(sample(path)) == shape_of_body(answer.content)
    assert status == answer.status_code
    assert content_type == (given_type and given_type.partition(";")[0])


@pytest.mark.parametrize(
    ("path", "prepare", "call"),
    [
        ("csharp/fetch_success.json", with_task(seed="5"), Request()),
        ("csharp/list.json", with_finished_tasks(seed="5"), listing(ID, OTHER)),
    ],
)
async def test_csharp_shows_seeds_that_were_requested(
    path: str, prepare: Prepare, call: Request
) -> None:
    """The C# gateway returns the seed with a task after it was requested."""
    gateway = FakeGateway("csharp")
    prepare(gateway)
    for task_id in (ID, OTHER):
        await send(gateway, Request(f"/mj/task/{task_id}/image-seed"))

    assert shape_of_body(sample(path)) == shape_of_body((await send(gateway, call)).content)


async def test_csharp_has_no_status_at_first() -> None:
    """An accepted task has all keys, and null for everything that has not happened."""
    gateway = FakeGateway("csharp")
    gateway.add_task(ID, [(0, "", "")])
    recorded, given = (
        json.loads(sample("csharp/fetch_accepted.json")),
        await send(gateway, Request()),
    )
    nulls = ("status", "action", "progress", "submitTime", "imageUrl", "imageUrls", "seed", "mode")

    assert set(recorded) == set(given.json())
    assert {None} == {recorded[key] for key in nulls} == {given.json()[key] for key in nulls}


async def test_the_503_of_a_proxy() -> None:
    """If a gateway has no response with 503, "unavailable" is that of nginx."""
    gateway = FakeGateway("java")
    gateway.fail_next(like="unavailable")
    answer = await send(gateway, Request())

    assert sample("nginx/unavailable_503.html") == answer.content
    assert (503, PAGE) == (answer.status_code, answer.headers["content-type"])


def test_each_sample_is_covered_or_has_a_reason() -> None:
    """Each recorded answer of a dialect is in one of the tables, and in one only."""
    recorded = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.*")
        if path.parent.name not in NO_DIALECT
    }
    covered = {row[0] for row in COVERED} | set(ELSEWHERE)

    assert recorded == covered | set(NOT_COVERED)
    assert set() == covered & set(NOT_COVERED)


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
