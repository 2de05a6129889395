"""The address of Redis, its password, version and settings, and the errors about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mj_async import errors
from mj_async.distributed import SeedJob
from mj_async.distributed._job.store import check_server
from mj_async.distributed._redis import server_address

from ._redis_server import RedisServer, free_port

pytestmark = pytest.mark.anyio
# No logic here depends on the event loop, so one is enough.
ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a Redis with a password, and with a user that has few permissions."""
    server = RedisServer(
        tmp_path_factory.mktemp("locked"),
        *("--requirepass", "p@ss:w/rd"),
        *("--user", "guest", "on", ">guest-pass", "~*", "+ping"),
    )
    server.start()
    yield server
    server.kill()


def _address(server: RedisServer, user: str) -> str:
    return server.url.replace("redis://", f"redis://{user}@")


@pytest.mark.parametrize(
    "redis_url",
    [
        *("", "localhost:6379", "http://localhost", "redis://", "redis://[::1", "unix://"),
        *("redis://:secret@host:port", "redis://host:0", "redis://:secret@host?db=first"),
        *("redis://:secret@host:99999", "redis://:secret@host?timeout=soon"),
        *(b"redis://host", 5, None),
    ],
)
def test_no_address(redis_url: str) -> None:
    """An invalid address is refused before anything is sent; the message does not show it."""
    with pytest.raises(
        errors.ConfigurationError, match="not the address of a Redis; next"
    ) as refused:
        SeedJob(redis_url, "job")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "redis_url"),
    [
        ("host:6379", "redis://user:secret@host"),
        ("host:7000", "rediss://:secret@host:7000/2?db=1"),
        ("/run/redis.sock", "unix://user:secret@/run/redis.sock?db=1"),
    ],
)
def test_the_address_in_messages(address: str, redis_url: str) -> None:
    """Messages name a Redis without user and password."""
    assert address == server_address(redis_url)


async def test_unreachable() -> None:
    """If Redis cannot be reached at the start, the address is wrong; the message is one line."""
    job = SeedJob(f"redis://:secret@127.0.0.1:{free_port()}", "job")

    with pytest.raises(errors.ConfigurationError, match=r"cannot be reached: .*; next") as refused:
        await job.submit(["1"])
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@ONE_LOOP
@pytest.mark.parametrize("user", [":wrong-pass", "guest:wrong-pass", "nobody:p"])
async def test_wrong_password(locked: RedisServer, user: str) -> None:
    """The message about a refused password does not show it."""
    job = SeedJob(_address(locked, user), "job")

    with pytest.raises(errors.ConfigurationError, match="refuses the user or the pass") as refused:
        await job.progress()
    assert "wrong-pass" not in str(refused.value)


@ONE_LOOP
async def test_no_password(locked: RedisServer) -> None:
    """A missing password has the same message."""
    with pytest.raises(errors.ConfigurationError, match="refuses the user or the password"):
        await SeedJob(locked.url, "job").progress()


@ONE_LOOP
async def test_missing_permission(locked: RedisServer) -> None:
    """The message names the permission that the user lacks."""
    with pytest.raises(errors.ConfigurationError, match=r"refuses the user .*no permissions"):
        await SeedJob(_address(locked, "guest:guest-pass"), "job").progress()


async def test_percent_encoded_password(locked: RedisServer) -> None:
    """A password in the address may be percent-encoded."""
    job = SeedJob(_address(locked, ":p%40ss%3Aw%2Frd"), "odd-password")
    await job.submit(["1"])

    assert 1 == (await job.progress()).total


@ONE_LOOP
async def test_no_such_database(redis: RedisServer) -> None:
    """Any other error of Redis is quoted in the message."""
    with pytest.raises(errors.ConfigurationError, match="DB index is out of range"):
        await SeedJob(redis.url.replace("/0", "/99"), "job").progress()


@ONE_LOOP
async def test_a_redis_that_evicts_keys(tmp_path: Path) -> None:
    """A Redis that may evict keys is refused."""
    server = RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru")
    server.start()
    try:
        with pytest.raises(errors.ConfigurationError, match="allkeys-lru; next: set it to noevi"):
            await SeedJob(server.url, "job").submit(["1"])
    finally:
        server.kill()


def test_an_old_redis() -> None:
    """An old Redis, which lacks functions, is refused; one without a version is accepted."""
    with pytest.raises(errors.ConfigurationError, match=r"is 6.2.14; next: use version 7"):
        check_server({"redis_version": "6.2.14"}, "redis://:secret@host")
    check_server({"redis_version": "7.0.15"}, "redis://host")
    check_server({}, "redis://host")
