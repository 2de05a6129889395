"""Many waits, one poll, on a gateway that fails: what is absorbed, and whom it ends."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import httpx
import pytest

from _many_waits import WORKING, Asked, ManyWaits, RecordingTransport, done_at, for_lists, numbered
from mj_async import Polling, errors

pytestmark = pytest.mark.anyio

PAGE = httpx.Response(200, html="<!doctype html><title>new-api</title>")


async def test_an_empty_list_that_lies_harms_no_wait() -> None:
    """`[]` although the tasks exist, as new-api says when its database fails: each is fetched."""
    transport, ids = RecordingTransport(), numbered(5)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(20))
    empty = httpx.Response(200, json=[])
    transport.override = for_lists(lambda asked: empty if asked.at < 9 else None)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert {"list": 8, "fetch": 3 * 5} == Counter(one.verb for one in transport.asked)
    assert [0.0, 3.0, 6.0] == sorted({one.at for one in transport.asked if one.verb == "fetch"})[
        ::5
    ]


FAULTS = {
    "500": (httpx.Response(500), errors.ServerError),
    "a reset": (httpx.ReadError("reset"), errors.TransportError),
    "garbage": (httpx.Response(200, content=b"\x00\xff garbage"), errors.UnexpectedAnswerError),
    "cut short": (httpx.Response(200, content=b'[{"id": "0"'), errors.UnexpectedAnswerError),
    "a page, once it has worked": (PAGE, errors.UnexpectedAnswerError),
}


@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS)
async def test_a_gateway_that_fails_is_absorbed(fault: Any, error: type[errors.MJError]) -> None:
    """All go on at the next tick; the 30th failure in a row ends each wait with its own error."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    failing = for_lists(fault)
    transport.override = lambda asked: (
        failing(Asked(asked.at, "list", ())) if asked.at > 0 and asked.at != 30 else None
    )
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert [3.0 * tick for tick in range(1 + 9 + 1 + 30)] == transport.at(verb="list")
    assert dict.fromkeys(ids, 3.0 * 40) == waits.ended_at
    assert {error} == {type(one) for one in waits.ended.values()}
    assert ids == sorted(str(one.task_id) for one in waits.ended.values())  # type: ignore[union-attr]
    assert 3 == len(set(map(id, waits.ended.values())))


@pytest.mark.parametrize(
    "fault", [FAULTS[name][0] for name in ("500", "garbage", "cut short")], ids=str
)
async def test_a_list_that_keeps_failing_is_replaced(fault: Any) -> None:
    """Where only the list fails, all are fetched from the fourth failure in a row on."""
    transport, ids = RecordingTransport(override=for_lists(fault)), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(10))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert [0, 3, 6, 9] == transport.at(verb="list")[:4]
    assert 9 <= min(transport.at(verb="fetch"))


async def test_a_refused_key_ends_all_waits_at_once() -> None:
    """A 401 is for all, also for those whose list was not asked for yet."""
    transport, ids = RecordingTransport(override=lambda _: httpx.Response(401)), numbered(250)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "AuthenticationError") == waits.kinds()
    assert {0.0} == set(waits.ended_at.values())
    assert 1 == len(transport.asked)
    assert dict(zip(ids, ids, strict=True)) == {
        task_id: error.task_id  # type: ignore[union-attr]
        for task_id, error in sorted(waits.ended.items(), key=lambda item: int(item[0]))
    }


async def test_a_403_ends_all_waits_one_by_one() -> None:
    """One id may be to blame for a refused list, so each is asked for alone, once."""
    transport, ids = RecordingTransport(override=lambda _: httpx.Response(403)), numbered(150)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    fetched = [
        task_id for one in transport.asked for task_id in one.task_ids if one.verb == "fetch"
    ]
    assert dict.fromkeys(ids, "PermissionDeniedError") == waits.kinds()
    assert sorted(ids) == sorted(fetched)
    assert max(waits.ended_at.values()) < 6


async def test_a_403_for_one_id_is_that_ones() -> None:
    """The others go on."""
    transport = RecordingTransport(
        override=lambda asked: httpx.Response(403) if "bad" in asked.task_ids else None
    )
    for task_id in ("1", "bad", "2"):
        transport.gateway.add_task(task_id, done_at(4))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(["1", "bad", "2"])

    assert {"1": "SUCCESS", "bad": "PermissionDeniedError", "2": "SUCCESS"} == waits.kinds()


async def test_a_401_of_a_fetch_ends_all_waits_too() -> None:
    """Also if the list left an id out, and its fetch is refused."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    transport.override = lambda asked: httpx.Response(401) if asked.verb == "fetch" else None
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(["1", "2"])

    assert dict.fromkeys(["1", "2"], "AuthenticationError") == waits.kinds()


@pytest.mark.parametrize(
    ("headers", "soonest", "latest"),
    [({"retry-after": "20"}, 20.0, 24.0), ({}, 3.0, 3.0)],
    ids=["with Retry-After", "without"],
)
async def test_a_429_holds_everybody_back(
    headers: dict[str, str], soonest: float, latest: float
) -> None:
    """Nothing is sent before the Retry-After is over, no wait ends, and it is no failure."""
    transport, ids = RecordingTransport(), numbered(150)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0))
    limited = httpx.Response(429, headers=headers)
    transport.override = lambda asked: limited if asked.at == 0 else None
    polling = Polling(factor=1.0, jitter=0, max_consecutive_errors=1)
    async with transport.client(polling=polling) as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    others = [at for at in transport.at() if at > 0]
    assert (1.5 if not headers else soonest) <= min(others)
    assert soonest <= max(others) <= latest
    assert 3 == len(transport.asked)


async def test_a_wrong_base_url_ends_all_waits() -> None:
    """Where nothing has ever worked, pages are no gateway without a list."""
    transport, ids = RecordingTransport(override=lambda _: PAGE), numbered(3)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "UnexpectedAnswerError") == waits.kinds()
    assert ["list", "fetch", "fetch", "fetch"] == [one.verb for one in transport.asked]
    assert {0, 1, 2} == set(waits.ended_at.values())


class Stop(BaseException):
    """An exception of a transport that is no Exception, as KeyboardInterrupt is."""


@pytest.mark.parametrize("fault", [Stop("a transport"), LookupError("a transport")], ids=repr)
async def test_a_fault_of_a_transport_comes_without_a_group(fault: BaseException) -> None:
    """The caller of the leader gets the exception itself."""

    def fail(_asked: Asked) -> None:
        raise fault

    transport = RecordingTransport(override=fail)
    async with transport.client() as client, client.task_poller() as poller:
        with pytest.raises(type(fault), match="a transport"):
            await poller.wait_for_task("1")


async def test_a_fault_while_a_wait_is_cancelled_comes_without_a_group() -> None:
    """A transport that fails as it is cut off: there is one exception, or none."""
    transport = SulkingTransport(seconds=10.0)
    found: list[BaseException] = []
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(cancel_after, transport, scope)
                try:
                    await poller.wait_for_task("1")
                except LookupError as error:
                    found.append(error)

    assert [str(error) for error in found] in ([], ["cut off"])


class SulkingTransport(RecordingTransport):
    """A transport that raises an exception of its own when it is cut off."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            return await super().handle_async_request(request)
        except anyio.get_cancelled_exc_class():
            raise LookupError("cut off") from None


async def cancel_after(transport: RecordingTransport, scope: anyio.CancelScope) -> None:
    """Cancel a scope in a second."""
    await transport.sleep(1.0)
    scope.cancel()
