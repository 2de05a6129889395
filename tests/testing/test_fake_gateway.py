"""FakeGateway, in each dialect: in process and over TCP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import anyio
import httpx
import pytest
from trio.testing import MockClock

from mj_async import AsyncMJClient, Polling, RetryPolicy, errors
from mj_async.testing import FakeGateway
from mj_async.testing._gateway import DialectName

pytestmark = pytest.mark.anyio
# No logic here depends on the event loop, so one is enough.
ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])

DIALECTS = get_args(DialectName)
ID = "1730621826053455"
KEY_HEADERS = {
    "newapi": {"authorization": "Bearer sk-fake-gateway-key"},
    "onehub": {"mj-api-secret": "sk-fake-gateway-key"},
    "java": {"mj-api-secret": "sk-fake-gateway-key"},
    "csharp": {"authorization": "sk-fake-gateway-key"},
    "documented": {"authorization": "Bearer sk-fake-gateway-key"},
}


async def get(gateway: FakeGateway, path: str, **options: Any) -> httpx.Response:
    """Send a request with the key as the dialect accepts it, by httpx alone."""
    headers = KEY_HEADERS[gateway._dialect]
    async with httpx.AsyncClient(transport=gateway.transport, headers=headers) as client:
        return await client.request(
            options.pop("method", "GET"), gateway.base_url + path, **options
        )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_task_follows_its_timeline(dialect: Any) -> None:
    """Status, progress and times are those of the timeline at the gateway's time."""
    gateway = FakeGateway(dialect)
    gateway.add_task(
        ID, [(0, "SUBMITTED", "0%"), (5, "IN_PROGRESS", "40%"), (12, "SUCCESS", "100%")]
    )
    seen = []

    async with gateway.client() as client:
        for _ in range(3):
            task = await client.fetch_task(ID)
            seen.append((task.status, task.progress, task.start_time, task.duration))
            await gateway.advance(6.0)

    assert [("SUBMITTED", 0), ("IN_PROGRESS", 40), ("SUCCESS", 100)] == [one[:2] for one in seen]
    assert seen[0][2] is None
    assert 12.0 == seen[2][3]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_client_detects_every_dialect(dialect: Any) -> None:
    """A client with the default Dialect fetches, lists, and gets seeds if the gateway has them."""
    gateway = FakeGateway(dialect)
    for number in range(3):
        gateway.add_task(f"{number}", [(0, "SUCCESS", "100%")], seed=f"{1000 + number}")

    async with gateway.client() as client:
        task = await client.fetch_task("1")
        tasks = await client.list_tasks(["2", "0", "9", "1", "2"])
        seed = None if dialect == "java" else await client.image_seed("1")
        if dialect == "java":
            with pytest.raises(errors.UnsupportedError):
                await client.image_seed("1")
        for call in (client.fetch_task, client.image_seed):
            if (dialect, call) != ("java", client.image_seed):
                with pytest.raises(errors.TaskNotFoundError):
                    await call("9")

    assert ("1", "SUCCESS") == (task.id, task.status)
    assert ["2", "0", "1"] == [one.id for one in tasks]
    assert ("9",) == tasks.missing
    assert seed is None or "1001" == seed.seed


@ONE_LOOP
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wrong_key_is_refused(dialect: Any) -> None:
    """A wrong key is refused, after three requests."""
    gateway = FakeGateway(dialect, api_key="sk-right")
    gateway.add_task(ID)

    async with gateway.client(api_key="sk-wrong") as client:
        with pytest.raises(errors.AuthenticationError):
            await client.fetch_task(ID)

    assert 3 == len(gateway.requests)


def test_a_dialect_must_be_known() -> None:
    """An unknown dialect is refused, and the message lists the known ones."""
    with pytest.raises(errors.ConfigurationError, match="dialect must be one of 'newapi', "):
        FakeGateway("new-api")  # type: ignore[arg-type]


def test_invalid_arguments_are_refused() -> None:
    """A client cannot have an http_client, and a task must have a timeline."""
    gateway = FakeGateway()
    with pytest.raises(errors.ConfigurationError, match="in your own http_client"):
        gateway.client(http_client=None)
    with pytest.raises(errors.ConfigurationError, match="at least one"):
        gateway.add_task(ID, [])


