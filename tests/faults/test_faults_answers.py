"""Faults 24, 25, 28, 29 and 43: unusable answers, on real sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from _http_server import KEY, ONCE, TASK, HTTPServer, RawResponse, client_of, on_asyncio

from mj_async import DOCUMENTED, AsyncMJClient, Dialect, errors

pytestmark = pytest.mark.anyio

LOGIN = b"<!DOCTYPE html><html><title>Log in</title>" + b"<p>x</p>" * 100
HTML = b"Content-Type: text/html; charset=utf-8\r\n"
JSON_DIALECT = Dialect(auth="bearer", ids="json", seed="path")
UNKNOWN = errors.TaskNotFoundError
ODD = errors.UnexpectedAnswerError
Call = Callable[[AsyncMJClient], Any]
CALLS: dict[str, Call] = {
    "fetch": lambda client: client.fetch_task("1"),
    "list": lambda client: client.list_tasks(["1"]),
    "seed": lambda client: client.image_seed("1"),
}
each_call = pytest.mark.parametrize("call", CALLS)


async def results_of(answer: RawResponse, *calls: str, **options: Any) -> list[Any]:
    """Return the results, or the errors, of calls to a gateway that always sends this answer."""
    results: list[Any] = []
    with HTTPServer(answer) as server:
        async with client_of(
            server, **{"retry": ONCE, "dialect": JSON_DIALECT, **options}
        ) as client:
            for name in calls:
                try:
                    results.append(await CALLS[name](client))
                except errors.MJError as error:
                    results.append(error)
    return results


async def result_of(answer: RawResponse, call: str, **options: Any) -> Any:
    """Return the result, or the error, of one such call."""
    return (await results_of(answer, call, **options))[0]


@on_asyncio
@each_call
async def test_fault_24_a_500_with_html_is_a_server_error(call: str) -> None:
    """A page with status 500 is a ServerError, and its text is not quoted."""
    error = await result_of(RawResponse(LOGIN, 500, HTML), call)

    assert (errors.ServerError, 500) == (type(error), error.status_code)
    assert "<" not in str(error)


@on_asyncio
@each_call
async def test_fault_24_a_login_page_is_named_as_such(call: str) -> None:
    """A page with status 200 is unexpected: the error has its status, type and beginning."""
    error = await result_of(RawResponse(LOGIN, 200, HTML), call)

    assert (ODD, "html", 200) == (type(error), error.reason, error.status_code)
    assert "text/html; charset=utf-8" == error.content_type
    assert LOGIN.decode()[:200] == error.snippet
    assert "check base_url" in str(error)


async def test_fault_24_the_key_in_a_page_is_not_quoted() -> None:
    """A page that repeats the key is quoted without the key, at any length."""
    for filler in (10, 170, 185, 195):
        page = b"<p>" + b"x" * filler + KEY.encode() + b" refused</p>"
        error = await result_of(RawResponse(page, 200, HTML), "fetch")

        assert "html" == error.reason
        assert KEY[:8] not in f"{error}{vars(error)}"


@on_asyncio
@pytest.mark.parametrize(
    "content_type",
    [
        b"text/plain", b"text/html", b"application/json; charset=klingon", b"; charset=utf-16",
        b"application/json; charset=\xff", b"multipart/form-data", b"image/png",
    ],
)  # fmt: skip
async def test_fault_24_json_is_read_whatever_it_is_called(content_type: bytes) -> None:
    """JSON is read under any Content-Type and any charset."""
    answer = RawResponse(TASK, 200, b"Content-Type: %s\r\n" % content_type)

    fetched, listed = await results_of(answer, "fetch", "list")

    assert ("1", ["1"]) == (fetched.id, [task.id for task in listed])


@on_asyncio
@pytest.mark.parametrize(
    ("body", "fetched", "listed", "seed"),
    [
        (b"", UNKNOWN, ("1",), UNKNOWN),
        (b" \r\n\t", UNKNOWN, ("1",), UNKNOWN),
        (b"null", UNKNOWN, ("1",), UNKNOWN),
        (b"[]", ODD, ("1",), ODD),
        (b"{}", ODD, ODD, ODD),
        (b'"str"', ODD, ODD, ODD),
        (b"5", ODD, ODD, ODD),
        (b"1.5", ODD, ODD, ODD),
        (b"true", ODD, ODD, ODD),
        (b"false", ODD, ODD, ODD),
        (b"[5]", ODD, ODD, ODD),
        (b'["1"]', ODD, ODD, ODD),
        (b"[[]]", ODD, ODD, ODD),
        (b"[null]", ODD, ("1",), ODD),
        (b'{"data":5}', ODD, ODD, ODD),
        (b'{"result":null}', ODD, ODD, ODD),
        (b"\x00\x01\x02", ODD, ODD, ODD),
        (b"ok", ODD, ODD, ODD),
    ],
    ids=repr,
)
async def test_fault_25_a_wrong_root_is_a_result_or_an_error_of_ours(
    body: bytes, fetched: type, listed: Any, seed: type
) -> None:
    """An empty body means an unknown id; any other JSON without a task is unexpected."""
    got = await results_of(RawResponse(body), "fetch", "list", "seed")

    assert (fetched, seed) == (type(got[0]), type(got[2]))
    assert listed == getattr(got[1], "missing", type(got[1]))


async def test_fault_25_no_content_is_nothing() -> None:
    """A 204 means an unknown id, as an empty body does."""
    fetched, listed, seed = await results_of(RawResponse(b"", 204), "fetch", "list", "seed")

    assert (UNKNOWN, UNKNOWN) == (type(fetched), type(seed))
    assert ("1",) == listed.missing


@on_asyncio
@pytest.mark.parametrize("dialect", [JSON_DIALECT, DOCUMENTED], ids=["json", "documented"])
async def test_fault_28_another_host_gets_no_byte(dialect: Dialect) -> None:
    """A redirect to another port is not followed, and no byte is sent there."""
    with HTTPServer(RawResponse()) as other:
        targets = [other.base_url, other.base_url.replace("http:", ""), "https://1.invalid"]
        for status, target in itertools.product([301, 302, 303, 307, 308], targets):
            moved = RawResponse(b"", status, b"Location: %s/mj/task/1/fetch\r\n" % target.encode())
            for error in await results_of(moved, *CALLS, dialect=dialect):
                assert (ODD, "redirect", status) == (type(error), error.reason, error.status_code)

    assert 0 == other.connections


async def test_fault_28_a_client_that_follows_does_not_follow_for_us() -> None:
    """The caller's http_client with follow_redirects=True follows no redirect either."""
    with HTTPServer(RawResponse()) as other:
        moved = RawResponse(b"", 302, b"Location: %s/\r\n" % other.base_url.encode())
        async with httpx.AsyncClient(follow_redirects=True) as http_client:
            error = await result_of(moved, "fetch", http_client=http_client)

    assert ("redirect", 0) == (error.reason, other.connections)


