"""A real Redis: one for all tests that leave it alone, or one for a test, on a port of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mj_async.distributed import SeedJob

from ._redis_server import RedisServer


def pytest_configure(config: pytest.Config) -> None:
    """Put up with one warning of coredis: it leaves streams of refused and cut connections open."""
    config.addinivalue_line("filterwarnings", "ignore:Unclosed <MemoryObject:ResourceWarning")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a running Redis that keeps every write in an append-only file."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a running Redis that all tests share."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_job(redis: RedisServer) -> Callable[..., SeedJob]:
    """Make a job of a name of its own; again and again, it is the same job."""
    name = f"test.{uuid.uuid4().hex}"
    return partial(SeedJob, redis.url, name, chunk_size=10)