@ONE_LOOP
@pytest.mark.parametrize(
    ("dialect", "status", "content_type"),
    [
        ("newapi", 200, "text/html; charset=utf-8"),
        ("onehub", 200, "text/html; charset=utf-8"),
        ("java", 404, "application/json"),
        ("csharp", 404, None),
        ("documented", 200, "text/html; charset=utf-8"),
    ],
)
async def test_an_unknown_route_is_answered_in_the_dialect(
    dialect: Any, status: int, content_type: str | None
) -> None:
    """Some gateways answer an unknown path or a wrong method with an HTML page and status 200."""
    gateway = FakeGateway(dialect)
    gateway.add_task(ID)

    answers = [
        await get(gateway, "/elsewhere"),
        await get(gateway, f"/mj/task/{ID}/fetch", method="POST"),
        await get(gateway, "/mj/task/list-by-condition"),
        await get(gateway, f"/mj/task/a/{ID}/fetch"),
        await get(gateway, f"/mj/task/{ID}/other"),
    ]

    assert {(status, content_type)} == {
        (answer.status_code, answer.headers.get("content-type")) for answer in answers
    }


@ONE_LOOP
@pytest.mark.parametrize(
    ("dialect", "mode", "works"),
    [
        ("newapi", "/anything", True),
        ("onehub", "/mj-fast", True),
        ("onehub", "/fast", False),
        ("csharp", "/mj-relax", True),
        ("java", "/mj-fast", False),
    ],
)
async def test_a_mode_may_stand_before_mj(dialect: Any, mode: str, works: bool) -> None:  # noqa: FBT001
    """A base_url with a mode works for gateways that have modes."""
    gateway = FakeGateway(dialect)
    gateway.add_task(ID)

    async with gateway.client(base_url=gateway.base_url + mode) as client:
        if works:
            assert ID == (await client.fetch_task(ID)).id
        else:
            with pytest.raises(errors.MJError):
                await client.fetch_task(ID)


@ONE_LOOP
@pytest.mark.parametrize("dialect", ["newapi", "onehub", "csharp"])
async def test_missing_seeds(dialect: Any) -> None:
    """An unfinished task and a task without a seed have the codes of the gateway."""
    gateway = FakeGateway(dialect)
    gateway.add_task("unfinished")
    gateway.add_task("seedless", [(0, "SUCCESS", "100%")])

    async with gateway.client() as client:
        codes = {}
        for task_id in ("unfinished", "seedless"):
            with pytest.raises(errors.SeedUnavailableError) as caught:
                await client.image_seed(task_id)
            codes[task_id] = caught.value.code

    assert {"unfinished": 4, "seedless": 3} == codes


@ONE_LOOP
async def test_csharp_shows_a_seed_that_was_requested() -> None:
    """The C# gateway stores a requested seed with the task, and returns it with the task."""
    gateway = FakeGateway("csharp")
    gateway.add_task(ID, [(0, "SUCCESS", "100%")], seed="5")

    async with gateway.client() as client:
        before = await client.fetch_task(ID)
        await client.image_seed(ID)
        after = await client.fetch_task(ID)

    assert (None, "5") == (before.seed, after.seed)


@ONE_LOOP
async def test_the_documented_form_answers_with_a_task() -> None:
    """In the documented dialect, the seed of a task without one is None, and not an error."""
    gateway = FakeGateway("documented")
    gateway.add_task("1", [(0, "SUCCESS", "100%")])

    async with gateway.client() as client:
        seed = await client.image_seed("1")

    assert (None, "documented", "1") == (seed.seed, seed.source, seed.task.id if seed.task else "")


@ONE_LOOP
async def test_the_documented_form_needs_a_form() -> None:
    """In the documented dialect, a request without a form gets the answer to an unknown id."""
    gateway = FakeGateway("documented")
    gateway.add_task("1", [(0, "SUCCESS", "100%")])

    answer = await get(gateway, "/mj/task//image-seed")

    assert (400, "task_no_found ") == (answer.status_code, answer.json()["description"])


@ONE_LOOP
async def test_fields_replace_those_of_the_dialect() -> None:
    """Fields may be named as in JSON or as in Python, and replace those of the dialect."""
    gateway = FakeGateway("java")
    gateway.add_task(ID, promptEn="pig", mask_base64="none", action=None)

    body = (await get(gateway, f"/mj/task/{ID}/fetch")).json()

    assert ("pig", "none", None) == (body["promptEn"], body["maskBase64"], body["action"])


@ONE_LOOP
async def test_fields_appear_with_their_status() -> None:
    """A picture appears with SUCCESS, a reason appears with FAILURE."""
    gateway = FakeGateway("java")
    gateway.add_task(
        ID,
        [(0, "SUBMITTED", "0%"), (5, "SUCCESS", "100%"), (10, "FAILURE", "")],
        imageUrl="https://cdn/1",
        fail_reason="Banned",
    )
    seen = []

    async with gateway.client() as client:
        for _ in range(3):
            task = await client.fetch_task(ID)
            seen.append((task.image_url, task.fail_reason))
            await gateway.advance(5.0)

    assert [(None, None), ("https://cdn/1", None), (None, "Banned")] == seen


