"""Faults 30 to 33: ids, forms and keys, compared with the bytes on a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import string
from typing import Any
from urllib.parse import quote, unquote

import pytest
from _http_server import (
    BEARER,
    KEY,
    ONCE,
    HTTPServer,
    RawResponse,
    ReceivedRequest,
    client_of,
    id_of,
    on_asyncio,
)
from hypothesis import given
from hypothesis import strategies as st

from mj_async import DOCUMENTED, AsyncMJClient, Dialect, errors

REFUSED_IDS = [
    "", " ", ".", "..", "a/b", "../..", "/", "a\\b", "a\nb", "a\r\nX: y", "a\x00", "\x7f", "\x85",
    "a\u2028b", "\ud800", "x" * 10_000, " 1", "1\t",
]  # fmt: skip
ODD_IDS = [
    "a%2Fb", "a%2fb", "%2e%2e", "%", "%%", "a?x#y", "?", "#", "a b", "🐷", "...", "a;b=c", "a&b=c",
    'a"b', "<a>", "{a}", "a|b", "a^b", "a`b", "~", "'", "*", "(a)", "@a:80", "[::1]", "é",
    "e\u0301",    "٣", "\u202e1", "x" * 256,
]  # fmt: skip
AUTHS: list[Any] = ["auto", "bearer", "raw", "mj-api-secret"]
DOCUMENTED_LIST = Dialect(auth="bearer", ids="multipart", seed="path")


def echo(request: ReceivedRequest) -> RawResponse:
    """Answer with the requested tasks, whatever their ids are."""
    if request.line.startswith(b"POST"):
        is_json = request.headers["content-type"] == "application/json"
        ids = json.loads(request.body)["ids"] if is_json else request.form_ids
        return RawResponse(json.dumps([{"id": one, "status": "SUCCESS"} for one in ids]).encode())
    if request.target.endswith("/image-seed"):
        return RawResponse(b'{"code":1,"result":"5"}')
    return RawResponse(
        json.dumps({"id": unquote(id_of(request.target)), "status": "SUCCESS"}).encode()
    )


def accepted(runner: asyncio.Runner, call: Any) -> Any:
    """Return the result of a call, or None if it raised ConfigurationError."""
    try:
        return runner.run(call)
    except errors.ConfigurationError:
        return None


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("task_id", REFUSED_IDS, ids=lambda one: repr(one[:20]))
async def test_fault_30_a_bad_id_is_refused_before_any_byte(task_id: str) -> None:
    """An id that cannot be one path segment is a ConfigurationError, without a connection."""
    with HTTPServer(echo) as server:
        async with client_of(server) as client:
            for call in (
                lambda: client.fetch_task(task_id),
                lambda: client.image_seed(task_id),
                lambda: client.list_tasks(["1", task_id]),
                lambda: client.wait_for_task(task_id),
                lambda: anext(aiter(client.watch_task(task_id))),
            ):
                with pytest.raises(ValueError, match="the task id"):
                    await call()

            with pytest.raises(errors.ConfigurationError):
                async with client.image_seeds(["1", task_id]):
                    pass

    assert 0 == server.connections


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["", "/fast"])
async def test_fault_30_an_odd_id_is_one_segment(prefix: str) -> None:
    """Any other id is sent as one percent-encoded path segment."""
    with HTTPServer(echo) as server:
        async with client_of(server, base_url=server.base_url + prefix) as client:
            for task_id in ODD_IDS:
                assert task_id == (await client.fetch_task(task_id)).id
                assert task_id == (await client.image_seed(task_id)).task_id

    expected = [
        f"GET {prefix}/mj/task/{quote(task_id, safe='')}/{verb} HTTP/1.1".encode()
        for task_id in ODD_IDS
        for verb in ("fetch", "image-seed")
    ]
    assert expected == [request.line for request in server.seen]


def test_fault_30_any_text_is_one_segment_or_is_refused() -> None:
    """Any text is refused, or the server reads the same id."""
    letters = st.text(st.characters(), max_size=30) | st.text("%./\\?#&2FfEe\r\n\0 a", max_size=12)
    with HTTPServer(echo) as server, asyncio.Runner() as runner:
        client = client_of(server)

        @given(letters)
        def ask(task_id: str) -> None:
            server.seen.clear()
            task = accepted(runner, client.fetch_task(task_id))
            lines = [request.line for request in server.seen]
            target = f"/mj/task/{quote(task_id, safe='')}/fetch" if task else ""

            assert ([f"GET {target} HTTP/1.1".encode()] if task else []) == lines
            assert task is None or task.id == task_id

        ask()
        runner.run(client.aclose())


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("dialect", [DOCUMENTED, BEARER], ids=["form", "json"])
async def test_fault_31_the_server_reads_the_same_ids(dialect: Dialect) -> None:
    """Ids with quotes, unicode and boundary-like text arrive unchanged and in their order."""
    ids = [*ODD_IDS, "--", "--boundary", "----WebKitFormBoundary", 'name="ids"', "Content-Type: x"]
    with HTTPServer(echo) as server:
        async with client_of(server, dialect=dialect) as client:
            tasks = await client.list_tasks(ids)

    assert ids == [task.id for task in tasks]
    assert 1 == len(server.seen)


def test_fault_31_any_ids_arrive_as_they_are() -> None:
    """Any ids are refused together, or the form has the same ids."""
    with HTTPServer(echo) as server, asyncio.Runner() as runner:
        client = client_of(server, dialect=DOCUMENTED)

        @given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
        def ask(ids: list[str]) -> None:
            server.seen.clear()
            tasks = accepted(runner, client.list_tasks(ids))
            arrived = [one for request in server.seen for one in request.form_ids]

            assert (list(dict.fromkeys(ids)) if tasks is not None else []) == arrived

        ask()
        runner.run(client.aclose())


@pytest.mark.anyio
async def test_fault_31_a_boundary_cannot_be_foreseen() -> None:
    """Each form has its own random boundary."""
    with HTTPServer(echo) as server:
        async with client_of(server, dialect=DOCUMENTED) as client:
            for _ in range(5):
                await client.list_tasks(["1"])

    assert 5 == len({request.headers["content-type"] for request in server.seen})


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("dialect", [DOCUMENTED, BEARER, Dialect()], ids=["form", "json", "auto"])
async def test_fault_31_no_ids_are_no_request(dialect: Dialect) -> None:
    """An empty list of ids is an empty TaskList, and nothing is sent."""
    with HTTPServer(echo) as server:
        async with client_of(server, dialect=dialect) as client:
            tasks = await client.list_tasks([])
            async with client.image_seeds([]) as run:
                outcomes = [outcome async for outcome in run]

    assert (0, (), [], 0) == (len(tasks), tasks.missing, outcomes, server.connections)


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("dialect", [DOCUMENTED_LIST, BEARER], ids=["form", "json"])
async def test_fault_31_many_ids_are_asked_in_hundreds(dialect: Dialect) -> None:
    """Ten thousand ids are sent in a hundred requests, each id once."""
    ids = [str(number) for number in range(10_000)]
    with HTTPServer(echo) as server:
        async with client_of(server, dialect=dialect) as client:
            tasks = await client.list_tasks(ids)

    assert (ids, ()) == ([task.id for task in tasks], tasks.missing)
    assert 100 == len(server.seen)


@on_asyncio
@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["", "/", "/mj", "/fast", "/fast/", "/a/b/mj/"])
async def test_fault_32_the_double_slash_stays(prefix: str) -> None:
    """The documented seed request keeps its empty segment, after any path of base_url."""
    with HTTPServer(RawResponse(b'{"id":"1","status":"SUCCESS","seed":"5"}')) as server:
        base_url = server.base_url + prefix
        async with client_of(server, base_url=base_url, dialect=DOCUMENTED) as client:
            seed = await client.image_seed("1")

    path = prefix.rstrip("/").removesuffix("/mj")
    assert ("5", f"GET {path}/mj/task//image-seed HTTP/1.1".encode()) == (
        seed.seed,
        server.seen[0].line,
    )
    assert ["1"] == server.seen[0].form_ids


@pytest.mark.parametrize(
    "key", ["", " ", "a\n", "a\r\nX: y", "a\x00b", "é", "🐷", "a ", " a", "\t", "a\x7f", "Bearer "]
)
def test_fault_33_a_bad_key_is_refused_at_construction(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that no header can carry is a ConfigurationError that does not show it."""
    if "\x00" not in key:  # no environment can have that
        monkeypatch.setenv("MJ_API_KEY", key)
    given_keys = [key, key if "\x00" in key else None]
    for given_key, auth in itertools.product(given_keys, AUTHS):
        with pytest.raises(errors.ConfigurationError, match="key") as caught:
            AsyncMJClient(given_key, base_url="https://gateway.test", dialect=Dialect(auth=auth))

        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert len(key.strip()) < 2 or key not in f"{caught.value}{vars(caught.value)}"


