"""The lines of the logger `mj_async` about requests and retries, and what no line shows."""

from __future__ import annotations

import logging
from urllib.parse import quote

import anyio
import httpx
import pytest

from _fakes import Wire, client_on
from _sockets import Connection, RawServer, StallingHandler
from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

KEY = "sk-canary/0123456789+"
TASK = b'{"id": "1", "status": "SUCCESS", "progress": "100%"}'
FETCH = "/mj/task/1/fetch of fake-gateway.test"
KNOWN = Dialect(auth="bearer", ids="json", seed="path")
ONCE = RetryPolicy(attempts=1)
PLAIN = RetryPolicy(first_delay=0.0)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the level and text of each line of our logger."""
    return [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "mj_async"]


async def test_a_request_is_one_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """It has the method, the path, the host, the status, the milliseconds and the attempt."""
    caplog.set_level(logging.DEBUG, "mj_async")
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    async with gateway.client() as client:
        await client.fetch_task("1")
        await client.list_tasks(["1"])

    assert [
        ("DEBUG", "GET /mj/task/1/fetch of fake-gateway.test: 200, in 0 ms, attempt 1"),
        ("DEBUG", "POST /mj/task/list-by-condition of fake-gateway.test: 200, in 0 ms, attempt 1"),
    ] == lines(caplog)


async def test_a_retry_is_one_line_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """It says which request, why, and how long it waits; each request's line has the attempt."""
    caplog.set_level(logging.DEBUG, "mj_async")
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    gateway.fail_next(1, status=502)
    async with gateway.client(retry=PLAIN) as client:
        await client.fetch_task("1")
    failure = errors.ServerError(status_code=502, task_id="1")

    assert [
        ("DEBUG", "GET /mj/task/1/fetch of fake-gateway.test: 502, in 0 ms, attempt 1"),
        ("INFO", f"GET {FETCH}: attempt 1 of 3 failed, again in 0.0 s: {failure}"),
        ("DEBUG", "GET /mj/task/1/fetch of fake-gateway.test: 200, in 0 ms, attempt 2"),
    ] == lines(caplog)


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
async def test_each_level_has_its_lines(level: int, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO there are the retries alone, and nothing is a warning."""
    caplog.set_level(level, "mj_async")
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")], seed="5")
    async with gateway.client(retry=PLAIN) as client:
        for ask in (client.fetch_task, client.image_seed):
            gateway.fail_next(1, status=502)
            await ask("1")
        gateway.fail_next(1, status=502)
        await client.list_tasks(["1"])
    calls = [text.partition(":")[0] for _, text in lines(caplog)]

    expected = [
        f"GET {FETCH}",
        "GET /mj/task/1/image-seed of fake-gateway.test",
        "POST /mj/task/list-by-condition of fake-gateway.test",
    ]
    assert (expected if level == logging.INFO else []) == calls


async def test_a_retry_after_a_429_waits_for_the_gate(caplog: pytest.LogCaptureFixture) -> None:
    """How long it waits is the gate's to say, which holds all other calls, too."""
    caplog.set_level(logging.INFO, "mj_async")
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    gateway.fail_next(1, status=429, headers={"retry-after": "5"})
    async with gateway.client() as client:
        await client.fetch_task("1")
    ((_, text),) = lines(caplog)

    assert text.startswith(f"GET {FETCH}: attempt 1 of 3 failed, again once the gate opens: ")
    assert "retry after 5 s" in text


async def test_a_failure_of_the_wire_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """In place of a status there is what went wrong."""
    caplog.set_level(logging.DEBUG, "mj_async")
    base_url = "http://127.0.0.1:1"
    async with AsyncMJClient(KEY, base_url=base_url, dialect=KNOWN, retry=ONCE) as client:
        with pytest.raises(errors.TransportError):
            await client.fetch_task("1")
    ((_, text),) = lines(caplog)

    assert text.startswith("GET /mj/task/1/fetch of 127.0.0.1:1 failed (ConnectError: ")
    assert text.endswith(" ms, attempt 1")


async def test_an_answer_that_cannot_be_used_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """One that is cut short has no end, and so no status alone."""
    caplog.set_level(logging.DEBUG, "mj_async")
    half = httpx.Response(200, headers={"content-encoding": "br"}, stream=httpx.ByteStream(b"x"))
    async with client_on(Wire(lambda _: httpx.Response(200)), retry=ONCE) as client:
        client._session._http_client._transport = _Fixed(half)
        with pytest.raises(errors.UnexpectedAnswerError):
            await client.fetch_task("1")
    ((_, text),) = lines(caplog)

    assert text.startswith(
        "GET /mj/task/1/fetch of gateway.test: unexpected answer (HTTP 200): the body is not"
    )


class _Fixed(httpx.AsyncBaseTransport):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        """Return the one answer."""
        return self._response


async def test_what_is_cut_off_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A deadline and a cancellation end a request, and each request has its line."""
    caplog.set_level(logging.DEBUG, "mj_async")

    stall = StallingHandler()
    with RawServer(stall) as server:
        async with AsyncMJClient(
            KEY, base_url=server.base_url, dialect=KNOWN, retry=ONCE, request_timeout=0.5
        ) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.fetch_task, "1")
                await stall.reach()
                group.cancel_scope.cancel()
            with pytest.raises(errors.RequestTimeoutError):
                await client.fetch_task("2")
    texts = [text for _, text in lines(caplog)]

    assert [True, True] == [": cut off, in " in text for text in texts]


async def test_a_fault_of_a_hook_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """A hook sees the request with its key, and may put it into what it raises."""
    caplog.set_level(logging.DEBUG, "mj_async")

    async def hook(request: httpx.Request) -> None:
        raise RuntimeError(request.headers["authorization"])

    http_client = httpx.AsyncClient(event_hooks={"request": [hook]})
    async with AsyncMJClient(
        KEY, base_url="https://gateway.test", http_client=http_client, dialect=KNOWN
    ) as client:
        with pytest.raises(RuntimeError):
            await client.fetch_task("1")
    ((_, text),) = lines(caplog)

    assert text.startswith("GET /mj/task/1/fetch of gateway.test: RuntimeError, in ")


async def test_the_key_is_never_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not where a gateway quotes it, also as in an address, nor where it is taken for an id."""
    caplog.set_level(logging.DEBUG, "mj_async")
    key = KEY.replace("/", "")  # a slash is refused in ids
    said = f"no task {key}, that is /mj/task/{quote(key, safe='')}/fetch"
    wire = Wire(lambda _: httpx.Response(502, json={"description": said}))
    async with client_on(wire, api_key=key, dialect=KNOWN, retry=PLAIN) as client:
        for ask in (client.fetch_task, client.image_seed):
            with pytest.raises(errors.ServerError) as caught:
                await ask(key)
            assert "no task ***, that is /mj/task/***/fetch" in caught.value.description

    told = " ".join(text for _, text in lines(caplog))
    assert "GET /mj/task/***/fetch of gateway.test: attempt 2 of 3 failed" in told
    assert "GET /mj/task/***/image-seed of gateway.test: 502" in told
    assert key not in told
    assert quote(key, safe="") not in told


async def test_control_characters_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """No gateway's words and no id begins a line of its own, or steers a terminal."""
    caplog.set_level(logging.DEBUG, "mj_async")
    said = "one\r\nERROR two \x1b[31m\u202e\u2028"
    wire = Wire(lambda _: httpx.Response(502, json={"description": said}))
    async with client_on(wire, dialect=KNOWN, retry=PLAIN) as client:
        with pytest.raises(errors.ServerError):
            await client.fetch_task("a\u200eb")
    told = [text for _, text in lines(caplog)]

    assert "one ERROR two [31m" in told[1]
    assert all(text.isprintable() for text in told)


async def test_a_failure_of_the_wire_has_no_control_characters() -> None:
    """What is no HTTP at all is quoted by the layers below, and cleaned by us."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        await connection.send(b"\x1b]0;\x07 not HTTP\r\n\r\n")

    with RawServer(script) as server:
        async with AsyncMJClient(
            KEY, base_url=server.base_url, dialect=KNOWN, retry=ONCE
        ) as client:
            with pytest.raises(errors.TransportError) as caught:
                await client.fetch_task("1")

    assert str(caught.value).isprintable()


def test_the_logger_is_the_applications_to_set_up() -> None:
    """It has no handler and no level of its own."""
    logger = logging.getLogger("mj_async")

    assert ([], logging.NOTSET, True) == (logger.handlers, logger.level, logger.propagate)
