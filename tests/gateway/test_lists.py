"""Asking once for many: what a list answers, and when a gateway counts as one without."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import httpx
import pytest

from _fakes import Wire, client_on
from _many_waits import RecordingTransport, for_lists
from mj_async import AsyncMJClient, Dialect, errors
from mj_async.testing import FakeGateway
from mj_async.testing._gateway import DialectName

pytestmark = pytest.mark.anyio

PAGE = httpx.Response(200, html="<!doctype html><title>new-api</title>")
MOVED = httpx.Response(302, headers={"location": "https://elsewhere.test/"})
NOT_FOUND = httpx.Response(
    400, json={"description": "task_no_found ", "type": "upstream_error", "code": 4}
)
OVER_THE_CAP = b" " * (16 * 2**20 + 1)
SPOKEN = Dialect(auth="bearer", ids="json")
DONE = [(0, "SUCCESS", "100%")]


def rows(*task_ids: str) -> httpx.Response:
    """Answer with a list."""
    return httpx.Response(200, json=[{"id": one, "status": "IN_PROGRESS"} for one in task_ids])


def one(task_id: str) -> httpx.Response:
    """Answer with one task."""
    return httpx.Response(200, json={"id": task_id, "status": "IN_PROGRESS"})


def answering(
    lists: list[httpx.Response], fetch: httpx.Response | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """Answer list calls in order, the last one for ever, and fetches with a task or as told."""
    left = list(lists)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return left.pop(0) if len(left) > 1 else left[0]
        return one(request.url.path.split("/")[3]) if fetch is None else fetch

    return answer


async def ids_of(client: AsyncMJClient, *task_ids: str) -> list[str]:
    """Ask once for some, and name who was found."""
    return sorted(await client._gateway.lists.poll(list(task_ids)))


@pytest.mark.parametrize("name", get_args(DialectName))
async def test_each_gateway_gives_whom_it_knows(name: Any) -> None:
    """Unknown ids are left out; a list that answers one task counts as none for several."""
    gateway = FakeGateway(name)
    for task_id in ("1", "2", "3"):
        gateway.add_task(task_id, DONE)
    async with gateway.client() as client:
        found = await ids_of(client, "3", "9", "1")
        alone = await ids_of(client, "2")

        assert (["1"] if name == "documented" else ["1", "3"]) == found
        assert ["2"] == alone
        assert (name != "documented") == client._gateway.lists.is_usable()


async def test_one_attempt_is_one_request() -> None:
    """A wait's schedule is its retry: a fault is raised at once."""
    wire = Wire(lambda _: httpx.Response(500))
    async with client_on(wire, dialect=SPOKEN) as client:
        with pytest.raises(errors.ServerError):
            await ids_of(client, "1", "2")

    assert 1 == len(wire.requests)


async def test_of_two_rows_the_one_that_is_further_on_counts() -> None:
    """An id that was submitted twice has two rows, and strangers are left out."""
    answer = [
        {"id": "1", "status": "IN_PROGRESS", "progress": "40%"},
        {"id": "1", "status": "SUCCESS", "progress": "100%"},
        {"id": "1", "status": "SUBMITTED"},
        {"id": "stranger", "status": "SUCCESS"},
    ]
    async with client_on(Wire(lambda _: httpx.Response(200, json=answer))) as client:
        tasks = await client._gateway.lists.poll(["1", "2"])

    assert {"1": "SUCCESS"} == {task_id: task.status for task_id, task in tasks.items()}


REFUSALS = {
    "404": httpx.Response(404),
    "405": httpx.Response(405),
    "400": httpx.Response(400, json={"code": 4}),
    "403": httpx.Response(403),
    "unknown": NOT_FOUND,
    "a page": PAGE,
    "a redirect": MOVED,
}