def test_fault_33_any_key_arrives_as_it_is_or_is_refused() -> None:
    """Any key is refused at construction, or arrives unchanged in its header."""
    headers = {"bearer": "authorization", "raw": "authorization", "mj-api-secret": "mj-api-secret"}
    keys = st.text(string.printable + "é\0", max_size=12).filter(
        lambda key: not key.lower().startswith("bearer")
    )
    with HTTPServer(RawResponse()) as server, asyncio.Runner() as runner:

        @given(keys, st.sampled_from(sorted(headers)))
        def ask(key: str, auth: Any) -> None:
            server.seen.clear()
            fine = key != "" and key == key.strip() and key.isascii() and key.isprintable()
            try:
                client = AsyncMJClient(
                    key, base_url=server.base_url, dialect=Dialect(auth=auth), verify=False
                )
            except errors.ConfigurationError:
                assert not fine
                return

            async def use() -> None:
                async with client:
                    await client.fetch_task("1")

            runner.run(use())
            sent = server.seen[0].headers[headers[auth]]

            assert fine
            assert (f"Bearer {key}" if auth == "bearer" else key) == sent

        ask()


@pytest.mark.anyio
async def test_fault_33_a_pasted_bearer_is_not_doubled() -> None:
    """A key that the caller gives with `Bearer` is sent with one `Bearer`."""
    with HTTPServer(RawResponse()) as server:
        for key in (KEY, f"Bearer {KEY}", f"bearer  {KEY}"):
            async with AsyncMJClient(
                key, base_url=server.base_url, dialect=BEARER, retry=ONCE
            ) as client:
                await client.fetch_task("1")

    assert {f"Bearer {KEY}"} == {request.headers["authorization"] for request in server.seen}