@on_asyncio
@pytest.mark.parametrize(
    "headers",
    [
        b"Location: /mj/task/1/fetch\r\n",  # the address itself: a loop
        b"Location: \r\n",
        b"",
        b"Location: http://[\r\n",
        b"Location: http://\xff\xfe:99999999/\r\n",
        b"Location: //\r\n",
        b"Location: javascript:alert(1)\r\n",
        b"Location: /a\r\nLocation: /b\r\n",
        b"Location: " + b"/a" * 20_000 + b"\r\n",
    ],
    ids=lambda headers: repr(headers[:40]),
)
async def test_fault_29_a_bad_location_is_a_redirect_all_the_same(headers: bytes) -> None:
    """A loop, a missing and a malformed Location give the same error, after one request."""
    statuses = [300, 301, 302, 307]
    answers = iter([RawResponse(b"moved", status, headers) for status in statuses])
    with HTTPServer(lambda _: next(answers)) as server:
        async with client_of(server) as client:
            for _ in statuses:
                with pytest.raises(ODD, match="redirect"):
                    await client.fetch_task("1")

    assert len(statuses) == len(server.seen)


async def test_fault_29_not_modified_is_no_answer() -> None:
    """A 304 is unexpected, for no request was conditional."""
    error = await result_of(RawResponse(b"", 304), "fetch")

    assert (ODD, 304) == (type(error), error.status_code)


OTHER = b'{"id":"2","status":"SUCCESS","seed":"7","imageUrl":"https://cdn.example/2.png"}'


@on_asyncio
@pytest.mark.parametrize("wrapped", [b"%s", b'{"data":%s}', b'{"code":1,"result":%s}'])
async def test_fault_43_an_answer_about_another_task_is_refused(wrapped: bytes) -> None:
    """A task with another id is never returned by a fetch, a list or a seed call."""
    answer = RawResponse(wrapped % OTHER)

    fetched, listed, seed = await results_of(answer, "fetch", "list", "seed")
    documented = await result_of(answer, "seed", dialect=DOCUMENTED)

    assert ["other task"] * 3 == [error.reason for error in (fetched, seed, documented)]
    assert ("1",) == listed.missing


async def test_fault_43_a_list_keeps_only_what_was_asked_for() -> None:
    """Tasks in a list that were not requested are left out."""
    answer = RawResponse(b"[%s,%s]" % (OTHER, TASK))

    listed = await result_of(answer, "list")

    assert (["1"], ()) == ([task.id for task in listed], listed.missing)
