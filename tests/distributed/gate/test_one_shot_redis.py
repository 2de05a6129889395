"""A Redis for a moment, and what is said when it is of no use."""

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
    """Run a script that Redis does not know yet."""
    return await redis.run_script(script, SHA, "key", [1.0])


async def test_a_script_that_redis_has_forgotten_is_sent(redis_server: RedisServer) -> None:
    """So it is on the first question, and when Redis was started anew."""
    assert [1] == await run(OneShotRedis(redis_server.url))


@pytest.mark.parametrize(
    "redis_url",
    [
        "http://localhost",
        "localhost:6379",
        "",
        5,
        "redis://:hush-hush@host:99999/0",
        "redis://:hush-hush@host/0?timeout=soon",
    ],
)
def test_what_is_no_address_is_refused(redis_url: str) -> None:
    """It is said before anything is asked, and without the text, which may hold a password."""
    with pytest.raises(errors.ConfigurationError, match="redis_url") as caught:
        OneShotRedis(redis_url)

    assert "hush" not in str(caught.value)


def test_the_place_has_no_password() -> None:
    """It is what errors and logs show."""
    assert "host:7000" == OneShotRedis("redis://me:hush-hush@host:7000/0?db=1").address
    assert "/run/redis.sock" == OneShotRedis("unix://:hush-hush@/run/redis.sock").address


@pytest.mark.parametrize("user", ["", ":wrong-password@", "nobody:wrong-password@"])
async def test_a_wrong_password_is_said_plainly(tmp_path: Path, user: str) -> None:
    """It says which Redis, and not the password."""
    server = RedisServer(tmp_path / "redis", "--requirepass", "hush-hush")
    server.start()
    try:
        url = server.url.replace("//", f"//{user}")
        with pytest.raises(errors.ConfigurationError, match="refuses the user") as caught:
            await run(OneShotRedis(url))
    finally:
        server.kill()

    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "wrong-password" not in str(caught.value)


async def test_a_password_may_be_quoted(tmp_path: Path) -> None:
    """In an address some characters have to be."""
    server = RedisServer(tmp_path / "redis", "--requirepass", "hush@hush/")
    server.start()
    try:
        url = server.url.replace("//", "//:hush%40hush%2F@")
        assert [1] == await run(OneShotRedis(url))
    finally:
        server.kill()


async def test_what_redis_cannot_do_is_said_plainly(redis_server: RedisServer) -> None:
    """A script that fails is nothing that passes."""
    with pytest.raises(errors.ConfigurationError, match="cannot do what is needed"):
        await run(OneShotRedis(redis_server.url), "return redis.call('NOTHING')")


async def test_a_redis_that_is_away_is_said_plainly(caplog: pytest.LogCaptureFixture) -> None:
    """In one line, and with nothing in the log."""
    caplog.set_level(logging.DEBUG, "coredis")
    port = free_port()
    with pytest.raises(errors.TransportError, match=f"127.0.0.1:{port} cannot be reached"):
        await run(OneShotRedis(f"redis://127.0.0.1:{port}/0"))

    assert [] == caplog.records


async def test_a_question_may_be_cut_off_anywhere(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a cancellation and no error, and leaves neither warnings nor lines in the log."""
    caplog.set_level(logging.DEBUG, "coredis")
    redis = OneShotRedis(redis_server.url)
    cut = 0
    for number in range(150):
        with anyio.move_on_after(number / 40_000) as scope:
            assert [1] == await run(redis)
        cut += scope.cancelled_caught

    assert cut > 0
    assert [] == caplog.records
    assert [1] == await run(redis)


async def test_others_may_still_log(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Only what coredis says of our question is kept out, not what it says to a user's own."""
    caplog.set_level(logging.INFO, "coredis")
    await run(OneShotRedis(redis_server.url))
    logging.getLogger("coredis").info("of a user's own")

    assert ["of a user's own"] == caplog.messages
