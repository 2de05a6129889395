"""Fault 34: no text, traceback with locals, log, pickle or warning has the key."""

from __future__ import annotations

import itertools
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from _connection_faults import fail_each_connection, reset, stall
from _http_server import (
    BEARER,
    KEY,
    ONCE,
    RUNNING,
    HTTPServer,
    RawResponse,
    ReceivedRequest,
    client_of,
)

import mj_async
from _sockets import Connection, RawServer
from mj_async import AsyncMJClient, Dialect, errors

pytestmark = pytest.mark.anyio

SOURCE = Path(mj_async.__file__).parent
ECHO = KEY.encode()
QUOTED = json.dumps({"description": f"bad key {KEY}", "code": 4, "error": {"code": KEY}}).encode()
SHORT: dict[str, Any] = {"retry": ONCE, "request_timeout": 0.05, "seed_timeout": 0.05}
SCHEMES: list[Any] = ["bearer", "raw", "mj-api-secret"]


async def junk(connection: Connection) -> None:
    """Send bytes that are not HTTP, with the key."""
    await connection.read_head()
    await connection.send(b"SSH-2.0-%s\r\n\r\n" % ECHO)


async def bad_header(connection: Connection) -> None:
    """Send a malformed header with the key."""
    await connection.read_head()
    await connection.send(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % ECHO)


async def cut_off(connection: Connection) -> None:
    """Send half a body with the key."""
    await connection.read_head()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + QUOTED)


async def junk_gzip(connection: Connection) -> None:
    """Send the key under a false Content-Encoding."""
    await connection.read_head()
    await connection.answer(QUOTED, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n")


def serving(body: bytes, status: int = 200, headers: bytes = b"") -> Callable[[], RawServer]:
    """Return a factory of servers that always send this answer."""
    return lambda: HTTPServer(RawResponse(body, status, headers))


FAULTS: dict[str, Callable[[], RawServer]] = {
    "reset": lambda: RawServer(fail_each_connection(reset)),
    "stall": lambda: RawServer(stall),
    "junk": lambda: RawServer(junk),
    "bad header": lambda: RawServer(bad_header),
    "cut off": lambda: RawServer(cut_off),
    "junk gzip": lambda: RawServer(junk_gzip),
}
RESPONSES: dict[str, Callable[[], RawServer]] = {
    "page": serving(b"<html>" + ECHO),
    "no json": serving(b"{" + ECHO + b"}"),
    "half json": serving(b'{"id":"' + ECHO),
    "other task": serving(b'{"id":"%s","status":"SUCCESS"}' % ECHO),
    "too large": serving(ECHO * 60_000),
    "redirect": serving(ECHO, 302, b"Location: http://other.invalid/%s\r\n" % ECHO),
    "bad redirect": serving(ECHO, 302, b"Location: javascript:%s\r\n" % ECHO),
    "odd type": serving(b"[5]", 200, b"Content-Type: text/%s\r\n" % ECHO),
    "request id": serving(b"{}", 500, b"X-Request-Id: %s\r\n" % ECHO),
    "failed": serving(
        json.dumps({"id": "1", "status": "FAILURE", "failReason": KEY}).encode()
    ),
    "429": serving(QUOTED, 429, b"Retry-After: 0\r\n"),
    **{str(status): serving(QUOTED, status) for status in (200, 400, 401, 403, 404, 405, 503)},
    **{f"{status} as text": serving(b"no: " + ECHO, status) for status in (401, 502)},
}  # fmt: skip
SERVERS = FAULTS | RESPONSES
# What an answer means does not depend on the event loop; how a connection fails does.
each_server = pytest.mark.parametrize(
    ("anyio_backend", "name"),
    [*itertools.product(["asyncio"], SERVERS), *itertools.product(["trio"], FAULTS)],
)


async def errors_of(client: AsyncMJClient) -> list[errors.MJError]:
    """Return the error of each call; no frame of this file has the key in its locals."""
    found = []
    for call in (
        lambda: client.fetch_task("1"),
        lambda: client.list_tasks(["1"]),
        lambda: client.image_seed("1"),
        lambda: client.wait_for_task("1", timeout=0.05),
    ):
        try:
            await call()
        except errors.MJError as error:
            found.append(error)
    return found


def shown_of(error: BaseException) -> str:
    """Return the text of a traceback with the locals of all frames."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def sinks_of(error: errors.MJError) -> dict[str, str]:
    """Return all texts of an error, but for those of its task."""
    state = {name: value for name, value in vars(error).items() if name not in ("task", "partial")}
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    return {
        "state": repr(state),
        "args": repr(error.args),
        "repr": repr(error),
        "copy": str(copied),
    }


@each_server
async def test_fault_34_no_error_holds_the_key(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No error and no log at DEBUG shows the key, even if the gateway repeats it."""
    caplog.set_level(logging.DEBUG)
    with SERVERS[name]() as server:
        async with client_of(server, dialect=Dialect(auth="mj-api-secret"), **SHORT) as client:
            found = await errors_of(client)

    assert found
    for error in found:
        if not isinstance(error, errors.TaskError):  # whose text is the task's own
            assert {} == {sink: said for sink, said in sinks_of(error).items() if KEY in said}
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("mj_async")]
    sent = [record.getMessage() for record in caplog.records if "send_request" in record.message]
    assert KEY not in "".join([*ours, *sent])


