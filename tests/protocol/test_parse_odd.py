"""Answers that are not of this API: the same for every call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from _samples import PAGE, PLAIN, TASK_ID, response_to, sample
from mj_async import errors
from mj_async._protocol.parse import parse_list_response, parse_seed_response, parse_task_response
from mj_async._protocol.response import APIResponse

PARSERS: list[Callable[[APIResponse], Any]] = [
    parse_task_response,
    parse_list_response,
    partial(parse_seed_response, source="image-seed"),
    partial(parse_seed_response, source="documented"),
]
TASK = sample("newapi/fetch_success.json")
LEVELS = 100_000


def task_with(value: bytes) -> bytes:
    """Return a task with one more key."""
    return b'{"id":"1730621826053455","status":"SUCCESS","more":' + value + b"}"


NOT_THIS_API: list[Any] = [
    ("html", "newapi: unknown route is 200 with a page", "newapi/unknown_route_200.html", 200),
    ("html", "a page behind a byte order mark", b"\xef\xbb\xbf \n<!DOCTYPE html>", 200),
    ("html", "nginx: 413 with a page", "nginx/too_large_413.html", 413),
    ("html", "a 400 with a page", b"<html></html>", 400),
    ("redirect", "newapi: 301 for a slash too much", "newapi/redirect_301.html", 301),
    ("redirect", "302, empty", b"", 302),
    ("redirect", "307, empty", b"", 307),
    ("redirect", "308 with JSON", TASK, 308),
    ("json", "words with a 200", b"A server error has occurred", 200),
    ("json", "newapi: a panic behind a task", "newapi/panic_behind_task_200.txt", 200),
    ("json", "a task twice", TASK + TASK, 200),
    ("json", "a text behind a task", TASK + b" and more {}", 200),
    ("json", "an object that says nothing", b"{}", 200),
    ("json", "an object of other things", b'{"object":"model"}', 200),
    ("json", "a list of numbers", b"[1]", 200),
    ("json", "a text", b'"task_no_found"', 200),
    ("json", "a number", b"5", 200),
    ("json", "true", b"true", 200),
    ("json", "not a number", task_with(b"NaN"), 200),
    ("json", "infinity", task_with(b"-Infinity"), 200),
    ("json", "a number beyond all bounds", task_with(b"1e400"), 200),
    ("json", "half a surrogate pair", task_with(rb'"\ud83d"'), 200),
    ("json", "the other half", task_with(rb'"\ude00\ud83d"'), 200),
    ("json", "latin-1", task_with('"für"'.encode("latin-1")), 200),
    ("json", "utf-16", TASK.decode().encode("utf-16"), 200),
    ("json", "a control character in a text", task_with(b'"a\nb"'), 200),
    ("json", "nested too deeply to be read", b"[" * LEVELS + b"]" * LEVELS, 200),
    ("json", "a task nested too deeply", task_with(b"[" * LEVELS + b"]" * LEVELS), 200),
    ("json", "a task nested 100 levels", task_with(b"[" * 100 + b"]" * 100), 200),
    ("json", "objects nested 100 levels", task_with(b'{"a":' * 100 + b"1" + b"}" * 100), 200),
    ("cut short", "a task cut in a key", TASK[:30], 200),
    ("cut short", "a task cut in a character", TASK[: TASK.index("🔄".encode()) + 2], 200),
    ("cut short", "a task without its last bracket", TASK.rstrip(b"}"), 200),
    ("cut short", "a list cut in the middle", b"[" + TASK[:-3], 200),
    ("cut short", "a list cut behind a task", b"[" + TASK, 200),
    ("cut short", "nested deeply and cut", b"[" * LEVELS, 200),
    ("cut short", "cut behind a byte order mark", b"\xef\xbb\xbf{", 200),
]


@pytest.mark.parametrize(
    ("reason", "body", "status"),
    [pytest.param(row[0], *row[2:], id=row[1]) for row in NOT_THIS_API],
)
def test_what_is_not_this_api(reason: str, body: bytes | str, status: int) -> None:
    """Pages, redirects and bodies without JSON are told apart by the body, not by its type."""
    for parse, headers in product(PARSERS, ({}, PLAIN, PAGE)):
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            parse(response_to(body, status, headers))

        assert (reason, status) == (caught.value.reason, caught.value.status_code)
        assert TASK_ID == caught.value.task_id
        assert headers.get("content-type", "application/json") == caught.value.content_type


REFUSED_BY_STATUS: list[Any] = [
    ("nginx/no_route_404.html", 404, errors.UnsupportedError),
    ("java/seed_no_route_404.json", 404, errors.UnsupportedError),
    ("newapi/seed_upstream_java_404.json", 404, errors.UnsupportedError),
    ("newapi/no_route_404.txt", 404, errors.UnsupportedError),
    (b"", 404, errors.UnsupportedError),
    (b"", 405, errors.UnsupportedError),
    (b"<html></html>", 405, errors.UnsupportedError),
    (b'{"error":"Not Implemented"}', 501, errors.UnsupportedError),
    ("csharp/seed_unknown_404.json", 404, errors.TaskNotFoundError),
    ("newapi/unknown_id_400.json", 400, errors.TaskNotFoundError),
    (b"", 408, errors.ServerError),
    (b"", 425, errors.ServerError),
    ("nginx/bad_gateway_502.html", 502, errors.ServerError),
    ("nginx/unavailable_503.html", 503, errors.ServerError),
    (b"<html></html>", 504, errors.ServerError),
    (b"error code: 520", 520, errors.ServerError),
    ("java/error_500.json", 500, errors.ServerError),
    ("newapi/panic_500.json", 500, errors.ServerError),
    (b"<html>Attention required</html>", 401, errors.AuthenticationError),
    (b"<html>Attention required</html>", 403, errors.PermissionDeniedError),
    ("newapi/refused_model_403.json", 403, errors.PermissionDeniedError),
    ("onehub/refused_rate_429.json", 429, errors.RateLimitError),
    (b"<html>Slow down</html>", 429, errors.RateLimitError),
    ("newapi/seed_upstream_empty.json", 401, errors.ServerError),
]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        pytest.param(*row, id=f"{row[1]}: {row[0] if isinstance(row[0], str) else row[0].decode()}")
        for row in REFUSED_BY_STATUS
    ],
)
def test_a_status_means_the_same_for_every_call(
    body: bytes | str, status: int, kind: type[errors.APIError]
) -> None:
    """The status counts for every call, also if the body is a page or empty."""
    for parse in PARSERS:
        with pytest.raises(errors.APIError) as caught:
            parse(response_to(body, status, retry_after=7.0))

        assert kind is type(caught.value)
        assert (status, 7.0) == (caught.value.status_code, caught.value.retry_after)


def test_a_page_is_not_quoted_as_what_the_gateway_said() -> None:
    """The source of a page is no text for people."""
    with pytest.raises(errors.ServerError) as caught:
        parse_task_response(response_to("nginx/bad_gateway_502.html", 502, PAGE))

    assert "" == caught.value.description
    assert "<" not in str(caught.value)


def test_a_proxy_that_asks_for_a_password() -> None:
    """A 407 comes from the proxy and not from the gateway; another try does not help."""
    for parse in PARSERS:
        with pytest.raises(errors.TransportError, match="user and password") as caught:
            parse(response_to("newapi/refused_key_401.json", 407))

        assert not caught.value.temporary
        assert TASK_ID == caught.value.task_id


def test_the_snippet_of_a_page() -> None:
    """The error quotes the first 200 characters on one line, and says what to check."""
    page = b"<!doctype html>\r\n\t<p>\x1b[31m" + b"x" * 300 + b"</p>"
    with pytest.raises(errors.UnexpectedAnswerError, match="check base_url") as caught:
        parse_task_response(response_to(page, 200, PAGE))

    assert 200 == len(caught.value.snippet)
    assert caught.value.snippet.startswith("<!doctype html> <p> [31mxxx")
    assert "text/html; charset=utf-8" == caught.value.content_type


def test_the_snippet_of_what_is_no_text() -> None:
    """Bytes that cannot be decoded are replaced by marks."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        parse_task_response(response_to(b"\x89PNG\r\n\x1a\n\x00\xff"))

    assert "\N{REPLACEMENT CHARACTER}PNG \N{REPLACEMENT CHARACTER}" == caught.value.snippet


def test_an_error_of_spring_is_not_a_task() -> None:
    """Spring's error has the key `status`, as a task has; under a 200 it is still an error."""
    body = b'{"timestamp":1730621826053,"status":500,"error":"Internal Server Error","path":"/mj"}'

    with pytest.raises(errors.APIError, match="Internal Server Error"):
        parse_task_response(response_to(body))
