"""The programs of the how-to page about limits, as printed there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import anyio
import pytest

from distributed._redis_server import RedisServer
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[3] / "docs/howto/limits.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("program", "printed"),
    list(zip(PROGRAMS, ["1730621826053455 SUCCESS\n", "5 requests\n"], strict=True)),
    ids=["shared", "own"],
)
async def test_the_programs(program: str, printed: str, redis_server: RedisServer) -> None:
    """Each program does what the page says."""
    gateway = FakeGateway()
    gateway.add_task("1730621826053455", [(0, "SUCCESS", "100%")])
    async with gateway.serve() as base_url:
        environment = {
            **os.environ,
            "MJ_REDIS_URL": redis_server.url,
            "MJ_BASE_URL": base_url,
            "MJ_API_KEY": gateway.api_key,
        }
        done = await anyio.run_process(
            [sys.executable, "-W", "error", "-c", program], stderr=None, env=environment
        )

    assert printed == done.stdout.decode()
