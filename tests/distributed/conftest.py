"""A real Redis for each test, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ._redis_server import RedisServer


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a running Redis that keeps every write in an append-only file."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()