@ONE_LOOP
async def test_the_time_of_day_can_be_set() -> None:
    """Times of tasks count from `started_at`, and links expire a day later."""
    gateway = FakeGateway(started_at=1_800_000_000.0)
    await gateway.advance(10.0)
    gateway.add_task(ID, [(0, "SUBMITTED", "0%"), (5, "SUCCESS", "100%")])
    await gateway.advance(5.0)

    async with gateway.client() as client:
        task = await client.fetch_task(ID)

    assert datetime.fromtimestamp(1_800_000_010, UTC) == task.submit_time
    assert datetime.fromtimestamp(1_800_000_015, UTC) == task.finish_time
    assert datetime.fromtimestamp(1_800_086_415, UTC) == task.image_expires_at


@ONE_LOOP
async def test_a_failure_has_a_reason_and_new_api_says_100_per_cent() -> None:
    """A task with FAILURE has a reason, and with new-api a progress of 100 %."""
    answers = {}
    for dialect in ("newapi", "java"):
        gateway = FakeGateway(dialect)
        gateway.add_task(ID, [(0, "FAILURE", "40%")])
        answers[dialect] = (await get(gateway, f"/mj/task/{ID}/fetch")).json()

    assert ("100%", "") == (answers["newapi"]["progress"], answers["java"]["progress"])
    assert all(answer["failReason"] for answer in answers.values())


@ONE_LOOP
@pytest.mark.parametrize(
    ("dialect", "body", "status"),
    [
        ("newapi", b'{"ids": [1]}', 400),
        ("newapi", b"ids=1", 400),
        ("newapi", b"[]", 400),
        ("java", b"ids=1", 415),
        ("csharp", b"ids=1", 415),
        ("documented", b'{"ids": ["1"]}', 400),
    ],
)
async def test_ids_in_another_encoding_are_refused(dialect: Any, body: bytes, status: int) -> None:
    """Each gateway has its own answer to ids in another encoding."""
    gateway = FakeGateway(dialect)
    path = "/mj/task/list-by-condition"

    answer = await get(gateway, path, method="POST", content=body)

    assert status == answer.status_code


@ONE_LOOP
async def test_a_planned_failure_comes_first() -> None:
    """fail_next answers the next n requests, whatever they ask for."""
    gateway = FakeGateway()
    gateway.add_task(ID)
    gateway.fail_next(2, status=502, headers={"x-proxy": "nginx"}, body=b"<html>")

    answers = [await get(gateway, f"/mj/task/{ID}/fetch") for _ in range(3)]

    assert [502, 502, 200] == [answer.status_code for answer in answers]
    assert ("nginx", b"<html>") == (answers[0].headers["x-proxy"], answers[0].content)


@ONE_LOOP
async def test_named_failures() -> None:
    """A named failure is the response of the dialect, n times, with additional headers."""
    codes = {}
    for dialect in ("newapi", "csharp"):
        gateway = FakeGateway(dialect)
        gateway.fail_next(2, like="rate limit", headers={"retry-after": "5"})
        answers = [await get(gateway, "/mj/task/1/fetch") for _ in range(3)]
        codes[dialect] = [answer.status_code for answer in answers]
        assert "5" == answers[0].headers["retry-after"]

    assert {"newapi": [429, 429, 400], "csharp": [429, 429, 204]} == codes


def test_invalid_named_failures() -> None:
    """A name must be one of the dialect, and cannot have another status or body."""
    gateway = FakeGateway("java")
    with pytest.raises(
        errors.ConfigurationError, match="a java gateway has the responses 'bad gate"
    ):
        gateway.fail_next(like="quota")
    for given in ({"status": 429}, {"body": b"x"}):
        with pytest.raises(errors.ConfigurationError, match="already has a status and a body"):
            gateway.fail_next(like="key", **given)


async def test_a_fixed_port() -> None:
    """A gateway can be served on the same port again; a port in use is an error."""
    gateway = FakeGateway()
    gateway.add_task(ID)
    async with gateway.serve() as base_url, httpx.AsyncClient() as client:
        await client.get(base_url)
        port = int(base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="already in use"):
            await gateway.serve(port=port).__aenter__()

    async with gateway.serve(port=port) as again:
        assert base_url == again
    for wrong in (-1, 65_536):
        with pytest.raises(errors.ConfigurationError, match="port must be from 0 to 65535"):
            gateway.serve(port=wrong)


