"""The search for the scheme, beside slow calls, on trio's virtual clock."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import httpx
import pytest
from trio.testing import MockClock

from _fakes import Wire, client_on
from mj_async import AsyncMJClient, errors

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


@attrs.define
class Slow(httpx.AsyncBaseTransport):
    """A gateway that takes the raw key, and its time: a minute for a seed."""

    header: str
    seconds: dict[str, float]
    at: list[tuple[float, str]] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer after the time of the route."""
        verb = request.url.path.rpartition("/")[2]
        self.at.append((anyio.current_time(), verb))
        await anyio.sleep(self.seconds[verb])
        if request.headers.get("authorization") != self.header:
            return httpx.Response(401)
        task = {"id": "1", "status": "SUCCESS", "imageUrl": "https://cdn/1"}
        return httpx.Response(200, json=task if verb == "fetch" else {"code": 1, "result": "5"})


def client_of(gateway: Slow) -> AsyncMJClient:
    """Make a client that talks to it."""
    http_client = httpx.AsyncClient(transport=gateway)
    return AsyncMJClient("sk-key", base_url="https://gateway.test", http_client=http_client)


async def test_a_slow_seed_does_not_hold_up_the_others() -> None:
    """The other calls wait 2 s, and then send in the usual scheme."""
    gateway = Slow("Bearer sk-key", {"fetch": 0.1, "image-seed": 60.0})
    async with client_of(gateway) as client, anyio.create_task_group() as group:
        group.start_soon(client.image_seed, "1")
        await anyio.sleep(1.0)
        await client.fetch_task("1", timeout=30.0)

        assert 3.1 == pytest.approx(anyio.current_time())


async def test_a_call_beside_a_slow_one_finds_the_header_out() -> None:
    """The slow one is refused later, and then sends in the header that was found."""
    gateway = Slow("sk-key", {"fetch": 0.1, "image-seed": 10.0})
    async with client_of(gateway) as client, anyio.create_task_group() as group:
        group.start_soon(client.image_seed, "1")
        await anyio.sleep(1.0)
        await client.fetch_task("1")
        assert 3.3 == pytest.approx(anyio.current_time())

    assert ["image-seed", "fetch", "fetch", "fetch", "image-seed"] == [
        verb for _, verb in gateway.at
    ]
    assert 20.0 == pytest.approx(anyio.current_time())


async def test_a_refusal_beside_a_slow_search_is_the_searchs() -> None:
    """The call that tried all headers ends the slow one, too, when that is refused."""
    gateway = Slow("other", {"fetch": 0.1, "image-seed": 10.0})
    async with client_of(gateway) as client, anyio.create_task_group() as group:

        async def seed() -> None:
            with pytest.raises(errors.AuthenticationError):
                await client.image_seed("1")

        group.start_soon(seed)
        await anyio.sleep(1.0)
        with pytest.raises(errors.AuthenticationError):
            await client.fetch_task("1")

    assert 4 == len(gateway.at)


async def test_after_a_refusal_the_headers_are_tried_anew() -> None:
    """A slow call that is refused later begins nothing: the next search starts with the first."""
    gateway = Slow("other", {"fetch": 0.1, "image-seed": 10.0})
    async with client_of(gateway) as client:
        async with anyio.create_task_group() as group:

            async def refused(call: Any) -> None:
                with pytest.raises(errors.AuthenticationError):
                    await call("1")

            group.start_soon(refused, client.image_seed)
            await anyio.sleep(1.0)
            await refused(client.fetch_task)
        gateway.header = "Bearer sk-key"
        await client.fetch_task("1")

    assert 5 == len(gateway.at)


async def test_a_quota_that_ends_beside_a_search_is_final() -> None:
    """When the header has been found meanwhile, a 401 is final."""
    gateway = Slow("Bearer sk-key", {"fetch": 5.0, "image-seed": 4.0})
    async with client_of(gateway) as client, anyio.create_task_group() as group:
        group.start_soon(client.image_seed, "1")
        await anyio.sleep(1.0)

        async def change() -> None:
            await anyio.sleep(4.0)
            gateway.header = "changed"

        group.start_soon(change)
        with pytest.raises(errors.AuthenticationError):
            await client.fetch_task("1")

    assert 2 == len(gateway.at)


async def test_a_cancelled_search_is_taken_over_by_one_of_the_others() -> None:
    """When the call that tries a header is cancelled, one of the others tries it."""
    gateway = Slow("sk-key", {"fetch": 0.6, "image-seed": 60.0})
    async with client_of(gateway) as client, anyio.create_task_group() as group:
        async with anyio.create_task_group() as finder:
            finder.start_soon(client.fetch_task, "1")
            await anyio.sleep(0.2)
            for _ in range(20):
                group.start_soon(client.fetch_task, "1")
            await anyio.sleep(0.2)
            finder.cancel_scope.cancel()

    asked = [at for at, _ in gateway.at]
    assert [0.0, 0.4, 1.0, 1.6] == pytest.approx(asked[:4])
    assert 1 + 3 + 19 == len(asked)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cancelled_search_is_taken_over_by_one() -> None:
    """When the call that searches is cancelled, one of the others does, and not all of them."""

    def answer(request: httpx.Request) -> httpx.Response:
        right = "mj-api-secret" in request.headers
        return (
            httpx.Response(200, json={"id": "1", "status": "SUCCESS"})
            if right
            else httpx.Response(401)
        )

    wire = Wire(answer)
    async with client_on(wire) as client, anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(client.fetch_task, "1")
            async with anyio.create_task_group() as finder:
                finder.start_soon(client.fetch_task, "1")
                await anyio.lowlevel.checkpoint()
                for _ in range(50):
                    group.start_soon(client.fetch_task, "1")
                await anyio.lowlevel.checkpoint()
                scope.cancel()

    refused = [one for one in wire.requests if "mj-api-secret" not in one.headers]
    assert len(refused) <= 2
