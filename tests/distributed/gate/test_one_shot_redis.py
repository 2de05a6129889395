"""OneShotRedis: one script on a new connection, and its errors."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio
import pytest

from distributed._redis_server import RedisServer, free_port
from mj_async import errors
from mj_async.distributed._gate.one_shot_redis import OneShotRedis

pytestmark = pytest.mark.anyio

ECHO = "return {tonumber(ARGV[1])}"
SHA = "0" * 40


async def run(redis: OneShotRedis, script: str = ECHO) -> list[int]:
    """Run a script that Redis does not have yet."""
    return await redis.run_script(script, SHA, "key", [1.0])


async def test_a_script_that_redis_does_not_have_is_sent(redis_server: RedisServer) -> None:
    """The first run, and the first after a restart of Redis, sends the whole script."""
    assert [1] == await run(OneShotRedis(redis_server.url))


async def test_percent_encoded_password(tmp_path: Path) -> None:
    """A password in the address may be percent-encoded."""
    server = RedisServer(tmp_path / "redis", "--requirepass", "hush@hush/")
    server.start()
    try:
        url = server.url.replace("//", "//:hush%40hush%2F@")
        assert [1] == await run(OneShotRedis(url))
    finally:
        server.kill()


async def test_unreachable(caplog: pytest.LogCaptureFixture) -> None:
    """If Redis cannot be reached, the error names its address, and coredis logs nothing."""
    caplog.set_level(logging.DEBUG, "coredis")
    port = free_port()
    with pytest.raises(errors.TransportError, match=f"127.0.0.1:{port} cannot be reached"):
        await run(OneShotRedis(f"redis://127.0.0.1:{port}/0"))

    assert [] == caplog.records


async def test_cancellation_at_any_moment(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancelled run raises no other error, and leaves no warnings and no log lines."""
    caplog.set_level(logging.DEBUG, "coredis")
    redis = OneShotRedis(redis_server.url)
    cancelled = 0
    for number in range(150):
        with anyio.move_on_after(number / 40_000) as scope:
            assert [1] == await run(redis)
        cancelled += scope.cancelled_caught

    assert cancelled > 0
    assert [] == caplog.records
    assert [1] == await run(redis)


async def test_coredis_still_logs_for_others(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Only log lines about this run are muted, not those about other connections of coredis."""
    caplog.set_level(logging.INFO, "coredis")
    await run(OneShotRedis(redis_server.url))
    logging.getLogger("coredis").info("about another connection")

    assert ["about another connection"] == caplog.messages