@pytest.mark.parametrize("missing", REFUSALS.values(), ids=REFUSALS)
async def test_a_missing_list_is_remembered_once_a_fetch_has_worked(
    missing: httpx.Response,
) -> None:
    """It finds nothing; but only a fetch that works shows that the gateway is well otherwise."""
    async with client_on(Wire(answering([missing])), dialect=SPOKEN) as client:
        gateway = client._gateway
        assert [] == await ids_of(client, "1", "2")
        assert gateway.lists.is_usable()
        await gateway.poll("1")

        assert not gateway.lists.is_usable()


@pytest.mark.parametrize("fetch", [PAGE, NOT_FOUND, httpx.Response(500)], ids=str)
async def test_a_fetch_that_fails_proves_nothing(fetch: httpx.Response) -> None:
    """A page for maintenance comes instead of everything, and goes away again."""
    async with client_on(Wire(answering([PAGE, rows("1")], fetch)), dialect=SPOKEN) as client:
        assert [] == await ids_of(client, "1", "2")
        with pytest.raises(errors.MJError):
            await client._gateway.poll("1")

        assert client._gateway.lists.is_usable()
        assert ["1"] == await ids_of(client, "1", "2")


async def test_a_list_that_has_worked_is_not_given_up() -> None:
    """After a first list, a page is an error for that tick, whatever a fetch says."""
    wire = Wire(answering([rows("1"), PAGE, rows("1", "2")]))
    async with client_on(wire, dialect=SPOKEN) as client:
        assert ["1"] == await ids_of(client, "1", "2")
        with pytest.raises(errors.UnexpectedAnswerError):
            await ids_of(client, "1", "2")
        await client._gateway.poll("1")

        assert client._gateway.lists.is_usable()
        assert ["1", "2"] == await ids_of(client, "1", "2")


@pytest.mark.parametrize(
    "refusal", [REFUSALS[name] for name in ("404", "400", "403", "unknown")], ids=str
)
async def test_a_list_may_refuse_one_of_many(refusal: httpx.Response) -> None:
    """After a first list, a refusal is for that list: it finds none, and the next is sent."""
    wire = Wire(answering([rows("1"), refusal, rows("1", "2")]))
    async with client_on(wire, dialect=SPOKEN) as client:
        assert ["1"] == await ids_of(client, "1", "2")
        assert [] == await ids_of(client, "1", "2")
        await client._gateway.poll("1")

        assert client._gateway.lists.is_usable()
        assert ["1", "2"] == await ids_of(client, "1", "2")


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_list_that_works_later_is_not_given_up_either(refusal: httpx.Response) -> None:
    """A refusal before the first list that worked is forgotten with it."""
    async with client_on(Wire(answering([refusal, rows("1")])), dialect=SPOKEN) as client:
        assert [] == await ids_of(client, "1", "2")
        assert ["1"] == await ids_of(client, "1", "2")
        await client._gateway.poll("2")

        assert client._gateway.lists.is_usable()