async def test_requests_are_the_same_in_process_and_over_tcp() -> None:
    """The recorded requests differ only in time and host."""
    gateway = FakeGateway()
    gateway.add_task(ID)
    recorded = []

    async with gateway.client() as client:
        await client.list_tasks([ID])
    async with (
        gateway.serve() as base_url,
        AsyncMJClient(gateway.api_key, base_url=base_url) as client,
    ):
        await client.list_tasks([ID])
    for request in gateway.requests:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        recorded.append((request.method, request.target, headers, request.body))

    assert recorded[0] == recorded[1]
    assert {"ids": [ID]} == json.loads(gateway.requests[0].body)
    assert "https://fake-gateway.test" == gateway.base_url


async def test_a_query_is_part_of_the_target() -> None:
    """The target is that of the request line."""
    gateway = FakeGateway()

    async with gateway.serve() as base_url, httpx.AsyncClient() as client:
        await client.get(f"{base_url}/mj/task//x%2Fy?z=1")
    await get(gateway, "/mj/task//x%2Fy?z=1")

    assert {"/mj/task//x%2Fy?z=1"} == {request.target for request in gateway.requests}


async def test_served_time_is_real() -> None:
    """While `serve()` is entered, the time is real, and base_url is that of the server."""
    gateway = FakeGateway()

    async with gateway.serve() as base_url:
        before = gateway.now
        await anyio.sleep(0.05)
        assert 0.05 <= gateway.now - before < 5.0
        assert base_url == gateway.base_url


class TestVirtualTime:
    """The virtual clock, on asyncio and on trio."""

    async def test_time_stands_still_until_it_is_used(self) -> None:
        """The time of an unused gateway is 0, until `advance`."""
        gateway = FakeGateway()
        await anyio.sleep(0.01)

        assert 0.0 == gateway.now
        await gateway.advance(5.0)
        assert 5.0 == gateway.now

    async def test_a_wait_takes_no_time(self) -> None:
        """The clock jumps to the next sleep, so that polls come at exact times."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "IN_PROGRESS", "1%"), (15, "SUCCESS", "100%")])

        async with gateway.client(polling=Polling(jitter=0)) as client:
            await client.wait_for_task(ID)

        assert [0, 3, 6.9, 11.97, 18.561] == pytest.approx(
            [request.at for request in gateway.requests]
        )

    async def test_deadlines_follow_the_clock(self) -> None:
        """A wait times out at its exact time, before a poll of the same time."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "IN_PROGRESS", "1%")])

        async with gateway.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:
            with pytest.raises(errors.WaitTimeoutError) as caught:
                await client.wait_for_task(ID, timeout=600)

        assert 600.0 == gateway.now == caught.value.elapsed
        assert 200 == len(gateway.requests)

    async def test_many_clients_share_the_clock(self) -> None:
        """Sleepers wake in order, also if the one that drives the clock is cancelled."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "IN_PROGRESS", "1%"), (30, "SUCCESS", "100%")])
        ended: list[tuple[float, float]] = []

        async with gateway.client() as client:

            async def wait(interval: float) -> None:
                polling = Polling(interval=interval, factor=1, jitter=0)
                with anyio.move_on_after(None) as scope:
                    scopes[interval] = scope
                    await client.wait_for_task(ID, polling=polling)
                    ended.append((interval, gateway.now))

            scopes: dict[float, anyio.CancelScope] = {}
            async with anyio.create_task_group() as group:
                for interval in (7.0, 8.0, 9.0, 11.0):
                    group.start_soon(wait, interval)
                await gateway.advance(1.0)
                scopes[7.0].cancel()

        assert [(8.0, 32.0), (11.0, 33.0), (9.0, 36.0)] == ended

    async def test_advance_wakes_sleepers(self) -> None:
        """`advance` wakes the sleepers in order, and ends at its exact time."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "IN_PROGRESS", "1%")])

        async with gateway.client(polling=Polling(jitter=0)) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.wait_for_task, ID)
                await gateway.advance(7.0)
                assert 7.0 == gateway.now
                assert [0, 3, 6.9] == pytest.approx([one.at for one in gateway.requests])
                group.cancel_scope.cancel()

    async def test_retries_sleep_on_the_clock(self) -> None:
        """A Retry-After of a minute passes on the virtual clock."""
        gateway = FakeGateway()
        gateway.add_task(ID)
        gateway.fail_next(1, status=429, headers={"retry-after": "60"})

        async with gateway.client() as client:
            await client.fetch_task(ID, timeout=None)

        assert 60.0 <= gateway.requests[1].at <= 66.0

    async def test_a_deadline_that_is_over_ends_the_wait(self) -> None:
        """A callback that takes longer than the timeout ends the wait."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "SUBMITTED", "0%"), (2, "SUCCESS", "100%")])

        async def slow(_task: object) -> None:
            await gateway.advance(50.0)

        async with gateway.client() as client:
            with pytest.raises(errors.WaitTimeoutError):
                await client.wait_for_task(ID, on_update=slow, timeout=10.0)

        assert 50.0 == gateway.now

    async def test_a_call_leaves_no_timer(self) -> None:
        """After a call, no timer is left on the clock."""
        gateway = FakeGateway()
        gateway.add_task(ID)

        async with gateway.client() as client:
            await client.fetch_task(ID, timeout=None)
            await client.fetch_task(ID)

        assert gateway._clock._next_timer() is None
        gateway._clock._jump()
        assert 0.0 == gateway.now


class TestLoopTime:
    """With the transport, the gateway follows the time of the event loop."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        """Return trio with its virtual clock."""
        return ("trio", {"clock": MockClock(autojump_threshold=0)})

    async def test_the_transport_follows_the_virtual_clock(self) -> None:
        """With trio's virtual clock, a wait takes no time."""
        gateway = FakeGateway()
        gateway.add_task(ID, [(0, "IN_PROGRESS", "1%"), (100, "SUCCESS", "100%")])
        http_client = httpx.AsyncClient(transport=gateway.transport)

        async with http_client, AsyncMJClient(
            gateway.api_key,
            base_url=gateway.base_url,
            http_client=http_client,
            polling=Polling(jitter=0),
        ) as client:  # fmt: skip
            await client.wait_for_task(ID)

        assert 107.1293 == pytest.approx(gateway.now)