@each_server
async def test_fault_34_no_traceback_shows_the_key(name: str) -> None:
    """A traceback with locals has no key, no frame of httpx and no other error."""
    with SERVERS[name]() as server:
        async with client_of(server, **SHORT) as client:
            found = await errors_of(client)

    for error in found:
        frames = traceback.extract_tb(error.__traceback__)
        below = {"httpx", "httpcore", "h11", "anyio"}
        strange = [name for name, *_ in frames if below.intersection(Path(name).parts)]
        assert [] == strange
        assert error.__cause__ is None or isinstance(error, errors.WaitTimeoutError)
        if not isinstance(error, errors.TaskError):
            assert KEY not in shown_of(error)


async def test_fault_34_a_cancelled_call_shows_no_key() -> None:
    """The traceback of the caller's own time-out, with frames of httpx, has no key."""
    with RawServer(stall) as server:
        for auth in SCHEMES:
            async with client_of(server, dialect=Dialect(auth=auth)) as client:
                with pytest.raises(TimeoutError) as caught:
                    with anyio.fail_after(0.1):
                        await client.fetch_task("1")

            assert KEY not in shown_of(caught.value)


async def test_fault_34_refused_connections_and_no_gateway_show_no_key() -> None:
    """An error before the connection shows no key."""
    async with AsyncMJClient(KEY, base_url="http://127.0.0.1:1", retry=ONCE) as client:
        found = await errors_of(client)

    assert 4 == len(found)
    assert [] == [error for error in found if KEY in shown_of(error) + repr(sinks_of(error))]


async def test_fault_34_no_object_shows_the_key() -> None:
    """The client and its parts do not show the key, and cannot be pickled."""
    with HTTPServer(RawResponse(RUNNING)) as server:
        async with client_of(server) as client:
            await client.fetch_task("1")
            watch = client.watch_task("1")
            held = [client, watch, *vars(client).values(), client.image_seeds(["1"])]
            shown = [f"{one!r}{one}" for one in held]
            depths = [repr(getattr(one, "__dict__", None)) for one in held]
            settings = attrs.asdict(client._settings)

    assert KEY not in "".join([*shown, *depths, repr(settings)])
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(client._settings)


async def test_fault_34_the_key_goes_in_one_header_only() -> None:
    """The key is in one header, and neither in the request line nor in the body."""

    def answer(request: ReceivedRequest) -> RawResponse:
        return RawResponse(b"[]" if request.line.startswith(b"POST") else RUNNING)

    with HTTPServer(answer) as server:
        for auth in SCHEMES:
            dialect = Dialect(auth=auth)
            async with client_of(server, dialect=dialect) as client:
                await client.fetch_task("1")
                await client.list_tasks(["1"])

    for request in server.seen:
        carriers = [name for name, value in request.headers.items() if KEY in value]
        assert carriers in (["authorization"], ["mj-api-secret"])
        assert ECHO not in request.line + request.body


async def test_fault_34_no_warning_shows_the_key() -> None:
    """The warning about plain http shows the host and no key."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = AsyncMJClient(KEY, base_url="http://gateway.example", dialect=BEARER)
    await client.aclose()

    assert caught
    assert KEY not in "".join(str(warning) for warning in caught)


async def test_fault_34_a_callers_broken_hook_shows_no_frame_of_ours_with_the_key() -> None:
    """If the caller's hook raises, no frame of the library shows the key."""

    async def hook(_request: httpx.Request) -> None:
        raise ZeroDivisionError

    with HTTPServer(RawResponse(RUNNING)) as server:
        async with httpx.AsyncClient(event_hooks={"request": [hook]}) as http_client:
            async with client_of(server, http_client=http_client) as client:
                with pytest.raises(ZeroDivisionError) as caught:
                    await client.fetch_task("1")

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    own = [frame for frame in shown if Path(frame.filename).is_relative_to(SOURCE)]
    assert own
    assert KEY not in "".join(str(frame.locals) for frame in own)
