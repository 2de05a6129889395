"""Many waits, one poll, on each gateway: with a list, without one, and with one that fails."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, get_args

import anyio
import httpx
import pytest

from _many_waits import SPOKEN, ManyWaits, RecordingTransport, done_at, for_lists, numbered
from mj_async import DOCUMENTED, Dialect
from mj_async.testing import FakeGateway
from mj_async.testing._gateway import DialectName

pytestmark = pytest.mark.anyio

DIALECTS = get_args(DialectName)
PAGE = httpx.Response(200, html="<!doctype html><title>new-api</title>")
SPRING_404 = httpx.Response(404, json={"status": 404, "error": "Not Found", "path": "/mj/x"})
NO_LIST = {
    "newapi": (SPOKEN, PAGE),
    "onehub": (Dialect(auth="mj-api-secret", ids="json"), PAGE),
    "java": (Dialect(auth="mj-api-secret", ids="json"), SPRING_404),
    "csharp": (Dialect(auth="raw", ids="json"), httpx.Response(404)),
    "documented": (DOCUMENTED, PAGE),
}


@pytest.mark.parametrize("name", DIALECTS)
async def test_each_gateway_is_polled_as_it_is(name: Any) -> None:
    """With the default dialect 120 waits end; where there is a list, a tick is two calls."""
    transport, ids = RecordingTransport(FakeGateway(name)), numbered(120)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(8))
    async with transport.client(dialect=Dialect()) as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    later = [one for one in transport.asked if one.at >= 3]
    if name == "documented":  # its list answers one id, whatever is asked for
        assert {"fetch"} == {one.verb for one in later}
    else:
        assert [(3, "list"), (4.5, "list")] == [(one.at, one.verb) for one in later][:2]


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_missing_list_is_found_out_once(name: Any) -> None:
    """Then ids are fetched: at most four at once and `batch_size` a tick, and no id starves."""
    dialect, missing = NO_LIST[name]
    transport, ids = (
        RecordingTransport(FakeGateway(name), seconds=0.4, override=for_lists(missing)),
        numbered(25),
    )
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(45))
    async with transport.client(dialect=dialect) as client:
        async with client.task_poller(batch_size=10) as poller:
            waits = ManyWaits(transport, poller)
            await waits.wait_for(ids)

    fetched = [one for one in transport.asked if one.verb == "fetch"]
    ticks = Counter(int(one.at / 3) for one in fetched)
    gaps = [later - sooner for one in ids for sooner, later in pairwise(transport.at(one, "fetch"))]
    assert [0.0] == transport.at(verb="list")
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert (10, 0) == (max(ticks.values()), transport.cancelled)
    assert max(gaps) <= 12.0
    assert transport.most_in_flight <= 4


async def test_slow_fetches_are_four_at_once() -> None:
    """If answers take longer than a tick, four requests are in flight, and none is cut."""
    transport, ids = RecordingTransport(seconds=7.0, override=for_lists(SPRING_404)), numbered(12)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert (4, 0, 13) == (transport.most_in_flight, transport.cancelled, len(transport.asked))
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()


async def test_a_fetch_in_flight_is_not_cut_by_news_of_the_leader() -> None:
    """The leader's news waits for the fetches in flight, and none is cut."""
    transport, ids = RecordingTransport(seconds=2.0, override=for_lists(SPRING_404)), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        await ManyWaits(transport, poller).wait_for(ids)

    assert (0, 1 + 3) == (transport.cancelled, len(transport.asked))


async def test_ids_that_a_list_leaves_out_are_fetched() -> None:
    """A missing id is fetched in the same tick, and its wait ends after `missing_grace`."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(15))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(["1", "unknown"])

    both = [(at, verb) for at in (0, 3, 6, 9, 12) for verb in ("list", "fetch")]
    assert {"1": "SUCCESS", "unknown": "TaskNotFoundError"} == waits.kinds()
    assert {"1": 15, "unknown": 12} == waits.ended_at
    assert "unknown" == waits.ended["unknown"].task_id  # type: ignore[union-attr]
    assert [*both, (15, "list")] == [(one.at, one.verb) for one in transport.asked]
    assert {("unknown",)} == {one.task_ids for one in transport.asked if one.verb == "fetch"}


async def test_an_id_that_is_left_out_for_a_while_is_found() -> None:
    """A replica that lags behind for some seconds ends no wait."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(15))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait_for, ["1", "late"])
            await transport.sleep(8.0)
            transport.gateway.add_task("late", done_at(4))

    assert {"1": "SUCCESS", "late": "SUCCESS"} == waits.kinds()


@pytest.mark.parametrize(
    ("refusal", "tried_again"),
    [(PAGE, True), (httpx.Response(400, json={"code": 4}), True), (SPRING_404, False)],
    ids=["a page", "400", "404"],
)
async def test_a_refused_list_is_tried_again(
    refusal: httpx.Response,
    tried_again: bool,  # noqa: FBT001
) -> None:
    """A list that is refused may work a minute later; a route that does not exist does not."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(100))
    transport.override = for_lists(lambda asked: refusal if asked.at < 30 else None)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    lists = [0.0, *(3.0 * tick for tick in range(20, 35))] if tried_again else [0.0]
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert lists == transport.at(verb="list")