def test_the_transport_may_be_made_before_the_loop_runs() -> None:
    """Without an event loop, the time stands still."""
    gateway = FakeGateway()

    assert gateway.transport is not None
    assert 0.0 == gateway.now
    assert "<FakeGateway('newapi', tasks=0)>" == repr(gateway)


@ONE_LOOP
@pytest.mark.parametrize(
    ("dialect", "code"), [("newapi", 5), ("onehub", 5), ("csharp", 9), ("documented", 5)]
)
async def test_a_delayed_seed(dialect: Any, code: int) -> None:
    """Before the request number `seed_asks`, the gateway answers that it had no time."""
    gateway = FakeGateway(dialect)
    gateway.add_task(ID, [(0, "SUCCESS", "100%")], seed="5", seed_asks=3)
    codes = []

    async with gateway.client(retry=RetryPolicy(attempts=1)) as client:
        for _ in range(2):
            with pytest.raises((errors.APIError, errors.SeedUnavailableError)) as caught:
                await client.image_seed(ID)
            codes.append(vars(caught.value)["code"])
        seed = await client.image_seed(ID)

    assert ([code, code], "5") == (codes, seed.seed)


@pytest.mark.parametrize(
    ("id", "timeline"),
    [
        (1, [(0, "SUCCESS", "100%")]),
        ("1", []),
        ("1", [(0, "SUCCESS")]),
        ("1", [(60, "SUCCESS", "100%"), (0, "SUBMITTED", "0%")]),
        ("1", [(float("nan"), "SUCCESS", "100%")]),
        ("1", [(-1, "SUCCESS", "100%")]),
    ],
)
def test_an_invalid_task_is_refused(id: Any, timeline: Any) -> None:  # noqa: A002
    """An invalid task is refused when it is added, where the mistake is."""
    with pytest.raises(errors.ConfigurationError):
        FakeGateway().add_task(id, timeline)


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"body": "busy"}, {"status": 0}, {"headers": {"retry-after": 5}}],
    ids=str,
)
def test_a_failure_that_cannot_be_sent_is_refused(options: Any) -> None:
    """An invalid failure is refused at once, and is not a TypeError in the client."""
    with pytest.raises(errors.ConfigurationError):
        FakeGateway().fail_next(**options)


@ONE_LOOP
async def test_a_replaced_task_starts_again() -> None:
    """Requests for the seed of the old task do not count for the new one."""
    gateway = FakeGateway("csharp")
    for seed in ("5", "6"):
        gateway.add_task("1", [(0, "SUCCESS", "100%")], seed=seed, seed_asks=2)
        async with gateway.client() as client:
            with pytest.raises(errors.SeedUnavailableError):
                await client.image_seed("1")
            assert seed == (await client.image_seed("1")).seed
    gateway.add_task("1", [(0, "SUBMITTED", "0%")], seed="7")

    async with gateway.client() as client:
        assert (await client.fetch_task("1")).seed is None