FAILURES = {
    "500": httpx.Response(500),
    "garbage": httpx.Response(200, content=b"null and void"),
    "a page": PAGE,
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("fetch", [None, NOT_FOUND], ids=["a task", "no task"])
async def test_from_the_fourth_failure_on_a_fetch_decides(
    failure: httpx.Response, fetch: httpx.Response | None
) -> None:
    """Where the gateway answers a fetch, the list is to blame, and finds none."""
    lists = [rows("1"), failure, failure, failure, failure, failure, rows("1"), failure]
    async with client_on(Wire(answering(lists, fetch)), dialect=SPOKEN) as client:
        assert ["1"] == await ids_of(client, "1", "2")
        for _ in range(3):
            with pytest.raises(errors.MJError):
                await ids_of(client, "1", "2")
        assert [] == await ids_of(client, "1", "2")
        assert [] == await ids_of(client, "1", "2")
        assert ["1"] == await ids_of(client, "1", "2")
        with pytest.raises(errors.MJError):  # it counts anew
            await ids_of(client, "1", "2")

        assert client._gateway.lists.is_usable()


@pytest.mark.parametrize("fetch", [PAGE, httpx.Response(500), httpx.Response(401)], ids=str)
async def test_where_a_fetch_fails_too_the_gateway_is_to_blame(fetch: httpx.Response) -> None:
    """The failure of the list is raised, however often."""
    wire = Wire(answering([rows("1"), httpx.Response(500)], fetch))
    async with client_on(wire, dialect=SPOKEN) as client:
        assert ["1"] == await ids_of(client, "1", "2")
        for _ in range(6):
            with pytest.raises(errors.ServerError):
                await ids_of(client, "1", "2")


@pytest.mark.parametrize(
    ("status", "error"), [(401, errors.AuthenticationError), (429, errors.RateLimitError)]
)
async def test_what_is_said_to_all_is_never_the_lists_fault(
    status: int, error: type[errors.MJError]
) -> None:
    """A refused key and a request to slow down are for everybody, however often."""
    transport = RecordingTransport(override=for_lists(httpx.Response(status)))
    async with transport.client() as client:
        for _ in range(6):
            with pytest.raises(error):
                await ids_of(client, "1", "2")

        assert client._gateway.lists.is_usable()
    assert ["list"] * 6 == [one.verb for one in transport.asked]


async def test_a_list_may_refuse_unknown_ids() -> None:
    """Some gateways refuse a list of unknown ids instead of giving an empty one."""
    async with client_on(Wire(answering([NOT_FOUND, rows("1")])), dialect=SPOKEN) as client:
        assert [] == await ids_of(client, "8", "9")
        assert client._gateway.lists.is_usable()
        assert ["1"] == await ids_of(client, "1", "9")


@pytest.mark.parametrize(("asked", "usable"), [(["1", "2"], False), (["2"], True)])
async def test_one_task_for_several_ids_is_no_list(asked: list[str], usable: bool) -> None:  # noqa: FBT001
    """As documented, a gateway may answer one id a call; where one was asked for, it may be all."""
    async with client_on(Wire(lambda _: one("2")), dialect=SPOKEN) as client:
        assert ["2"] == await ids_of(client, *asked)
        assert usable == client._gateway.lists.is_usable()


async def test_an_empty_list_finds_none() -> None:
    """It is not checked here: each task of a wait is then fetched."""
    wire = Wire(answering([rows()]))
    async with client_on(wire, dialect=SPOKEN) as client:
        assert [] == await ids_of(client, "1", "2")
        await client._gateway.poll("1")

        assert client._gateway.lists.is_usable()
    assert 2 == len(wire.requests)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401), errors.AuthenticationError),
        (httpx.Response(429), errors.RateLimitError),
        (httpx.Response(503), errors.ServerError),
        (httpx.Response(200, content=b"[{"), errors.UnexpectedAnswerError),
        (httpx.Response(200, content=b"null and void"), errors.UnexpectedAnswerError),
    ],
    ids=["401", "429", "503", "cut short", "garbage"],
)
async def test_other_faults_are_no_missing_list(
    answer: httpx.Response, error: type[errors.MJError]
) -> None:
    """They are raised, and say nothing about the route, also before the first list."""
    async with client_on(Wire(answering([answer])), dialect=SPOKEN) as client:
        with pytest.raises(error):
            await ids_of(client, "1", "2")
        await client._gateway.poll("1")

        assert client._gateway.lists.is_usable()


@pytest.mark.parametrize(
    "too_large",
    [
        httpx.Response(200, content=b" " * (16 * 2**20 + 1)),
        httpx.Response(413),
        httpx.Response(414),
    ],
    ids=["over the cap", "413", "414"],
)
async def test_a_list_that_is_too_large_is_asked_for_in_halves(too_large: httpx.Response) -> None:
    """Masks and previews may be in a list: one that is too large is no end of the wait."""

    def answer(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["ids"]
        return too_large if len(ids) > 2 else rows(*ids)

    async with client_on(Wire(answer), dialect=SPOKEN) as client:
        assert ["1", "2", "3"] == await ids_of(client, "1", "2", "3")
