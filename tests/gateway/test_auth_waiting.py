"""What calls do that wait while another call tries a header, on trio's virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import attrs
import httpx
import pytest
from _answers import ONCE, found
from trio.testing import MockClock

from mj_async import AsyncMJClient, errors

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


@attrs.define
class Timed(httpx.AsyncBaseTransport):
    """A gateway that answers each request after some seconds, and records the instants."""

    answer: Callable[[int], httpx.Response]
    seconds: float = 0.0
    at: list[float] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request by its number, from 1."""
        self.at.append(anyio.current_time())
        number = len(self.at)
        await anyio.sleep(self.seconds)
        return self.answer(number)


def client_of(gateway: Timed, **options: Any) -> AsyncMJClient:
    """Return a client of the gateway that has to find the header out."""
    http_client = httpx.AsyncClient(transport=gateway)
    return AsyncMJClient(
        "sk-key", base_url="https://gateway.test", http_client=http_client, **options
    )


async def call_at_once(call: Callable[..., Any], times: int, *expected: type[Exception]) -> None:
    """Make the same call several times at once; each may end with an expected error."""

    async def one() -> None:
        with suppress(*expected):
            await call("1")

    async with anyio.create_task_group() as group:
        for _ in range(times):
            group.start_soon(one)


async def test_a_429_to_the_first_call_holds_back_those_that_wait() -> None:
    """They pass the gate after their wait, so that none is sent into the hold; so does a second."""
    held = httpx.Response(429, headers={"retry-after": "10"})
    gateway = Timed(lambda number: held if number <= 2 else found())
    async with client_of(gateway) as client:
        await call_at_once(client.fetch_task, 5)

    first, second, third, *others = gateway.at
    assert 0.0 == first
    assert 10.0 <= second <= 11.0
    assert 10.0 <= third - second <= 11.0
    assert 4 == len(others)
    assert all(at >= third for at in others)


async def test_a_failure_of_the_first_call_does_not_put_the_others_in_a_queue() -> None:
    """It says nothing about the key, so that all are sent at once."""
    gateway = Timed(lambda _: httpx.Response(503), seconds=1.0)
    async with client_of(gateway, retry=ONCE) as client:
        await call_at_once(client.fetch_task, 5, errors.ServerError)

    assert [0.0, 1.0, 1.0, 1.0, 1.0] == pytest.approx(gateway.at)


async def test_no_call_waits_longer_than_two_seconds_for_slow_ones() -> None:
    """Seeds that take a minute each are not begun one after the other."""
    seed = httpx.Response(200, json={"code": 1, "result": "5"})
    gateway = Timed(lambda _: seed, seconds=60.0)
    async with client_of(gateway) as client:
        await call_at_once(client.image_seed, 5)

    assert [0.0, 2.0, 2.0, 2.0, 2.0] == pytest.approx(gateway.at)


async def test_a_call_after_a_refusal_tries_the_headers_again() -> None:
    """A refusal is for the calls that began before it: the key may be valid since then."""
    gateway = Timed(lambda number: httpx.Response(401) if number <= 3 else found(), seconds=0.1)
    async with client_of(gateway) as client:
        with pytest.raises(errors.AuthenticationError):
            await client.fetch_task("1")
        assert "1" == (await client.fetch_task("1")).id


async def test_a_refusal_is_for_the_calls_that_wait_for_a_slot_as_well() -> None:
    """A bad key costs three requests, also with more calls than slots."""
    gateway = Timed(lambda _: httpx.Response(401), seconds=0.1)
    async with client_of(gateway, max_connections=2) as client:
        await call_at_once(client.fetch_task, 10, errors.AuthenticationError)

    assert 3 == len(gateway.at)


async def test_a_refusal_beside_a_found_header_is_no_refusal_of_the_key() -> None:
    """A call that tried all other headers meanwhile is sent again in the one that was found."""
    at: list[float] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        at.append(anyio.current_time())
        if len(at) == 1:
            await anyio.sleep(6.0)
            return found()
        await anyio.sleep(1.5)
        is_bearer = request.headers.get("authorization", "").startswith("Bearer ")
        return found() if is_bearer and at[-1] > 6.0 else httpx.Response(401)

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    client = AsyncMJClient("sk-key", base_url="https://gateway.test", http_client=http_client)
    async with client:
        await call_at_once(client.fetch_task, 2)

    assert [0.0, 2.0, 3.5, 5.0, 6.5] == pytest.approx(at)


async def test_slow_refusals_of_one_header_count_once() -> None:
    """Two calls try the same header beside each other, and neither skips the next one."""
    tried: list[tuple[float, str]] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        header = request.headers.get("authorization", "mj-api-secret")
        tried.append((anyio.current_time(), header.partition(" ")[0]))
        await anyio.sleep(3.0)
        return found() if header == "sk-key" else httpx.Response(401)

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    client = AsyncMJClient("sk-key", base_url="https://gateway.test", http_client=http_client)
    async with client, anyio.create_task_group() as group:
        group.start_soon(client.fetch_task, "1")
        await anyio.sleep(0.5)
        group.start_soon(client.fetch_task, "1")

    headers = ["Bearer", "Bearer", "mj-api-secret", "mj-api-secret", "sk-key", "sk-key"]
    assert headers == [header for _, header in tried]
    assert [0.0, 2.5, 5.0, 7.5, 10.0, 12.5] == pytest.approx([at for at, _ in tried])
